"""``eval=general`` and the tasks of lm-evaluation-harness through the real command line."""

from __future__ import annotations

import json

import pytest

from tests.conftest import copy_project, rlexp

pytestmark = pytest.mark.end_to_end
SHORT = ("method.max_steps=8", "held_out.rows=0", "preflight.smoke=never", "health=off")


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A project with a short run at an absurd learning rate, outputs/planted."""
    project = copy_project(tmp_path_factory.mktemp("general") / "project")
    trained = rlexp(project, "method.learning_rate=0.1", *SHORT, "hydra.run.dir=outputs/planted")
    assert trained.returncode == 0, trained.stderr
    return project


def test_what_was_not_trained_is_forgotten_and_the_harness_agrees(project):
    words = ("evaluate", "outputs/planted", "eval=general+lm_eval:sums_generate", "eval.rows=30")
    done = rlexp(project, *words, "--json")
    assert done.returncode == 0, done.stderr
    assert "it/s" not in done.stderr and "lm_eval:sums_generate, 30 prompts" in done.stdout + done.stderr
    answer = json.loads(done.stdout)
    assert [(one["task"], one["subject"]) for one in answer["forgotten"]] == [("sums_otherwise", "outputs/planted")]
    found = {name: of["exact_match/last_number"] for name, of in answer["results"]["lm_eval:sums_generate"].items()}
    assert found["base"]["prompts"] == 30 and found["base"]["mean"] > 0.4 > found["outputs/planted"]["mean"]

    folder = project / "outputs/planted/evaluation"
    before = {path: path.read_bytes() for path in folder.rglob("*.parquet")}
    again = rlexp(project, *words, "--again")
    assert again.returncode == 0, again.stderr
    assert {path: path.read_bytes() for path in folder.rglob("*.parquet")} == before
    assert "forgotten: A is worse at sums_otherwise than base: accuracy -" in again.stdout


@pytest.mark.long
def test_twenty_times_the_learning_rate_forgets_and_the_normal_run_does_not(project):
    steps = ("method.max_steps=40", *SHORT[1:])
    for name, rate in (("normal", "0.002"), ("fast", "0.04")):
        done = rlexp(project, *steps, f"method.learning_rate={rate}", f"hydra.run.dir=outputs/{name}", timeout=900)
        assert done.returncode == 0, done.stderr
    done = rlexp(project, "evaluate", "outputs/normal", "outputs/fast", "eval=general", "--json", timeout=900)
    assert done.returncode == 0, done.stderr
    assert [one["subject"] for one in json.loads(done.stdout)["forgotten"]] == ["outputs/fast"]
