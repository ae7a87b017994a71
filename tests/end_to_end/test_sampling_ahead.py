"""Sampling one step ahead with the real trainers, on a CPU: which weights sample, what is learned from, resuming."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from tests.conftest import ROOT, rlexp

pytestmark = pytest.mark.end_to_end
AHEAD = "method.off_policy_steps=1"


def trained(project: Path, where: str, mode: str, *overrides: str) -> dict[str, Any]:
    """What ``off_policy_run`` saw; nothing of a killed one."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.end_to_end.off_policy_run", str(project), str(project / where), mode, *overrides],
        cwd=project,
        env={**os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT), str(ROOT / "src")))},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == (9 if mode == "kill" else 0), done.stdout + done.stderr
    return {} if mode == "kill" else json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def ahead(shared_project: Path) -> dict[str, Any]:
    """Six steps of GRPO, sampled one step ahead."""
    return trained(shared_project, "outputs/ahead", "train", AHEAD)


def test_the_first_step_is_that_of_an_on_policy_run_on_the_same_prompts_in_the_same_order(shared_project, ahead):
    plain = trained(shared_project, "outputs/plain", "train")
    assert ahead["steps"][0]["completions"] == plain["steps"][0]["completions"]
    assert [step["prompts"] for step in ahead["steps"]] == [step["prompts"] for step in plain["steps"]]
    for name in ("reward", "loss", "grad_norm", "entropy"):
        assert ahead["logs"][0][name] == pytest.approx(plain["logs"][0][name], rel=1e-4)
    assert ahead["logs"][1]["reward"] != plain["logs"][1]["reward"]
    one = [step["weights"] for step in plain["steps"]]
    assert [call["weights"] for call in plain["generated"]] == one


def sampled_one_update_back(seen: dict[str, Any]) -> None:
    before = [step["weights"] for step in seen["steps"]]
    assert len(set(before)) == len(before)
    # One generation a step; that of step t+1 with the weights that step t began with.
    assert [call["weights"] for call in seen["generated"]] == [before[0], *before[:-1]]
    for number, step in enumerate(seen["steps"]):
        assert step["apart_one_back"] < 1e-3
        assert number == 0 or step["apart_now"] > 10 * step["apart_one_back"]
    clipped = [entry["clip_ratio/region_mean"] for entry in seen["logs"]]
    assert clipped[0] == 0 and any(clipped[1:])


def test_completions_and_old_log_probabilities_are_those_of_the_weights_one_update_back(ahead):
    sampled_one_update_back(ahead)


@pytest.mark.long
def test_rloo_samples_and_corrects_alike(shared_project):
    sampled_one_update_back(trained(shared_project, "outputs/rloo", "train", AHEAD, "method=rloo", "method.beta=0.01"))


@pytest.mark.long
def test_a_killed_training_goes_on_with_the_completions_that_waited(shared_project, ahead):
    trained(shared_project, "outputs/killed", "kill", AHEAD)
    again = trained(shared_project, "outputs/killed", "resume", AHEAD)
    assert [step["completions"] for step in again["steps"]] == [step["completions"] for step in ahead["steps"][3:]]
    assert again["logs"] == ahead["logs"]  # the first three from the checkpoint


def test_the_command_line_smokes_trains_and_records_it(shared_project):
    folder = shared_project / "outputs/command"
    options = ("method.max_steps=4", "held_out.rows=16", "held_out.every=2", "preflight.smoke=always")
    done = rlexp(shared_project, f"hydra.run.dir={folder}", AHEAD, "preflight.smoke_steps=4", *options, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    said = json.loads((folder / "manifest.json").read_text())
    assert said["status"] == "finished" and said["step_time_s"]["logprobs"] > 0
    assert said["smoke"]["full_length"] == 32
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    logged = {line["step"]: line for line in lines if "loss" in line}
    assert sum("held_out/reward" in line for line in lines) == 2
    for number in range(1, 5):
        kept = pq.read_table(folder / f"completions/step-{number:06d}.parquet").to_pydict()
        assert sum(kept["reward"]) / 64 == pytest.approx(logged[number]["reward"], abs=1e-5)
        assert sum(kept["tokens"]) / 64 == pytest.approx(logged[number]["completions/mean_length"])
    forced = pq.read_table(folder / "smoke/completions/step-000003.parquet").to_pydict()
    assert set(forced["tokens"]) == {32}
