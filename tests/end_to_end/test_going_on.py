"""A training that goes on from a checkpoint ends byte for byte as the one that nobody stopped."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.going_on import differences, learned

pytestmark = pytest.mark.end_to_end
SHORT = (
    *("model=tiny", "held_out.rows=4", "held_out.samples=0", "preflight.smoke=never", "method.prompts_per_step=2"),
    *("method.max_steps=6", "method.save_strategy=steps", "method.save_steps=1", "method.save_total_limit=null"),
)
SETTINGS = {
    "grpo": ("method=grpo",),
    "grpo with KL": ("method.beta=0.04",),
    "grpo in mid-generation": ("method.num_iterations=2",),
    "grpo in several passes": ("hardware.sequences_per_device=8",),
    "grpo one step off policy": ("method.off_policy_steps=1", "dataset.train_rows=8"),
    "grpo in the second epoch": ("dataset.train_rows=4",),
    "grpo measured while it trains": ("held_out.every=2",),
    "dpo measured while it trains": (
        *("method=dpo", "dataset=arithmetic_preferences", "held_out.every=1", "held_out.keep=1"),
    ),
    "grpo of two data sets": ("dataset=arithmetic+gcd",),
    "rloo": ("method=rloo", "method.beta=0.04"),
    "rloo in mid-generation in the second epoch": ("method=rloo", "method.num_iterations=2", "dataset.train_rows=2"),
    "orpo": ("method=orpo", "dataset=arithmetic_preferences", "dataset.train_rows=4"),
    "kto": ("method=kto", "dataset=arithmetic_judged", "dataset.train_rows=4", "method.logging_steps=2"),
    "sft": ("method=sft", "dataset=arithmetic_demonstrations", "dataset.train_rows=4", "method.logging_steps=2"),
    "every weight": ("method=sft", "dataset=arithmetic_demonstrations", "model.full_finetuning=true"),
}


def done(project: Path, *cases: list[object]) -> str:
    """Does cases of ``tests.going_on`` one after the other in a process; what it said."""
    ran = subprocess.run(
        [sys.executable, "-m", "tests.going_on", str(project), *map(json.dumps, cases)],
        cwd=project,
        env={**os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT), str(ROOT / "src")))},
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def test_it_goes_on_in_mid_generation_in_the_second_epoch_between_two_log_entries(shared_project):
    mixed = ("method.num_iterations=2", "dataset.train_rows=2", "method.logging_steps=2", "method.beta=0.04")
    said = done(
        shared_project,
        ["train", "outputs/whole", *SHORT, *mixed, "held_out.every=3"],
        ["copy", "outputs/killed", "outputs/whole", 4],
        ["damage", "outputs/killed/checkpoints/checkpoint-4/optimizer.pt"],
        ["resume", "outputs/killed"],
    )
    assert "resumed from 3, passed over {'checkpoint-4': 'optimizer.pt is not what was written'}" in said
    assert (shared_project / "outputs/whole/selection.jsonl").read_text().count("\n") == 3  # 0, 3 and 6
    assert differences(shared_project / "outputs/whole", shared_project / "outputs/killed") == []


def test_an_offline_training_goes_on_also_where_only_its_end_was_missing(shared_project):
    said = done(
        shared_project,
        ["train", "outputs/pairs", *SHORT, "method=dpo", "dataset=arithmetic_preferences", "dataset.train_rows=4"],
        ["copy", "outputs/pairs_3", "outputs/pairs", 3],
        ["resume", "outputs/pairs_3"],
        ["copy", "outputs/pairs_6", "outputs/pairs", 6],
        ["resume", "outputs/pairs_6"],
    )
    assert "resumed from 3," in said and "resumed from 6," in said
    whole = shared_project / "outputs/pairs"
    assert len(learned(whole)) == 7  # the closing row
    assert differences(whole, shared_project / "outputs/pairs_3") == []
    assert differences(whole, shared_project / "outputs/pairs_6") == []


@pytest.mark.long
@pytest.mark.parametrize("setting", SETTINGS.values(), ids=SETTINGS)
def test_every_method_and_setting_goes_on(shared_project, setting, request):
    name = "outputs/" + request.node.callspec.id.replace(" ", "_")
    done(shared_project, ["train", name, *SHORT, *setting], ["copy", f"{name}_again", name, 3])
    assert "resumed from 3," in done(shared_project, ["resume", f"{name}_again"])
    assert differences(shared_project / name, shared_project / f"{name}_again") == []


@pytest.mark.long
def test_a_fork_goes_on_with_its_own_settings_and_else_as_its_run(shared_project):
    from_3 = "outputs/forked/checkpoints/checkpoint-3"
    done(
        shared_project,
        ["train", "outputs/forked", *SHORT],
        ["fork", "outputs/same", from_3, *SHORT],
        ["fork", "outputs/other", from_3, *SHORT, "method.learning_rate=1e-5", "method.logging_steps=3"],
        ["fork", "outputs/seed", from_3, *SHORT, "seed=7"],
    )
    whole, same = (learned(shared_project / f"outputs/{name}") for name in ("forked", "same"))
    assert [row["step"] for row in same] == [4, 5, 6, 6] and same[:3] == whole[3:6]
    weights = [
        (shared_project / f"outputs/{name}/adapter/adapter_model.safetensors").read_bytes()
        for name in ("forked", "same", "other", "seed")
    ]
    assert weights[0] == weights[1] and len(set(weights)) == 3
    other = learned(shared_project / "outputs/other")
    assert [row["step"] for row in other] == [6, 6] and 0 < float(str(other[0]["learning_rate"])) <= 1e-5
    assert (shared_project / from_3).is_dir() and len(list((shared_project / from_3).parent.iterdir())) >= 6


@pytest.mark.long
def test_killed_runs_go_on(tmp_path):
    from tests import kills
    from tests.conftest import copy_project

    rows = kills.main(8, 21, 2, copy_project(tmp_path / "project"))
    assert [row["equal"] for row in rows] == ["yes"] * 8, rows
