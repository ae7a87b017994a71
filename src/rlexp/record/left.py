"""What a run leaves in its folder, by hash: what is used, and what it is judged by."""

from __future__ import annotations

from pathlib import Path

from rlexp.chosen import SELECTION
from rlexp.inputs.digest import file_md5, folder_md5s
from rlexp.reward.rubric import FAILURES

METRICS, HEALTH, COMPLETIONS, HELD_OUT = "metrics.jsonl", "health.jsonl", "completions", "held_out.json"


def outputs(run_dir: Path) -> dict[str, str]:
    """Output file -> md5, for what a run leaves to be used: the adapter or model, and the metrics."""
    return _md5s(run_dir, METRICS) | _below(run_dir, "adapter") | _below(run_dir, "model")


def evidence(run_dir: Path) -> dict[str, str]:
    """File -> md5, for what a run is judged by: its completions, its held-out rows, what its rules said."""
    return _below(run_dir, COMPLETIONS) | _md5s(run_dir, HELD_OUT, HEALTH, SELECTION, FAILURES)


def _below(run_dir: Path, name: str) -> dict[str, str]:
    return {f"{name}/{path}": md5 for path, md5 in folder_md5s(run_dir / name).items()}


def _md5s(run_dir: Path, *names: str) -> dict[str, str]:
    return {name: file_md5(run_dir / name) for name in names if (run_dir / name).is_file()}
