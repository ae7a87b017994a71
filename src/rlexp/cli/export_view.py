"""An export on the terminal: a row an artifact with its verdict, and why."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from rlexp.api.export import Exported
from rlexp.console import show_table
from rlexp.errors import printable

HEADS = ["artifact", "MB", "verdict", "same top", "mean KLD", "p99.9", "greedy same", "stops", "task", "loaded in"]


def show(done: Exported, root: Path) -> None:
    """Prints it."""
    print()
    artifacts = done.content["artifacts"]
    show_table(HEADS, [_row(name, one) for name, one in artifacts.items()])
    for name, one in artifacts.items():
        print(f"\n{name}: {one['verdict']}")
        for reason in one["reasons"]:
            print(f"  [{reason['name']}] {printable(reason['why'])}")
        if one["mix"]:
            print("  weights: " + ", ".join(f"{kind} {share:.0%}" for kind, share in one["mix"].items()))
        if one["note"]:
            print(f"  note: {printable(one['note'])}")
    if best := done.content.get("ship"):
        print(f"\nship: {best['name'] or 'none'}: {best['why']}")
    print(f"\nrecord: {os.path.relpath(done.folder / 'manifest.json', root)}")


def _row(name: str, one: dict[str, Any]) -> list[str]:
    gate, task = one["gate"], one["task"]
    far = gate.get("divergence")
    greedy = gate.get("greedy", {}).get("same")
    return [
        name,
        f"{one['bytes'] / 1e6:.1f}",
        one["verdict"],
        f"{far['same_top_p']['value']:.1%}" if far else "",
        f"{far['mean_kld']['value']:.2g}" if far else "",
        f"{far['p99.9_kld']['value']:.2g}" if far else "",
        f"{greedy:.0%}" if greedy is not None else "",
        f"{gate['stopped']['artifact']:.0%}" if "stopped" in gate else "",
        f"{task['mean']:+.3f} [{task['low']:+.3f}, {task['high']:+.3f}]" if task and task["low"] is not None else "",
        one["runtime"],
    ]
