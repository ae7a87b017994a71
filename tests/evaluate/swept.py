"""A sweep made by hand, as one would leave it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from rlexp.record import sweeps
from rlexp.record.run_folder import MANIFEST
from rlexp.record.sweeps import Impossible, Plan, Planned

ALWAYS = "method.max_steps=4"


def made(root: Path, points: dict[tuple[str, int], Any], impossible: list[Impossible] | None = None) -> Path:
    """A sweep in multirun/s: (overrides, seed) -> the held-out reward after, a manifest, or None for no record."""
    folder, planned = root / "multirun/s", []
    for number, ((typed, seed), after) in enumerate(points.items()):
        planned.append(Planned(f"p{number}", [ALWAYS, *typed.split(), f"seed={seed}"], f"{number:016x}", seed))
        (folder / f"p{number}").mkdir(parents=True)
        if after is None:
            continue
        facts = after if isinstance(after, dict) else held_out(reward=(0.5, after))
        manifest = {"status": "finished", "overrides": planned[-1].overrides, "steps": {"done": 4, "asked": 4}, **facts}
        manifest |= {"timings_s": {"total": 7.5}, "warm": number > 0}
        (folder / f"p{number}" / MANIFEST).write_text(json.dumps(manifest))
    sweeps.write(folder, Plan([ALWAYS, "..."], "workers", planned, impossible or []))
    return folder


def held_out(**rows: tuple[float, float]) -> dict[str, Any]:
    return {"held_out": {name: {"before": before, "after": after} for name, (before, after) in rows.items()}}


def grid(better: float = 0.5) -> dict[tuple[str, int], Any]:
    """beta x seed: the second beta is better, and the seeds differ."""
    noise = iter((0.0, 0.02, -0.02, 0.03, 0.0, -0.01))
    keys = [(beta, seed) for beta in ("0", "4e-2") for seed in (0, 1, 2)]
    return {(f"method.beta={beta}", seed): 1 + seed + better * (beta != "0") + next(noise) for beta, seed in keys}
