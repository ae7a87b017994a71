"""Locked and replayable, through the real command lines of rlexp, DVC and git."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tests.conftest import ROOT, copy_project, files, rlexp
from tests.end_to_end.test_train import manifest, metrics

pytestmark = pytest.mark.end_to_end
SHORT = ("method.max_steps=3", "held_out.rows=16", "held_out.samples=1")
SHIP = ("export=merged", "export.gate.rows=4", "export.gate.tokens=40", "eval.rows=4", "--requests=2", "--seconds=0.1")
ADAPTER = "adapter/adapter_model.safetensors"


def tool(folder: Path, *command: str, expect: int = 0) -> str:
    """Runs git or dvc in a folder, with this environment's Python first on the path; what it said."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    author = {f"GIT_{who}_{what}": "a@b" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    environment = {**os.environ, **author, "PATH": path}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == expect, done.stdout + done.stderr
    return done.stdout + done.stderr


def said(project: Path, *arguments: str, expect: int = 0) -> str:
    """What rlexp says; its exit code must be ``expect``."""
    done = rlexp(project, *arguments, timeout=600)
    assert done.returncode == expect, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project under git, with a short run pinned in it and committed."""
    project = copy_project(tmp_path_factory.mktemp("origin") / "project")
    tool(project, "git", "init", "-q")
    said(project, "hydra.run.dir=outputs/short", *SHORT)
    assert "pinned: run" in said(project, "pin", "outputs/short", *SHIP)
    tool(project, "git", "add", "-A")
    tool(project, "git", "commit", "-qm", "pinned")
    return project


@pytest.fixture
def copied(origin: Path, tmp_path: Path) -> Path:
    """A copy of it, snapshot and DVC cache included, to be spoiled."""
    return Path(shutil.copytree(origin, tmp_path / "project", ignore=shutil.ignore_patterns("outputs")))


@pytest.fixture(scope="module")
def clone(origin: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh clone after ``dvc repro``."""
    folder = tmp_path_factory.mktemp("clone") / "elsewhere"
    tool(origin, "git", "clone", "-q", str(origin), str(folder))
    heard = tool(folder, "dvc", "repro")
    assert "trajectory identical: every value of 3 logged steps" in heard
    assert "level asked: trajectory" in heard
    return folder


def test_a_clone_replays_the_pinned_run_to_the_last_digit(origin, clone):
    one, two = origin / "outputs/short", clone / "pinned/replay"
    assert metrics(one)[:3] == metrics(two)[:3] and len(metrics(one)) == len(metrics(two))
    outputs = manifest(one)["outputs"], manifest(two)["outputs"]
    assert {name: md5 for name, md5 in outputs[0].items() if name.startswith("adapter/")} == {
        name: md5 for name, md5 in outputs[1].items() if name.startswith("adapter/")
    }
    assert manifest(two)["agreement"]["level"] == "trajectory"
    assert tool(clone, "git", "status", "--porcelain") == "", "dvc.lock is as the origin committed it"
    assert manifest(two)["replay_of"]["identity"] == manifest(one)["identity"]


def test_it_goes_through_to_the_card(clone):
    said, held = (json.loads((clone / f"exports/pinned/{name}.json").read_text()) for name in ("shipped", "manifest"))
    assert said["identity"] == held["of"]["identity"] and held["artifacts"]["merged"]["verdict"] != "broken"
    assert "| merged |" in (clone / "exports/pinned/card/README.md").read_text()


def test_a_second_repro_does_nothing_and_the_status_is_clean(clone):
    assert "up to date" in tool(clone, "dvc", "repro")
    assert "up to date" in tool(clone, "dvc", "status")


@pytest.mark.long
def test_dvc_experiments_vary_the_pinned_run_and_compose_what_a_group_is_named(clone):
    lock_before = (clone / "pinned/run.lock.yaml").read_bytes()
    asked = ("-S", "reward=format+correct+length", "-S", "method.max_steps=2", "-S", "held_out.rows=0")
    heard = tool(clone, "dvc", "exp", "run", *asked, "run")
    assert "asks for another run than the lock" in heard
    lock = yaml.safe_load((clone / "pinned/replay/run.lock.yaml").read_text())
    assert set(lock["inputs"]["rewards"]) == {"correct", "format", "length"}
    assert lock["config"]["method"]["max_steps"] == 2
    assert lock["config"]["held_out"]["samples"] == 1, "the pinned run's, which conf/ does not default to"
    assert (clone / "pinned/run.lock.yaml").read_bytes() == lock_before
    tool(clone, "git", "checkout", "-q", ".")


