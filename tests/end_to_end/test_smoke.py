"""The smoke and the ladder through the real command line."""

from __future__ import annotations

import json

import pytest
import yaml

from rlexp.compare.ladder import read, verdict
from tests.conftest import rlexp
from tests.end_to_end.planted import SMOKED, caught_at
from tests.end_to_end.test_train import manifest, train

pytestmark = pytest.mark.end_to_end
BRIEF = ("method.max_steps=4", "preflight.smoke_steps=3", "held_out.rows=8", "held_out.samples=0")
EVERY = [pytest.param(one, marks=[pytest.mark.long] if number % 4 else []) for number, one in enumerate(SMOKED)]
"""Three of four are left to make test-long, as each is a run of its own."""


@pytest.mark.parametrize("planted", EVERY, ids=lambda planted: planted.name)
def test_a_planted_failure_is_caught_by_the_smoke_and_nothing_is_trained(project, planted):
    folder, said = train(project, "outputs/planted", *planted.plant(project), "preflight.smoke_steps=6", expect=2)
    assert f"[{planted.rule}]" in said and "Traceback" not in said and "  do:    " in said
    assert manifest(folder)["status"] == "failed" and caught_at(folder) == planted.where
    assert not (folder / "metrics.jsonl").exists() and not (project / ".smoke").exists()
    verdicts = json.loads((folder / "smoke/verdicts.json").read_text())["verdicts"]
    assert planted.rule in [verdict["name"] for verdict in verdicts if verdict["level"] == "failed"]
    assert list((folder / "smoke").rglob("*.parquet")) or "dpo" in planted.name


def test_one_pass_serves_all_seeds_and_a_run_after_a_smoke_is_the_run_without_it(project):
    sweep = ("-m", "hydra.sweep.dir=multirun/s", "hydra.sweep.subdir=${hydra.job.num}", "seed=0,1", "method.beta=0.04")
    done = rlexp(project, *sweep, *BRIEF, timeout=600)
    assert done.returncode == 0 and done.stdout.count("smoke passed") == 1, done.stdout + done.stderr
    first, second = (project / "multirun/s" / number for number in "01")
    assert (first / "smoke/completions/step-000003.parquet").is_file() and not (second / "smoke").exists()
    (kept,) = (project / ".smoke").iterdir()
    assert manifest(first)["smoke"] == manifest(second)["smoke"] == json.loads(kept.read_text())
    planned = rlexp(project, "plan", "method.beta=0.04", *BRIEF)
    assert "smoke                         passed 20" in planned.stdout and "4 steps about" in planned.stdout
    # A replay takes no smoke steps, so it is the run without them.
    again = rlexp(project, "replay", "multirun/s/0", "--dir", "outputs/again")
    assert again.returncode == 0 and "trajectory identical" in again.stdout, again.stdout + again.stderr
    assert "fresh adapter is not the lock's" not in again.stdout and not (project / "outputs/again/smoke").exists()


@pytest.mark.long
def test_the_smoke_verb_leaves_a_pass_and_a_preference_run_is_the_same_with_and_without(project):
    dpo = ("method=dpo", "dataset=arithmetic_preferences", *BRIEF)
    done = rlexp(project, "smoke", "hydra.run.dir=outputs/smoked", *dpo)
    assert done.returncode == 0 and "smoke passed: loss 0.69" in done.stdout, done.stdout + done.stderr
    said = manifest(project / "outputs/smoked")
    assert said["status"] == "finished" and said["smoke"]["peak_bytes"] > 2**20 and not said["outputs"]
    _, heard = train(project, "outputs/always", "preflight.smoke=always", *dpo)
    assert "smoke passed" in heard
    again = rlexp(project, "replay", "outputs/always")
    assert again.returncode == 0 and "trajectory identical" in again.stdout, again.stdout + again.stderr


@pytest.mark.long
def test_a_ladder_adds_one_term_at_a_time_and_says_what_each_did(shared_project):
    ladder = ("ladder", "reward=format+correct+length", "reward.terms.length.weight=2", "hydra.sweep.dir=multirun/l")
    done = rlexp(shared_project, *ladder, "seed=3", "method.max_steps=2", "held_out.rows=16", timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    folders = [shared_project / "multirun/l" / number for number in "012"]
    assert [manifest(folder)["choices"]["reward"] for folder in folders] == [
        *("format", "correct+format", "correct+format+length")
    ]
    locks = [yaml.safe_load((folder / "run.lock.yaml").read_text()) for folder in folders]
    assert [lock["config"]["seed"] for lock in locks] == [3, 3, 3]
    assert len({lock["fresh_adapter_sha256"] for lock in locks}) == 1  # the same seed: the rungs begin alike
    assert "smoke" not in manifest(folders[0])
    lines = done.stdout.splitlines()
    assert [line.split()[:2] for line in lines if line.startswith("+ ")] == [["+", "correct"], ["+", "length"]] * 2
    order = ["format", "correct", "length"]
    assert lines[-2] == verdict([read(folder, order[: n + 1]) for n, folder in enumerate(folders)])
