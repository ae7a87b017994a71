"""The answers of the verbs that load a model, through the real command line: each has the shape of its schema."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from rlexp.__main__ import VERBS
from tests.cli.test_json import document
from tests.conftest import copy_project, rlexp
from tests.end_to_end.test_replay import tool
from tests.evaluate import swept

pytestmark = pytest.mark.end_to_end
SHORT = ("method.max_steps=2", "held_out.rows=8", "preflight.smoke=never")
SHIPPED = ("export=merged", "export.gate.rows=4", "export.gate.tokens=40")
LINES = {
    "train": ["train", "method.beta=0.04", "hydra.run.dir=outputs/b", *SHORT],
    "sweep": ["-m", "method.beta=0,0.04", "hydra.sweep.dir=multirun/betas", *SHORT],
    "smoke": ["smoke", "preflight.smoke_steps=4", "hydra.run.dir=outputs/smoke"],
    "ladder": ["ladder", "reward=format+correct", "hydra.sweep.dir=multirun/l", *SHORT],
    "plan": ["plan", "--effective"],
    "prepare": ["prepare"],
    "score": ["score", "completions=outputs/a"],
    "inspect": ["inspect", "outputs/a", "rows=1", "generations=2"],
    "stored": ["inspect", "outputs/a", "step=last", "sort=worst"],
    "diff": ["diff", "outputs/a", "outputs/c"],
    "runs": ["runs"],
    "check": ["replay", "outputs/a", "--check"],
    "replay": ["replay", "outputs/a", "--dir", "outputs/again"],
    "read": ["sweep", "multirun/s"],
    "report": ["report", "outputs/a"],
    "tag": ["runs", "tag", "outputs/a", "--add", "baseline", "--owner", "ada", "--note", "short"],
    "pack": ["pack", "outputs/a", "a.zip"],
    "unpack": ["unpack", "b.zip", "--to", "outputs/theirs"],
    "pin": ["pin", "outputs/a"],
    "doctor": ["doctor"],
    "init": ["init", "mine"],
    "data": ["data"],
    "evaluate": ["evaluate", "outputs/a", "eval.rows=4"],
    "export": ["export", "outputs/a", "export.gate.rows=4", "export.gate.tokens=40"],
    "card": ["card", "outputs/a"],
    "difficulty": ["difficulty", "rows=8", "n=2"],
    "benchmark": ["benchmark", "outputs/a", "eval.rows=2", "--requests", "2", "--seconds", "0.1"],
    "ship": ["ship", "outputs/a", "eval.rows=4", *SHIPPED, "--requests", "2", "--seconds", "0.1"],
}
"""A command line for every verb, and for each form of its answer that a fast test does not ask for."""
BEFORE = {
    "benchmark": ["export", "outputs/a", "export.gate.rows=2", "export.gate.tokens=8"],
    "unpack": ["pack", "outputs/a", "b.zip"],
}
"""What has to be there."""
VERB = {"tag": "runs", "sweep": "train", "read": "sweep", "stored": "inspect", "check": "replay"}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    """A project under git with two runs in it, and the answer of the first."""
    project = copy_project(tmp_path_factory.mktemp("json") / "project")
    tool(project, "git", "init", "-q")
    done = rlexp(project, "--json", "hydra.run.dir=outputs/a", *SHORT)
    rlexp(project, "method.beta=0.04", "hydra.run.dir=outputs/c", *SHORT)
    assert done.returncode == 0, done.stderr
    swept.made(project, {**swept.grid(), ("method.beta=1", 0): None})
    assert "step 2/2" in done.stderr and "making data/arithmetic" in done.stderr
    return project, document("train", done.stdout)


def test_a_run_answers_what_it_came_to(made):
    _, said = made
    assert (said["run_dir"], said["status"], said["steps"]) == ("outputs/a", "finished", 2)
    assert said["weights"] == "outputs/a/adapter" and said["metric"]["name"] == "reward"
    assert said["held_out"]["correct"]["standard_error"] and said["step_time_s"]["step"] > 0
    assert said["reward"] == "correct+format" and said["warnings"] == [] and said["health"] == {}


def test_there_is_a_line_for_every_verb():
    assert {VERB.get(name, name) for name in LINES} == set(VERBS)


SLOW = ("sweep", "smoke", "ladder", "difficulty", "benchmark", "ship", "export")


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.long] if name in SLOW else []) for name in LINES]
)
def test_a_verb_answers_one_document_of_its_shape(made, name):
    project, _ = made
    if name in BEFORE:
        assert rlexp(project, *BEFORE[name], timeout=600).returncode == 0
    done = rlexp(project, *LINES[name], "--json", timeout=600, HF_HUB_OFFLINE="1")
    said = document(VERB.get(name, name), done.stdout)
    assert "error" not in said, said
    assert done.returncode == (0 if name != "doctor" else done.returncode)
    if name == "sweep":
        assert [(p["varied"], p["status"]) for p in said["points"]] == [
            (["method.beta=0"], "finished"),
            (["method.beta=0.04"], "finished"),
        ]
    if name == "replay":
        assert said["agreement"]["reached"] and said["run_dir"] == "outputs/again"
    if name == "ladder":
        assert [rung["run"]["status"] for rung in said["rungs"]] == ["finished"] * 2


def test_a_run_that_fails_answers_its_error_and_its_folder_and_a_point_its_reason(made):
    project, _ = made
    (project / "rewards/picky.py").write_text(
        "version = 1\n\n\ndef score(completions, *, fail):\n"
        "    return [1 / (1 - fail * ('= ' in text)) for text in completions]\n"
    )
    (project / "conf/reward/picky.yaml").write_text("terms: {picky: {file: rewards/picky.py, params: {fail: 0}}}\n")
    line = ("reward=format+picky", *SHORT, "--json")
    done = rlexp(project, "reward.terms.picky.params.fail=1", "hydra.run.dir=outputs/failed", *line)
    said = document("train", done.stdout)
    assert done.returncode == said["exit_code"] == 2 and "Traceback" not in done.stderr
    assert "ZeroDivisionError" in said["error"]["what"] and said["run_dir"] == "outputs/failed"
    folders = ("hydra.sweep.dir=multirun/f", "hydra.sweep.subdir=${hydra.job.num}")
    done = rlexp(project, "-m", "reward.terms.picky.params.fail=1,0", *folders, *line)
    points = document("train", done.stdout)["points"]
    assert done.returncode == 1 and [point["status"] for point in points] == ["failed", "finished"]
    assert "ZeroDivisionError" in points[0]["reason"] and points[0]["run_dir"] == "multirun/f/0"


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), pytest.param(signal.SIGTERM, 143, marks=pytest.mark.long)]
)
def test_an_interrupted_run_answers_its_folder(made, number, code):
    project, _ = made
    where = project / f"outputs/ended_{code}"
    line = [f"hydra.run.dir={where}", "method.max_steps=1000", "preflight.smoke=never", "--json"]
    command = [sys.executable, "-m", "rlexp", *line]
    process = subprocess.Popen(command, cwd=project, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    while not (where / "metrics.jsonl").exists() and time.monotonic() < deadline:
        time.sleep(0.2)
    process.send_signal(number)
    out, heard = process.communicate(timeout=60)
    said = document("train", out)
    assert process.returncode == said["exit_code"] == code, heard
    assert said["run_dir"] == f"outputs/ended_{code}" and "Traceback" not in heard
    assert json.loads((where / "manifest.json").read_text())["status"] == "interrupted"