def test_without_git_dvc_makes_the_snapshots_and_the_lock_is_verified(origin, tmp_path):
    ignored = shutil.ignore_patterns(".git", "data", "cache", "outputs")
    folder = Path(shutil.copytree(origin, tmp_path / "bare", ignore=ignored))
    tool(folder, "dvc", "init", "--no-scm", "--force")
    tool(folder, "dvc", "repro", "data@arithmetic", "reward")
    assert "inputs identical" in said(folder, "replay", "pinned", "--check")


def edit(file: str, old: str, new: str) -> Callable[[Path], None]:
    """Replaces a piece of a file of the project."""

    def change(project: Path) -> None:
        text = (project / file).read_text()
        assert old in text
        (project / file).write_text(text.replace(old, new))

    return change


def remove(*names: str) -> Callable[[Path], None]:
    """Removes files and folders of the project."""

    def change(project: Path) -> None:
        for name in names:
            path = project / name
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    return change


def spoil(file: str) -> Callable[[Path], None]:
    """Changes a byte at the end of a file."""

    def change(project: Path) -> None:
        data = (project / file).read_bytes()
        (project / file).write_bytes(data[:-1] + bytes([data[-1] ^ 1]))

    return change


def every(*changes: Callable[[Path], None]) -> Callable[[Path], None]:
    """One change after the other."""

    def change(project: Path) -> None:
        for one in changes:
            one(project)

    return change


CACHE, SNAPSHOT, SCRIPT = ".dvc/cache", "data/arithmetic", "data_prep/arithmetic.py"
CHANGED_SCRIPT = edit(SCRIPT, "random.Random(seed)", "random.Random(seed + 1)")


@pytest.mark.parametrize(
    ("change", "expect", "says"),
    [
        pytest.param(
            spoil(f"{SNAPSHOT}/train.parquet"),
            0,
            ["data/arithmetic is not the locked one", "restored from DVC's cache to data/.locked/"],
            id="data edited",
            marks=pytest.mark.long,
        ),
        pytest.param(
            every(spoil(f"{SNAPSHOT}/train.parquet"), remove(CACHE)),
            0,
            ["made again by its script in data/.locked/"],
            id="data edited, not in the cache",
            marks=pytest.mark.long,
        ),
        pytest.param(
            remove(SNAPSHOT),
            0,
            ["actual missing", "restored from DVC's cache to data/arithmetic"],
            id="snapshot missing but in the cache",
            marks=pytest.mark.long,
        ),
        pytest.param(
            every(remove(SNAPSHOT, CACHE), CHANGED_SCRIPT),
            2,
            ["1 of the lock's inputs", "data/arithmetic  expected ", "actual missing", "nothing was started"],
            id="snapshot missing everywhere",
        ),
        pytest.param(
            edit("rewards/format.py", "version = 2", "version = 3"),
            0,
            ["rewards/format.py is not the locked one", "the locked copy is used instead"],
            id="reward edited",
        ),
        pytest.param(
            every(edit("rewards/format.py", "version = 2", "version = 3"), remove("pinned/sources/rewards/format.py")),
            0,
            ["rewards/format.py is not the locked one", f"the one of {ROOT} is used instead"],
            id="reward edited and the locked copy gone, rlexp has it",
        ),
        pytest.param(
            edit("conf/method/grpo.yaml", "beta: 0.0", "beta: 0.5"),
            0,
            ["conf/ composes otherwise now, the lock's config is replayed (method.beta 0.0 -> 0.5)"],
            id="config edited",
        ),
        pytest.param(
            spoil("models/tiny/model.safetensors"),
            2,
            ["models/tiny/model.safetensors  expected ", "actual "],
            id="model file edited",
        ),
        pytest.param(
            edit("models/tiny/chat_template.jinja", "<|im_start|>assistant", "<|im_start|>bot"),
            2,
            ["models/tiny/chat_template.jinja  expected "],
            id="prompt template edited",
        ),
        pytest.param(
            edit("pinned/run.lock.yaml", "beta: 0.0", "beta: 0.5"),
            2,
            ["the lock was changed after it was written", "git checkout"],
            id="lock tampered with",
        ),
        pytest.param(
            edit("pinned/metrics.jsonl", '"step": 2', '"step": 7'),
            2,
            ["metrics.jsonl is not what the run left"],
            id="metrics tampered with",
        ),
    ],
)
def test_what_replay_says_of_a_spoiled_project(copied, change, expect, says):
    change(copied)
    before = {name: (copied / name).read_bytes() for name in files(copied)}
    made = expect == 0 and any("restored from" in piece or "made again" in piece for piece in says)
    if made:  # --check runs nothing and writes nothing: what would be restored or made is missing
        checked = said(copied, "replay", "pinned", "--check", expect=2)
        assert "actual " in checked and "leave out --check" in checked and files(copied) == before.keys()
    words = ("--level", "inputs") if made else ("--check",)
    heard = said(copied, "replay", "pinned", *words, expect=expect)
    for piece in says:
        assert piece in heard
    assert "Traceback" not in heard
    assert ("inputs identical" in heard) == (expect == 0)
    assert {name: (copied / name).read_bytes() for name in before} == before, "the working copy was touched"


