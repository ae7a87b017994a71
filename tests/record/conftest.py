"""A project folder with four runs, made by hand, for the list and its filters."""

import pytest

from rlexp.record.finished import run_folders
from rlexp.record.listed import read
from tests.record.made import locked, write

DPO = ("method=dpo", "dataset=arithmetic_preferences")


def held_out(after, name="reward"):
    return {name: {"before": 0.5, "after": after}}


@pytest.fixture
def runs(composed, tmp_path):
    """Four runs: two grpo, one dpo without rewards/margins, one that failed before it was locked."""
    made = {
        "outputs/day1/first": (("method.beta=0.04", "seed=1"), {"held_out": held_out(1.5)}, 1),
        "outputs/day2/second": (("reward=format",), {"held_out": held_out(0.9), "timings_s": {"total": 99}}, 2),
        "multirun/day1/0": (DPO, {"held_out": held_out(2.5, "rewards/margins")}, 3),
    }
    for folder, (overrides, facts, day) in made.items():
        lock = locked(composed(*overrides), *overrides)
        write(tmp_path / folder, lock, started=f"2026-11-0{day}T12:00:00+00:00", **facts)
    write(
        tmp_path / "outputs/day2/failed",
        **{"status": "failed", "reason": "no memory\nat all", "started": "2026-11-04T12:00:00+00:00"},
        **{"held_out": {}, "timings_s": {}, "choices": {"method": "grpo", "model": "tiny"}},
    )
    return [read(folder, tmp_path) for folder in run_folders(tmp_path)]
