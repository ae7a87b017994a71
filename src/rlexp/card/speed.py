"""The section on what ``benchmark`` measured: speed, memory, steadiness, the task's score."""

from __future__ import annotations

from collections import Counter
from typing import Any

from rlexp.card.markdown import interval, number, plain, table

SPEED = (
    *("artifact", "requests at once", "first token p50 / p99, ms", "token p50 / p99, ms", "tokens per second"),
    *("loads in, s", "memory, GiB"),
)
WORTH = (
    "artifact",
    "score",
    "all of the samples right",
    "same alone",
    "same in a crowd",
    "ended",
    "garbage",
    "odd prompts",
)


def section(content: dict[str, Any]) -> str:
    """The section; empty where nothing was measured."""
    artifacts = content.get("artifacts", {})
    if not artifacts:
        return ""
    place = content["machine"]
    gpus = place.get("gpus")
    machine = f"{len(gpus)} x {gpus[0]}" if gpus else f"{place['processor']}, {place['cpus']} cores"
    notes = [f"- {plain(name)}: {_rate(one['rate'])}." for name, one in artifacts.items() if "rate" in one]
    notes += [
        f"- {plain(name)} died at {plain(one['died']['part'])}: {plain(_first(one['died']['why']))}."
        for name, one in artifacts.items()
        if one["died"]
    ]
    notes += [f"- {plain(line)}" for line in content["slow"]]
    scored = next((one["score"] for one in artifacts.values() if one["score"]), None)
    parts = [
        f"On {plain(machine)}; other machines give other figures.",
        table(SPEED, [row for name, one in artifacts.items() for row in _speed(name, one)]),
        scored
        and f"Score: {plain(scored['metric'])} of {plain(scored['task'])}, {scored['prompts']} prompts with "
        f"{scored['samples']} samples each; of the run itself {interval(scored['run'])}.",
        table(WORTH, [_worth(name, one) for name, one in artifacts.items()]),
        "\n".join(notes),
    ]
    return "\n\n".join(part for part in parts if part)


def _first(text: str) -> str:
    return text.strip().partition("\n")[0]


def _speed(name: str, one: dict[str, Any]) -> list[list[Any]]:
    load = number(one["load"]["seconds"], 1) if "load" in one else "-"
    return [
        [
            *(name, level["together"], _spread(level["first_token_s"]), _spread(level["token_s"])),
            *(number(level["tokens_per_s"], 1), load, number(one.get("peak_gib"), 2)),
        ]
        for level in one.get("levels", [])
    ]


def _worth(name: str, one: dict[str, Any]) -> list[Any]:
    score, same, quality = one["score"], one.get("repeated") or {}, one.get("quality") or {}
    hats = score["pass_hat"].items() if score else ()
    odd = Counter(found["outcome"] for found in one.get("odd", {}).values())
    return [
        name,
        interval(score) if score else "-",
        ", ".join(f"{k}: {interval(hat)}" for k, hat in hats) or "-",
        *(_share(same.get(key)) for key in ("alone", "crowd")),
        *(_share(quality.get(key)) for key in ("ended", "garbage")),
        ", ".join(f"{count} {outcome}" for outcome, count in odd.items()) or "-",
    ]


def _rate(rate: dict[str, Any]) -> str:
    """The highest rate of requests, as far as it was found."""
    limit = f"{rate['limit_s']:.2g} s for 99% of the answers"
    above = f", below {rate['above_per_s']:.2g}" if rate["above_per_s"] else ""
    if rate["per_s"] is None:
        return f"no rate of requests that was tried kept {limit}{above}"
    sure = "" if rate["bound"] == "runtime" else " (the search ran out of time)"
    return f"{rate['per_s']:.2g} requests a second kept {limit}{above}{sure}"


def _spread(spread: dict[str, float]) -> str:
    return " / ".join(f"{spread[key] * 1e3:.3g}" for key in ("p50", "p99") if key in spread)


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.1%}"
