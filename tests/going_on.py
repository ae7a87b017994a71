"""Has a run go on from a checkpoint of its own, or from another run's, without the command line.

Usage: python -m tests.going_on PROJECT CASE..., where a CASE is a JSON list: ["train", FOLDER, OVERRIDES...],
["resume", FOLDER] (from the last whole checkpoint), ["copy", FOLDER, OTHER, STEP] (what OTHER would have left, killed
after that step), ["damage", FILE] (a bit flips), ["fork", FOLDER, CHECKPOINT, OVERRIDES...]. Several cases go one after
the other in this process.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import yaml

from rlexp import chosen
from rlexp.compose.points import points
from rlexp.inputs.prepare import prepare
from rlexp.record import checkpoints, finished
from rlexp.record.checkpoints import Checkpoint
from rlexp.train import session
from rlexp.train.job import Job
from tests.conftest import files


def main(project: Path, case: list[Any]) -> None:
    """Does one case."""
    verb, run_dir = case[0], project / case[1]
    if verb == "copy":
        copied(project / case[2], run_dir, int(case[3]))
        return
    if verb == "damage":
        damaged(run_dir)
        return
    if verb == "resume":
        found = finished.open(str(run_dir), project, project)
        checkpoint, skipped = checkpoints.last_whole(run_dir)
        job = Job(found.run, project, run_dir, found.lock["overrides"], resume=checkpoint)
        print(f"resumed from {checkpoint.step if checkpoint else 'nothing'}, passed over {skipped}", flush=True)
    else:
        overrides = case[2:] if verb == "train" else case[3:]
        run = points(project / "conf", ["hardware=cpu", *overrides], multirun=False)[0].run
        folder = project / case[2]
        fork = Checkpoint(int(folder.name.rpartition("-")[2]), folder) if verb == "fork" else None
        job = Job(run, project, run_dir, overrides, fork=fork)
    prepare(job.run, project)
    session.train(job)


def damaged(file: Path) -> None:
    """Flips a bit in the middle of a file."""
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def differences(one: Path, other: Path) -> list[str]:
    """What two run folders hold otherwise that equal trainings hold alike: weights and completions byte for byte,
    metrics without timings, what was found, counted and measured."""
    found = []
    for name in ("adapter", "model", "completions"):
        left, right = files(one / name), files(other / name)
        found += [f"{name}: {sorted(left ^ right)}"] if left != right else []
        apart = [f for f in left & right if (one / name / f).read_bytes() != (other / name / f).read_bytes()]
        found += [f"{name}/{file}" for file in sorted(apart)]
    rows = [learned(one), learned(other)]
    if rows[0] != rows[1]:
        number, apart_at = next(
            ((n, pair) for n, pair in enumerate(zip(*rows, strict=False), 1) if pair[0] != pair[1]), (0, ({}, {}))
        )
        names = [k for k in {**apart_at[0], **apart_at[1]} if apart_at[0].get(k) != apart_at[1].get(k)]
        found.append(f"metrics.jsonl: {len(rows[0])} and {len(rows[1])} lines, line {number}: {names}")
    for name in ("held_out.json", "health.jsonl", "reward_failures.jsonl"):
        texts = [(run / name).read_text() if (run / name).exists() else "" for run in (one, other)]
        found += [name] if texts[0] != texts[1] else []
    selections = [selection(run) for run in (one, other)]
    found += [f"selection: {name}" for name in selections[0] if selections[0][name] != selections[1][name]]
    manifests = [json.loads((run / "manifest.json").read_text()) for run in (one, other)]
    for of in manifests:
        of.get("selection", {}).pop("cost", None)
    counted = ("status", "identity", "held_out", "reward_scores", "health", "selection", "outputs")
    for name in counted:
        values = [dict(of.get(name, {})) if name == "outputs" else of.get(name) for of in manifests]
        for value in values if name == "outputs" else ():
            value.pop("metrics.jsonl", None)  # with timings
        found += [f"manifest: {name}"] if values[0] != values[1] else []
    locks = [yaml.safe_load((run / "run.lock.yaml").read_text()) for run in (one, other)]
    found += [f"lock: {name}" for name in ("identity", "fresh_adapter_sha256") if locks[0][name] != locks[1][name]]
    return found


def learned(run_dir: Path) -> list[dict[str, object]]:
    """The entries of metrics.jsonl without their timing; none where there is no such file."""
    path = run_dir / "metrics.jsonl"
    lines = path.read_text().splitlines() if path.is_file() else []
    return [{name: value for name, value in json.loads(line).items() if name != "timing"} for line in lines]


def copied(full: Path, folder: Path, step: int) -> Path:
    """What a run that was killed after the checkpoint of a step would have left, and what it could not know by then."""
    shutil.copytree(full, folder)
    for number, checkpoint in checkpoints.of(folder).items():
        if number > step:
            shutil.rmtree(checkpoint)
    return folder


def selection(run_dir: Path) -> dict[str, object]:
    """What was measured to choose by, the checkpoints that are kept for it, and where the link leads."""
    lines = chosen.lines(run_dir)
    kept = {step for step in (lines[-1]["kept"] if lines else ()) if step in checkpoints.of(run_dir)}
    link = run_dir / chosen.LINK
    weights = [path.read_bytes() for path in sorted(link.glob("*.safetensors"))]
    measured = [{key: value for key, value in line.items() if key != "timing"} for line in lines]
    leads = os.readlink(link) if link.is_symlink() else None
    return {"measured": measured, "kept": kept, "link": leads, "weights": weights}


if __name__ == "__main__":
    for case in sys.argv[2:]:
        main(Path(sys.argv[1]), json.loads(case))
