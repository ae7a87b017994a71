"""Trackers through the real command line: each knows what the record holds, and none can harm a run."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from tests import trackers
from tests.conftest import copy_project, rlexp

pytestmark = pytest.mark.end_to_end
SHORT = ("method.max_steps=4", "held_out.rows=8", "held_out.samples=0")
EVERY = "tracking=wandb+trackio+tensorboard"


def keeping(project: Path) -> dict[str, str]:
    """The environment of a machine where every tracker keeps what it is told."""
    return {"WANDB_MODE": "offline", "TRACKIO_DIR": str(project / "trackio"), "HOME": str(project / "home")}


def seen_by(project: Path, run_dir: Path) -> dict[str, list[trackers.Seen]]:
    return {
        "wandb": trackers.wandb(project / "wandb"),
        "trackio": trackers.trackio(project / "trackio"),
        "tensorboard": trackers.tensorboard(run_dir),
    }


def manifest(run_dir: Path) -> dict[str, Any]:
    return json.loads((run_dir / "manifest.json").read_text())


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    return copy_project(tmp_path_factory.mktemp("tracked") / "project")


@pytest.fixture(scope="module")
def tracked(project) -> Path:
    """A run of four steps, told to every tracker; its smoke goes before it."""
    words = (*SHORT, EVERY, "tracking.project=team", "preflight.smoke=always", "preflight.smoke_steps=4")
    done = rlexp(project, *words, "hydra.run.dir=outputs/one", timeout=600, **keeping(project))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "warning tracking" not in done.stdout and "smoke passed" in done.stdout
    return project / "outputs/one"


def test_every_tracker_knows_the_run_as_its_record_has_it(project, tracked):
    lines = [json.loads(line) for line in (tracked / "metrics.jsonl").read_text().splitlines()]
    rewards = [(line["step"], line["reward"]) for line in lines if "reward" in line]
    assert [step for step, _ in rewards] == [1, 2, 3, 4]
    stored = {step: pq.read_table(tracked / f"completions/step-{step:06d}.parquet").to_pylist() for step in range(1, 5)}
    record = manifest(tracked)
    for tracker, runs in seen_by(project, tracked).items():
        (seen,) = runs
        assert seen.status == "finished", tracker
        curve = seen.curve("reward")  # the smoke's steps are not among them
        assert len(curve) == 4 and dict(curve) == pytest.approx(dict(rewards)), tracker
        told = seen.table("completions")
        if tracker == "tensorboard":
            texts = {
                step: [{k: str(v) for k, v in row.items() if isinstance(v, str)} for row in rows]
                for step, rows in stored.items()
            }
            assert {step: [{k: row[k] for k in texts[step][0]} for row in rows] for step, rows in told.items()} == texts
            assert all(set(row) == set(stored[1][0]) for row in told[1])
        else:
            assert told == stored, tracker
        (held_out,) = seen.table("held_out").values()
        after = {row["metric"]: float(row["after"]) for row in held_out}
        assert after == pytest.approx({name: row["after"] for name, row in record["held_out"].items()}), tracker
        assert seen.config["identity"] == record["identity"] and seen.config["reward"]["terms"].keys() == {
            "format",
            "correct",
        }
        assert seen.config["inputs"]["rewards"]["correct"]["version"] >= 1
    assert {runs[0].project for tracker, runs in seen_by(project, tracked).items() if runs[0].project} == {"team"}


def test_a_tracked_run_is_the_run_that_nobody_tracks(project, tracked):
    done = rlexp(project, *SHORT, "hydra.run.dir=outputs/alone", "preflight.smoke=never")
    assert done.returncode == 0, done.stderr
    one, two = (
        hashlib.sha256((folder / "adapter/adapter_model.safetensors").read_bytes()).hexdigest()
        for folder in (tracked, project / "outputs/alone")
    )
    assert one == two
    assert "tracking" not in manifest(project / "outputs/alone")


def test_an_evaluation_is_told_to_the_trackers_of_its_run(project, tracked):
    done = rlexp(project, "evaluate", "outputs/one", "eval.rows=8", "eval.samples=1", **keeping(project))
    assert done.returncode == 0, done.stderr
    (file,) = (tracked / "evaluation").glob("*/evaluation.json")
    results = json.loads(file.read_text())["results"]
    count = sum(len(metrics) for subjects in results.values() for metrics in subjects.values())
    for tracker, runs in seen_by(project, tracked).items():
        assert len({run.id for run in runs}) == 1, tracker  # wandb keeps a file a process, of the same run
        (rows,) = runs[-1].table(f"evaluation/{file.parent.name}").values()
        assert len(rows) == count and {row["task"] for row in rows} == set(results), tracker
        assert runs[-1].status == "finished"


@pytest.mark.long
def test_a_point_of_a_sweep_is_a_run_at_each_tracker(tmp_path):
    project = copy_project(tmp_path / "project")
    words = ("-m", *SHORT, "preflight.smoke=never", "seed=0,1", "tracking=wandb+trackio", "hydra.sweep.dir=multirun/s")
    done = rlexp(project, *words, **keeping(project))
    assert done.returncode == 0, done.stdout + done.stderr
    points = sorted(path.parent for path in (project / "multirun/s").glob("*/manifest.json"))
    names = sorted(manifest(point)["tracking"]["name"] for point in points)
    assert len(set(names)) == 2 and manifest(points[0])["warm"] != manifest(points[1])["warm"]  # one worker made both
    for runs in (trackers.wandb(project / "wandb"), trackers.trackio(project / "trackio")):
        assert sorted(run.name for run in runs) == names
        assert {run.group for run in runs} == {"s"} and len({run.id for run in runs}) == 2
        assert [len(run.curve("reward")) for run in runs] == [4, 4]
        assert {run.config["seed"] for run in runs} == {0, 1} and {run.status for run in runs} == {"finished"}


def test_trackers_that_fail_and_hang_cost_a_warning_each(project):
    planted = project / "planted"
    for name, text in {"wandb": "raise OSError('no quota')", "trackio": "import time\ntime.sleep(1000)"}.items():
        (planted / name).mkdir(parents=True)  # TRL would import both
        (planted / name / "__init__.py").write_text(text)
    words = (*SHORT, EVERY, "tracking.time_limit=3", "preflight.smoke=never", "hydra.run.dir=outputs/faulty")
    path = f"{planted}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
    done = rlexp(project, *words, **keeping(project) | {"PYTHONPATH": path})
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("warning tracking=wandb: OSError: no quota") == 1
    assert done.stdout.count("warning tracking=trackio: it did not end within 3 s, and was killed") == 1
    record = manifest(project / "outputs/faulty")
    assert record["status"] == "finished" and record["steps"]["done"] == 4 and "held_out" in record
    assert {name: one["status"] for name, one in record["tracking"]["trackers"].items()} == {
        "tensorboard": "finished",
        "trackio": "killed",
        "wandb": "failed",
    }
    (events,) = trackers.tensorboard(project / "outputs/faulty")
    assert len(events.curve("reward")) == 4


def test_what_a_tracker_misses_is_one_message_before_anything_is_written(project):
    hidden = project / "hidden"
    hidden.mkdir()
    (hidden / "sitecustomize.py").write_text("import sys\nsys.modules['trackio'] = None\n")
    environment = {
        **keeping(project),
        "WANDB_MODE": "online",
        "WANDB_API_KEY": "",
        "PYTHONPATH": f"{hidden}{os.pathsep}{os.environ.get('PYTHONPATH', '')}",
    }
    before = sorted(project.rglob("*"))
    for typed, what, hint in (
        ("tracking=trackio", "trackio is not installed", "[track]"),
        ("tracking=wandb", "Weights & Biases has no API key", "wandb login, or set WANDB_MODE=offline"),
    ):
        done = rlexp(project, *SHORT, typed, **environment)
        assert done.returncode == 2 and what in done.stderr and hint in done.stderr and "Traceback" not in done.stderr
        assert len(done.stderr.strip().splitlines()) == 3  # what, where, do
    assert sorted(path for path in project.rglob("*") if "__pycache__" not in path.parts) == [
        path for path in before if "__pycache__" not in path.parts
    ]


@pytest.mark.long
def test_a_run_that_was_killed_goes_on_at_its_tracker(project):
    words = (*SHORT, "method.max_steps=12", "method.save_steps=2", "preflight.smoke=never")
    place = "outputs/killed"
    command = [sys.executable, "-m", "rlexp", *words, EVERY, f"hydra.run.dir={place}"]
    environment = {**os.environ, **keeping(project), "OMP_NUM_THREADS": "1"}
    shutil.rmtree(project / "wandb", ignore_errors=True)
    shutil.rmtree(project / "trackio", ignore_errors=True)
    running = subprocess.Popen(command, cwd=project, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    until = time.monotonic() + 240
    while not list((project / place).glob("checkpoints/checkpoint-4/trainer_state.json")):
        assert running.poll() is None and time.monotonic() < until
        time.sleep(0.05)
    running.send_signal(signal.SIGKILL)
    running.wait()
    while not (first := trackers.wandb(project / "wandb")) or first[0].exit_code is None:
        assert time.monotonic() < until
        time.sleep(0.2)
    assert (first[0].status, first[0].exit_code) == ("killed", 137)
    done = rlexp(project, f"resume={place}", **keeping(project))
    assert done.returncode == 0, done.stdout + done.stderr
    record = manifest(project / place)
    lines = [json.loads(line) for line in (project / place / "metrics.jsonl").read_text().splitlines()]
    rewards = {line["step"]: line["reward"] for line in lines if "reward" in line}
    assert list(rewards) == list(range(1, 13))
    for tracker, runs in seen_by(project, project / place).items():
        assert {run.name for run in runs} == {record["tracking"]["name"]} and len({run.id for run in runs}) == 1
        assert dict(pair for run in runs for pair in run.curve("reward")) == pytest.approx(rewards), tracker
        assert runs[-1].status == "finished"
