"""Sweeps through the real command line: warm points, failures, deaths, signals, other launchers."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import rlexp

pytestmark = pytest.mark.end_to_end
SHORT = ("method.max_steps=3", "held_out.rows=4", "held_out.samples=0", "preflight.smoke=never")
DIR = "hydra.sweep.dir=multirun/s"
METHODS = {
    "grpo": ("method.num_generations=4,8", "method.beta=0,0.04"),
    "grpo full": ("method=grpo", "model.lora.r=8,4", "model.full_finetuning=false,true"),
    "rloo": ("method=rloo", "method.num_generations=4,8", "seed=0,1"),
    "dpo": ("method=dpo", "dataset=arithmetic_preferences", "method.beta=0.1,0.3", "seed=0,1"),
    "orpo": (
        "method=orpo",
        "dataset=arithmetic_preferences",
        "method.beta=0.1,0.3",
        "model.full_finetuning=false,true",
    ),
    "kto": ("method=kto", "dataset=arithmetic_judged", "method.learning_rate=1e-4,2e-4"),
    "sft": ("method=sft", "dataset=arithmetic_demonstrations", "seed=0,1"),
    "data and reward": ("reward=format+correct,correct", "dataset.train_rows=64,128"),
    "recipes": ("experiment=sums_grpo,sums_dpo",),
}
"""Of each kind of swept key the points; a full fine-tuning between two adapters among them."""


def plan(project: Path) -> list[dict[str, Any]]:
    return json.loads((project / "multirun/s/sweep.json").read_text())["points"]


def record(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "manifest.json").read_text())


def trained(folder: Path) -> tuple[list[str], list[dict[str, Any]]]:
    """Hashes of the weights, and the metrics without times."""
    files = [folder / name for name in ("adapter/adapter_model.safetensors", "model/model.safetensors")]
    hashes = [hashlib.sha256(file.read_bytes()).hexdigest() for file in files if file.is_file()]
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    timed = ("timing", "train_runtime", "train_samples_per_second", "train_steps_per_second")
    return hashes, [{key: value for key, value in line.items() if key not in timed} for line in lines]


def cold(project: Path, point: dict[str, Any]) -> Path:
    """The same point as a command of its own."""
    folder = f"outputs/{point['folder']}"
    done = rlexp(project, *point["overrides"], f"hydra.run.dir={folder}")
    assert done.returncode == 0, done.stderr
    return project / folder


def started(project: Path, *words: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "rlexp", "-m", *SHORT, *words, DIR]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    return subprocess.Popen(command, cwd=project, env=environment, start_new_session=True, **pipes)


def await_step(project: Path, steps: int) -> Path:
    """The folder of the point that trained so many steps first."""
    until = time.monotonic() + 240
    while time.monotonic() < until:
        for log in (project / "multirun/s").glob("*/metrics.jsonl"):
            if len(log.read_text().splitlines()) >= steps:
                return log.parent
        time.sleep(0.05)
    raise AssertionError("no point trained")


def test_points_are_warm_equal_to_cold_ones_failures_are_named_and_the_sweep_grows(project):
    done = rlexp(project, "-m", *SHORT, "seed=0,1", "method.learning_rate=0.002,1e30", DIR)
    assert done.returncode == 1, done.stdout + done.stderr
    points = {tuple(one["overrides"][-2:]): one for one in plan(project)}
    table = [
        line for line in done.stdout.splitlines() if line.startswith(tuple(one["folder"] for one in plan(project)))
    ]
    assert len(table) == 4 and sum("finished" in line for line in table) == 2
    assert sum("stopped: [health.not_finite]" in line for line in table) == 2
    last = points["seed=1", "method.learning_rate=0.002"]
    folder = project / "multirun/s" / last["folder"]
    assert trained(folder) == trained(cold(project, last))
    grown = rlexp(project, "-m", *SHORT, "seed=0,1,2", "sweep.into=multirun/s", "method.learning_rate=0.002")
    assert grown.returncode == 1, "two of its points failed"  # those of before stand in the table
    assert grown.stdout.count("was trained already") == 2 and len(plan(project)) == 5
    assert record(folder)["status"] == "finished" and not list((project / "multirun/s").glob("*.died"))


@pytest.mark.long
@pytest.mark.parametrize("kind", METHODS)
def test_a_warm_point_is_its_cold_twin_bit_for_bit(project, kind):
    done = rlexp(project, "-m", *SHORT, *METHODS[kind], DIR, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    warm = []
    for point in plan(project):
        folder = project / "multirun/s" / point["folder"]
        assert trained(folder) == trained(cold(project, point)), point
        warm.append(record(folder)["warm"])
    assert warm[0] is False and (any(warm) or "full" in kind)


@pytest.mark.long
def test_a_worker_that_is_killed_costs_its_point_one_attempt(project):
    process = started(project, "method.max_steps=30", "seed=0,1")
    folder = await_step(project, 3)
    os.kill(record(folder)["pid"], signal.SIGKILL)
    said = process.communicate(timeout=300)[0]
    assert process.returncode == 0, said
    assert "was ended by SIGKILL; it is begun again" in said and said.count(" finished ") == 2
    assert record(folder)["status"] == "finished" and record(folder.with_name(f"{folder.name}.died"))


@pytest.mark.long
def test_ctrl_c_ends_a_sweep_with_its_table_and_it_goes_on(project):
    process = started(project, "method.max_steps=30", "seed=0,1")
    folder = await_step(project, 3)
    os.killpg(process.pid, signal.SIGINT)
    said = process.communicate(timeout=120)[0]
    assert process.returncode == 130, said
    assert "interrupted: stopped by Ctrl-C" in said and "not begun" in said
    assert said.strip().splitlines()[-1].endswith("to go on: python -m rlexp -m sweep.into=multirun/s")
    done = rlexp(project, "-m", "sweep.into=multirun/s")
    assert done.returncode == 0, done.stdout + done.stderr
    attempts = record(folder)["attempts"]
    assert len(attempts) == 2 and attempts[1]["from_step"] >= 2, "it went on from its checkpoint"
    assert [record(project / "multirun/s" / one["folder"])["status"] for one in plan(project)] == ["finished"] * 2


@pytest.mark.long
@pytest.mark.parametrize("launcher", ["joblib", "submitit_local"])
def test_other_launchers_leave_the_same_table(project, launcher):
    pytest.importorskip(f"hydra_plugins.hydra_{launcher.partition('_')[0]}_launcher")
    done = rlexp(project, "-m", *SHORT, "method.learning_rate=0.002,1e30", f"hydra/launcher={launcher}", DIR)
    assert done.returncode == 1, done.stdout + done.stderr
    assert " finished " in done.stdout and "stopped: [health.not_finite]" in done.stdout
    assert [len(list((project / "multirun/s" / one["folder"]).glob("manifest.json"))) for one in plan(project)] == [
        1,
        1,
    ]


@pytest.mark.long
def test_a_job_of_submitit_that_is_killed_leaves_the_others_their_end(project):
    pytest.importorskip("hydra_plugins.hydra_submitit_launcher")
    process = started(project, "method.max_steps=20", "seed=0,1", "hydra/launcher=submitit_local")
    folder = await_step(project, 3)
    os.kill(record(folder)["pid"], signal.SIGKILL)
    said = process.communicate(timeout=300)[0]
    assert process.returncode == 1, said
    assert " killed: " in said and " finished " in said
