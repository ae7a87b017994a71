"""A benchmark on the terminal: a row an artifact and number of requests at once, then what is steady."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import Any

from rlexp.api.benchmark import Benchmarked, words
from rlexp.console import show_table
from rlexp.errors import printable
from rlexp.record.benchmarks import FILE

SPEED = ["artifact", "at once", "first token ms", "token ms", "answer s", "tokens/s", "loads in s", "GiB", "MB"]
WORTH = ["artifact", "score", "pass^k", "same alone", "in a crowd", "ended", "garbage", "odd prompts"]


def show(done: Benchmarked, root: Path) -> None:
    """Prints it."""
    content, artifacts = done.content, done.content["artifacts"]
    place = content["machine"]
    print(f"\n{words(place)}, {place.get('threads', '?')} threads: {place['processor']}; times as p50 / p95 / p99")
    show_table(SPEED, [row for name, one in artifacts.items() for row in _speed(name, one)])
    if scored := next((one["score"] for one in artifacts.values() if one["score"]), None):
        shape = f"{scored['prompts']} prompts x {scored['samples']} samples"
        print(f"\nscore: {scored['metric']} of {scored['task']}, {shape}; of the run {_interval(scored['run'])}")
    else:
        print()
    show_table(WORTH, [_worth(name, one) for name, one in artifacts.items()])
    print()
    for name, one in artifacts.items():
        if "rate" in one:
            print(f"{name}: {_rate(one['rate'])}")
        for odd, found in one.get("odd", {}).items():
            if found["outcome"] in ("refused", "died") or found["why"]:
                why = f", {_line(found['why'])}" if found["why"] else ""
                print(f"{name}: the prompt {odd!r}: {found['outcome']}{why}")
        if one["died"]:
            print(f"{name} died at {one['died']['part']}: {_line(one['died']['why'])}")
    for line in content["slow"]:
        print(line)
    if not done.plots:
        print("plots are left out: pip install 'rlexp[export]'")
    for plot in done.plots:
        print(f"plot: {os.path.relpath(plot, root)}")
    print(f"record: {os.path.relpath(done.folder / FILE, root)}")


def _speed(name: str, one: dict[str, Any]) -> list[list[str]]:
    load, peak = one.get("load"), one.get("peak_gib")
    loaded = f"{load['seconds']:.1f} (imports {load['imports_s']:.1f})" if load else ""
    costs = [loaded, f"{peak:.2f}" if peak is not None else "", f"{one['bytes'] / 1e6:.1f}"]
    rows = [
        [
            str(level["together"]),
            _spread(level["first_token_s"], 1e3),
            _spread(level["token_s"], 1e3),
            _spread(level["answer_s"], 1),
            f"{level['tokens_per_s']:.1f}" if level["tokens_per_s"] is not None else "",
        ]
        for level in one.get("levels", [])
    ] or [["", "", "", "", ""]]
    return [[name if not n else "", *row, *(costs if not n else [""] * 3)] for n, row in enumerate(rows)]


def _worth(name: str, one: dict[str, Any]) -> list[str]:
    score, same, quality, odd = (one.get(key) for key in ("score", "repeated", "quality", "odd"))
    hats = score["pass_hat"] if score else {}
    outcomes = Counter(found["outcome"] for found in odd.values()) if odd else {}
    return [
        name,
        _interval(score) if score else "",
        ", ".join(f"{k}: {hat['mean']:.3f}" for k, hat in hats.items() if hat["mean"] is not None),
        f"{same['alone']:.0%}" if same else "",
        f"{same['crowd']:.0%}" if same else "",
        *(_share(quality[key]) if quality else "" for key in ("ended", "garbage")),
        ", ".join(f"{number} {outcome}" for outcome, number in outcomes.items()),
    ]


def _rate(rate: dict[str, Any]) -> str:
    limit = f"p99 of an answer within {rate['limit_s']:.2g} s"
    if rate["per_s"] is None or rate["p99_s"] is None:
        why = "at no rate that was tried" if rate["bound"] == "runtime" else "not before the time was over"
        above = f"; not at {rate['above_per_s']:.2g} requests a second" if rate["above_per_s"] else ""
        return f"{limit}: {why}{above}"
    found = f"{rate['per_s']:.2g} requests a second (p99 {rate['p99_s']:.2g} s)"
    if rate["bound"] == "runtime":
        return f"{limit}: up to {found}"
    above = f"below {rate['above_per_s']:.2g}" if rate["above_per_s"] else "with no end seen"
    return f"{limit}: at least {found}, {above}, as far as the time reached"


def _spread(spread: dict[str, float], unit: float) -> str:
    return " / ".join(f"{value * unit:.3g}" for value in spread.values())


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.1%}"


def _interval(one: dict[str, Any]) -> str:
    if one["mean"] is None:
        return "-"
    ends = f" [{one['low']:.3f}, {one['high']:.3f}]" if None not in (one["low"], one["high"]) else ""
    return f"{one['mean']:.3f}{ends}"


def _line(text: str) -> str:
    """The first line of what a runtime said."""
    lines = printable(text).strip().splitlines()
    return lines[0] if lines else ""
