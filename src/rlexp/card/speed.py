"""The section on what ``benchmark`` measured: speed, memory, steadiness, the task's score."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from rlexp.card.markdown import interval, number, plain, short, table

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


def section(content: dict[str, Any], manifest: dict[str, Any], how: str, gated: Sequence[str]) -> str:
    """The section; empty where nothing was measured.

    Args:
        manifest: of the export; of other artifacts, and of those that were exported anew since, nothing is said.
        how: the score was sampled; empty where nothing says it.
        gated: the tasks of the gate, with how they were sampled.
    """
    exported = manifest.get("artifacts", {})
    same = content.get("of") == manifest.get("of")
    measured = content.get("artifacts", {}) if same else {}
    artifacts = {name: one for name, one in measured.items() if exported.get(name, {}).get("bytes") == one["bytes"]}
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
    notes += [f"- {plain(line)}" for line in content["slow"] if line.split(" ")[0] in artifacts]
    if missing := ", ".join(name for name in exported if name not in artifacts):
        notes.append(f"- Not measured: {plain(missing)}.")
    scored = next((one["score"] for one in artifacts.values() if one["score"]), None)
    parts = [
        f"On {plain(machine)}; other machines give other figures.",
        table(SPEED, [row for name, one in artifacts.items() for row in _speed(name, one)]),
        scored and _scored(scored, how, gated),
        table(WORTH, [_worth(name, one) for name, one in artifacts.items()]),
        "\n".join(notes),
    ]
    return "\n\n".join(part for part in parts if part)


def _scored(score: dict[str, Any], how: str, gated: Sequence[str]) -> str:
    """What the scores are of, and that they are not those of the gate."""
    name = f"{score['task']}, {how or 'samples a prompt: {}'.format(score['samples'])}"
    other = "; ".join(one for one in gated if one != name)
    apart = f" (the verdicts' task is {plain(other)})" if other else ""
    of = f"Score: {plain(score['metric'])} of {plain(name)}{apart}, {score['prompts']} prompts"
    return f"{of}; of the run itself {interval(score['run'])}."


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
    limit = f"{_seconds(rate['limit_s'])} for 99% of the answers"
    above = f"{short(rate['above_per_s'])} a second" if rate["above_per_s"] else ""
    if rate["per_s"] is None:
        return f"no rate of requests kept {limit}" + (f"; the lowest that was tried is {above}" if above else "")
    sure = "" if rate["bound"] == "runtime" else " (the search ran out of time)"
    return f"{short(rate['per_s'])} requests a second kept {limit}{above and f', {above} did not'}{sure}"


def _seconds(value: float) -> str:
    return f"{short(value)} s" if value >= 0.1 else f"{short(1e3 * value)} ms"


def _spread(spread: dict[str, float]) -> str:
    return " / ".join(short(spread[key] * 1e3, 3) for key in ("p50", "p99") if key in spread)


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.1%}"
