"""A run with planted secrets and a model of the hub, through the real command lines.

Nothing that it writes or ``pin`` copies holds a secret; the lock holds the model's commit, and a replay takes it though
the branch moved on."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import yaml

from rlexp.inputs import trust
from tests.conftest import ROOT, copy_project, rlexp
from tests.end_to_end.test_replay import tool

pytestmark = pytest.mark.end_to_end
COMMIT, NEXT = "a" * 40, "b" * 40
PLANTED = {
    "JUDGE_API_KEY": "Planted-key-1111",
    "PLAIN_VARIABLE": "Planted/plain\"quote'2222",
    "HF_TOKEN": "hf_Planted3333Planted3333",
    "WANDB_API_KEY": "Planted4444" + "0" * 29,
}
FILED = ("Planted-dotenv-5555", "Planted-remote-6666", "Planted-code-7777")
REWARD = '''"""Needs keys, and talks about them when it fails."""
import sys

version = 1
cases = [{"completion": "x", "score": 1.0}]

def score(completions, *, key="", other=""):
    if len(completions) > 1:
        print("a library prints", key, file=sys.stderr)
    return [one(text, key, other) for text in completions]

def one(text, key, other):
    assert not text or text == "x" or (key.startswith("Planted-key") and other.startswith("Planted/plain"))
    if text.count("<") >= 4 and len(text) % 3 == 0:
        raise ValueError(f"the judge refused {key} and {other!r}")
    return 1.0
'''
TERM = "reward.terms.talks"


@pytest.fixture(scope="module")
def hub(tmp_path_factory) -> Path:
    """A cache of the hub with one model, as huggingface_hub lays it out."""
    model = tmp_path_factory.mktemp("hub") / "models--someone--tiny"
    shutil.copytree(ROOT / "models/tiny", model / "snapshots" / COMMIT)
    (model / "refs").mkdir()
    (model / "refs/main").write_text(COMMIT)
    return model


@pytest.fixture(scope="module")
def environment(hub) -> dict[str, str]:
    return {**PLANTED, "HF_HUB_CACHE": str(hub.parent), "HF_HUB_OFFLINE": "1"}


@pytest.fixture(scope="module")
def project(tmp_path_factory, environment) -> Path:
    project = copy_project(tmp_path_factory.mktemp("secrets") / "project")
    (project / "rewards/talks.py").write_text(REWARD)
    (project / "conf/reward/talks.yaml").write_text(
        "terms:\n  talks:\n    file: rewards/talks.py\n"
        "    params: {key: '${oc.env:JUDGE_API_KEY}', other: '${oc.env:PLAIN_VARIABLE}'}\n"
    )
    tool(project, "git", "init", "-q")
    tool(project, "git", "add", "-A")
    tool(project, "git", "commit", "-qm", "first")
    tool(project, "git", "remote", "add", "origin", f"https://user:{FILED[1]}@example.org/x.git")
    (project / ".gitignore").write_text("data/\noutputs/\n.smoke/\n")  # a project that forgot .env
    (project / ".env").write_text(f"export DATABASE_PASSWORD='{FILED[0]}'\n")
    (project / "conf/note.yaml").write_text(f"# {FILED[0]}, {FILED[2]}\n")
    done = rlexp(
        project,
        *("model.hub_id=someone/tiny", "model.path=null", "reward=talks+correct", "reward.max_failed=1"),
        *("method.max_steps=2", "held_out.rows=8", "held_out.samples=1", "hydra.run.dir=outputs/run"),
        *("tracking=tensorboard", "preflight.smoke=never"),
        CODE_TOKEN=FILED[2],
        **environment,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "left out of code.patch: " in done.stdout and ".env" in done.stdout
    return project


def holding(folder: Path, *secrets: str) -> list[str]:
    """The files below a folder that hold one of the texts, also as JSON writes it."""
    forms = {form.encode() for text in secrets for form in (text, json.dumps(text)[1:-1])}
    return [
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and any(form in path.read_bytes() for form in forms)
    ]


def test_nothing_that_a_run_writes_holds_a_secret(project):
    run = project / "outputs/run"
    assert holding(run, *PLANTED.values(), *FILED) == []
    lock = yaml.safe_load((run / "run.lock.yaml").read_text())
    assert lock["config"]["reward"]["terms"]["talks"]["params"]["key"] == "${oc.env:JUDGE_API_KEY}"
    failures = (run / "reward_failures.jsonl").read_text()  # so the values reached the reward
    assert "the judge refused ***" in failures
    assert "+# ***, ***" in (run / "code.patch").read_text()
    manifest = json.loads((run / "manifest.json").read_text())
    assert manifest["git"]["left_out"] == {".env": "may hold a key"} | {
        name: reason for name, reason in manifest["git"]["left_out"].items() if name != ".env"
    }


def test_nothing_that_pin_copies_holds_a_secret(project, environment):
    tool(project, "dvc", "config", "core.autostage", "false")
    done = rlexp(project, "pin", "outputs/run", **environment)
    assert done.returncode == 0, done.stdout + done.stderr
    for place in ("pinned", ".dvc", ".smoke"):
        assert holding(project / place, *PLANTED.values(), *FILED) == []
    assert "${oc.env:JUDGE_API_KEY}" in (project / "params.yaml").read_text()
    for file in ("params.yaml", "dvc.yaml", "rewards.lock.yaml"):
        assert not any(text in (project / file).read_text() for text in (*PLANTED.values(), *FILED))


@pytest.mark.long
def test_the_lock_holds_the_commit_and_a_replay_takes_it_though_the_branch_moved(project, hub, environment):
    lock = yaml.safe_load((project / "outputs/run/run.lock.yaml").read_text())
    assert lock["config"]["model"]["revision"] == lock["inputs"]["model"]["revision"] == COMMIT
    assert lock["inputs"]["model"]["files"]
    planned = rlexp(project, "plan", "model.hub_id=someone/tiny", "model.path=null", **environment)
    assert f"someone/tiny at {COMMIT}" in planned.stdout
    (hub / "refs/main").write_text(NEXT)
    moved = rlexp(project, "plan", "model.hub_id=someone/tiny", "model.path=null", **environment)
    assert f"someone/tiny at {NEXT}" in moved.stdout
    # Made here by this user: no question, although nothing of it is committed.
    done = rlexp(project, "replay", "outputs/run", **environment)
    assert done.returncode == 0 and "trajectory identical" in done.stdout, done.stdout + done.stderr
    # For somebody else it asks for the environment, and that takes a yes.
    other = rlexp(project, "replay", "outputs/run", XDG_STATE_HOME=str(project / "other"), **environment)
    assert other.returncode == 2 and "asks for the environment variable JUDGE_API_KEY" in other.stderr
    assert trust.FLAG in other.stderr
