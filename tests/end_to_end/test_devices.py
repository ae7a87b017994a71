"""A run on several devices, as two processes on a CPU show it: the same optimisation problem, one record, one ending."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time

import pyarrow.parquet as pq
import pytest
from safetensors.torch import load_file

from rlexp.backend import ranks as group
from tests.conftest import rlexp
from tests.going_on import differences

SHORT = (
    *("model=tiny", "method.prompts_per_step=4", "held_out.rows=8", "held_out.samples=0", "preflight.smoke=never"),
    *("method.max_steps=4",),
)
ONE, TWO = ("hardware=cpu", "rollout.seed_rows=true"), ("hardware=cpu_ddp2",)
ROUNDING = 1e-6
WEIGHTS = 1e-4
"""What rounding makes of weights of about 5e-3 in four steps: Adam divides by the square root of small squares."""
KINDS = {
    "dapo": ("method=grpo", "method.loss_type=dapo"),
    "grpo": ("method=grpo", "method.loss_type=grpo"),
    "dr_grpo, KL, passes": (
        *("method=grpo", "method.loss_type=dr_grpo", "method.scale_rewards=none", "method.beta=0.04"),
        "hardware.sequences_per_device=8",
    ),
    "a group on both": ("method=grpo", "method.prompts_per_step=1"),
    "rloo": ("method=rloo",),
    "dpo": ("method=dpo", "dataset=arithmetic_preferences"),
    "orpo": ("method=orpo", "dataset=arithmetic_preferences"),
    "kto": ("method=kto", "dataset=arithmetic_judged", "method.loss_type=apo_zero_unpaired"),
    "sft": ("method=sft", "dataset=arithmetic_demonstrations"),
}


def metrics(folder):
    """The entries of a run."""
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def manifest(folder):
    """The manifest of a run."""
    return json.loads((folder / "manifest.json").read_text())


def run(project, name, *overrides):
    """A run that finishes."""
    done = rlexp(project, *SHORT, *overrides, f"hydra.run.dir=outputs/{name}")
    assert done.returncode == 0, done.stdout + done.stderr
    return done, project / "outputs" / name


def same_training(one, other):
    """Two run folders hold the same training, but for rounding."""
    for left, right in zip(metrics(one), metrics(other), strict=True):
        assert left.keys() == right.keys()
        for key in left.keys() & {"num_tokens", "reward", "completions/mean_length", "epoch"}:
            assert left[key] == pytest.approx(right[key], abs=ROUNDING), (left["step"], key)
    first = metrics(one)[0], metrics(other)[0]
    for key in ("loss", "grad_norm"):
        assert first[0][key] == pytest.approx(first[1][key], abs=ROUNDING), key
    left, right = (load_file(folder / "adapter/adapter_model.safetensors") for folder in (one, other))
    assert left.keys() == right.keys()
    assert max(float((left[name] - right[name]).abs().max()) for name in left) < WEIGHTS


@pytest.mark.long
@pytest.mark.parametrize("kind", KINDS)
def test_two_devices_train_what_one_trains(shared_project, kind):
    slug = re.sub(r"\W+", "_", kind)
    _, one = run(shared_project, f"{slug}_1", *KINDS[kind], *ONE)
    _, two = run(shared_project, f"{slug}_2", *KINDS[kind], *TWO)
    assert manifest(one)["identity"] == manifest(two)["identity"]
    same_training(one, two)
    files = sorted(path.name for path in (one / "completions").glob("*"))
    assert files == sorted(path.name for path in (two / "completions").glob("*"))
    for name in files:
        left, right = (pq.read_table(folder / "completions" / name) for folder in (one, two))
        assert left.equals(right), name