def test_an_edited_reward_is_replayed_with_the_locked_copy(copied):
    edit("rewards/format.py", "return [", "return [1.0 + ")(copied)
    assert "write version = 3 in it" in tool(copied, "dvc", "repro", "reward", expect=255)
    heard = tool(copied, "dvc", "repro", "--single-item", "run")
    assert "rewards/format.py is not the locked one" in heard and "the locked copy is used instead" in heard
    assert "trajectory identical" in heard


def test_another_trajectory_is_named_by_its_first_difference_and_exit_code_3(copied):
    lines = (copied / "pinned/metrics.jsonl").read_text().splitlines()
    second = json.loads(lines[1])
    lines[1] = json.dumps({**second, "reward": second["reward"] + 0.25})
    (copied / "pinned/metrics.jsonl").write_text("\n".join(lines) + "\n")
    facts = json.loads((copied / "pinned/manifest.json").read_text())
    del facts["outputs"]["metrics.jsonl"]
    (copied / "pinned/manifest.json").write_text(json.dumps(facts))
    heard = said(copied, "replay", "pinned", expect=3)
    assert "inputs identical, first step identical; the first difference is at step 2: reward expected" in heard
    assert "by 0.25" in heard and "level asked: trajectory" in heard and "not reached" in heard


@pytest.mark.long
def test_a_point_of_a_sweep_can_be_pinned_and_two_points_differ_in_beta_alone(copied):
    said(
        copied, "-m", "hydra.sweep.dir=multirun/s", "hydra.sweep.subdir=${hydra.job.num}", "method.beta=0,0.04", *SHORT
    )
    changed = json.loads(said(copied, "diff", "multirun/s/0", "multirun/s/1", "--json"))["changes"]
    assert [change["key"] for change in changed if "follows" not in change] == ["method.beta"]
    assert [(change["key"], change["follows"]) for change in changed[1:]] == [("patches.base_reference", "method.beta")]
    assert "pinned: run" in said(copied, "pin", "multirun/s/1")
    assert yaml.safe_load((copied / "params.yaml").read_text())["method"]["beta"] == 0.04
    assert "inputs identical" in said(copied, "replay", "pinned", "--check")


def test_a_run_that_did_not_finish_is_not_pinned(copied):
    folder = copied / "outputs/broken"
    shutil.copytree(copied / "pinned", folder)
    facts = {**manifest(folder), "status": "failed"}
    (folder / "manifest.json").write_text(json.dumps(facts))
    before = (copied / "pinned/run.lock.yaml").read_bytes(), (copied / "dvc.yaml").read_bytes()
    assert "only a finished run can be pinned" in said(copied, "pin", "outputs/broken", expect=2)
    assert ((copied / "pinned/run.lock.yaml").read_bytes(), (copied / "dvc.yaml").read_bytes()) == before
