"""``evaluate`` through the command line: the same bytes twice, what a kill leaves, what comes behind a training."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time

import pytest

from tests.conftest import copy_project, files, rlexp

pytestmark = pytest.mark.end_to_end
SHORT = ("method.max_steps=2", "method.save_steps=1", "held_out.rows=4", "held_out.samples=0", "preflight.smoke=never")
TASKS = ("eval=held_out+sums", "eval.rows=6", "eval.sums.samples=2")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A project with a run, evaluated when it was trained, and the answer."""
    project = copy_project(tmp_path_factory.mktemp("evaluate") / "project")
    done = rlexp(project, "hydra.run.dir=outputs/a", *SHORT, *TASKS, "--json")
    assert done.returncode == 0, done.stderr
    return project, json.loads(done.stdout)


@pytest.fixture
def place(made, tmp_path):
    """A copy of it that was not evaluated."""
    project = tmp_path / "project"
    shutil.copytree(made[0], project)
    shutil.rmtree(project / "outputs/a/evaluation")
    return project


def contents(project):
    folder = project / "outputs/a/evaluation"
    return {name: (folder / name).read_bytes() for name in files(folder) if not name.endswith("cost.json")}


def test_behind_a_training_it_is_evaluated_against_what_it_began_with(made):
    _, said = made
    assert said["status"] == "finished" and said["run_dir"] == "outputs/a"
    found = said["evaluation"]
    assert set(found["subjects"]) == {"base", "outputs/a"} and set(found["tasks"]) == {"held_out", "sums"}
    accuracy = found["results"]["sums"]["outputs/a"]["accuracy"]
    assert accuracy["prompts"] == 6 and accuracy["samples"] == 12 and accuracy["low"] <= accuracy["mean"]
    assert len(found["measured"]) == 4 and found["contamination"] == {"held_out": {}, "sums": {}}


def test_no_lock_and_no_identity_knows_of_it(made):
    project, said = made
    lock = (project / "outputs/a/run.lock.yaml").read_text()
    assert "eval=" not in lock and "eval.rows" not in lock
    plain = json.loads(rlexp(project, "plan", *SHORT, "--json").stdout)
    assert plain["identity"] == said["identity"]


def test_plan_sizes_a_task_as_evaluate_does(made):
    said = rlexp(made[0], "plan", "eval=sums", "eval.want=0.3")
    (line,) = [one for one in said.stdout.splitlines() if one.startswith("eval sums")]
    assert said.returncode == 0 and float(re.search(r"differences from ([\d.]+) on", line)[1]) <= 0.3, line
    refused = rlexp(made[0], "plan", "eval=sums", "eval.want=0.001")
    assert refused.returncode == 2 and "prompts to report on" in refused.stderr, refused.stdout


def test_a_folder_that_cannot_be_written_is_seen_before_anything_is_sampled(made, tmp_path):
    (tmp_path / "evaluation").write_text("a file, where a folder is wanted")
    shutil.copytree(made[0] / "outputs/a", made[0] / "outputs/shut", ignore=shutil.ignore_patterns("evaluation"))
    (made[0] / "outputs/shut/evaluation").symlink_to(tmp_path / "evaluation")
    done = rlexp(made[0], "evaluate", "outputs/shut", *TASKS)
    assert done.returncode != 0 and "prompts" not in done.stdout, done.stdout


@pytest.mark.long
def test_twice_it_is_the_same_bytes_and_a_second_time_nothing_is_measured(made, place):
    done = rlexp(place, "evaluate", "outputs/a", *TASKS)
    assert done.returncode == 0, done.stderr
    assert contents(place) == contents(made[0]) and "A - base: accuracy" in done.stdout
    again = json.loads(rlexp(place, "evaluate", "outputs/a", *TASKS, "--json").stdout)
    assert again["measured"] == [] and contents(place) == contents(made[0])


@pytest.mark.long
def test_one_that_was_killed_goes_on_with_what_is_missing(made, place):
    words = [sys.executable, "-m", "rlexp", "evaluate", "outputs/a", *TASKS]
    process = subprocess.Popen(words, cwd=place, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    samples = place / "outputs/a/evaluation/samples"
    until = time.time() + 120
    while not (samples.is_dir() and list(samples.glob("[!.]*.parquet"))) and time.time() < until:
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    left = len(list(samples.glob("[!.]*.parquet")))
    done = json.loads(rlexp(place, "evaluate", "outputs/a", *TASKS, "--json").stdout)
    assert 0 < left <= 4 and len(done["measured"]) == 4 - left
    assert {name: of for name, of in contents(place).items() if not name.startswith("samples/.")} == contents(made[0])


@pytest.mark.long
def test_checkpoints_and_models_stand_beside_runs_and_samples_are_scored_again(place):
    done = json.loads(rlexp(place, "evaluate", "outputs/a@1", "outputs/a", "tiny", "eval.rows=4", "--json").stdout)
    assert list(done["subjects"]) == ["base", "outputs/a@1", "outputs/a"]  # tiny is the base
    one = rlexp(place, "evaluate", "outputs/a", "eval.rows=4", "--rescore=final_number", "--json")
    assert list(json.loads(one.stdout)["results"]["held_out"]["base"])[:2] == ["reward", "final_number"]
    assert not list(place.rglob("*.partial"))


@pytest.mark.parametrize(
    ("words", "what", "hint"),
    [
        (["evaluate", "outputs/b"], "names nothing that can be evaluated", "RUN@STEP"),
        (["evaluate", "outputs/a", "seed=1"], "evaluated as it was locked", "leave it out"),
        (["evaluate", "outputs/a@9"], "no checkpoint of step 9", "checkpoint"),
        (["evaluate", "outputs/a@best"], "best", "held_out.every"),
        (["evaluate", "outputs/a", "eval=sumz"], "no eval task", "did you mean eval=sums?"),
        (["evaluate", "outputs/a", "eval=sums", "eval.want=0.001"], "prompts to report on", "type eval.want="),
        (["evaluate", "outputs/a", "eval=sums", "eval.rows=3", "--rescore=length"], "no stored samples", "--rescore"),
        (["method.max_steps=1", "eval=sumz", "hydra.run.dir=outputs/c"], "no eval task", "eval=sums"),
        (["-m", "seed=0,1", "eval=sums"], "this is a sweep", "leave it out"),
        (["smoke", "eval=sums"], "evaluates nothing", "leave it out"),
        (["eval.rows=2", "hydra.run.dir=outputs/c"], "none is asked for", "type eval=TASKS"),
        (["held_out.task=sums"], "held_out.every", "type held_out.every=10"),
        (["held_out.task=sums_pairs", "held_out.every=2"], "another kind", "name another task"),
    ],
)
def test_a_mistake_is_one_message_and_nothing_is_written(made, words, what, hint):
    project, _ = made
    before = files(project / "outputs")
    done = rlexp(project, *words)
    assert done.returncode == 2 and "Traceback" not in done.stderr, done.stderr
    message = done.stderr[done.stderr.index("error: ") :]
    assert what in message and hint in message, message
    assert files(project / "outputs") == before


def test_eval_in_a_file_of_conf_is_one_message(made):
    project, _ = made
    path = project / "conf/experiment/with_eval.yaml"
    path.write_text("# @package _global_\neval: sums\n")
    done = rlexp(project, "experiment=with_eval")
    path.unlink()
    assert done.returncode == 2 and "no part of an experiment" in done.stderr and "with_eval.yaml:2" in done.stderr


def test_samples_of_somebody_else_are_held_against_their_shape(made):
    project, said = made
    file = project / "outputs/a/evaluation" / said["evaluation"]["samples"]["sums"]["base"]["file"]
    kept = file.read_bytes()
    file.write_bytes(b"no parquet")
    done = rlexp(project, "evaluate", "outputs/a", *TASKS)
    file.write_bytes(kept)
    assert done.returncode == 2 and file.name in done.stderr and "Traceback" not in done.stderr
