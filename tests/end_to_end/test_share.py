"""Runs that travel, as one file and by DVC: a colleague's clone reproduces them."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import pytest

from rlexp.inputs.digest import folder_md5
from tests.conftest import copy_project, files
from tests.end_to_end.test_replay import ADAPTER, said, tool

pytestmark = pytest.mark.end_to_end
SHORT = ("method.max_steps=3", "held_out.rows=8", "held_out.samples=0", "preflight.smoke=never")


def colleague(folder: Path) -> Path:
    """A fresh clone, as a colleague has it who ran nothing of it before."""
    project = copy_project(folder / "project")
    tool(project, "git", "init", "-q")
    tool(project, "git", "add", "-A")
    tool(project, "git", "commit", "-qm", "clone")
    return project


def test_a_packed_run_is_reproduced_in_a_fresh_clone_and_its_code_asks_first(tmp_path, monkeypatch):
    mine = copy_project(tmp_path / "mine")
    reward = mine / "rewards/correct.py"
    reward.write_text(reward.read_text().replace("version = ", "version = 1") + "\n# mine\n")
    said(mine, "hydra.run.dir=outputs/one", *SHORT)
    assert "packed: outputs/one" in said(mine, "pack", "outputs/one", "one.zip")
    theirs = colleague(tmp_path / "theirs")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))  # another person
    shutil.move(mine / "one.zip", theirs / "one.zip")
    shutil.rmtree(mine)
    before = files(theirs)
    heard = said(theirs, "unpack", "one.zip", "--json")
    unpacked = json.loads(heard[: heard.rindex("}") + 1])
    assert (unpacked["run_dir"], unpacked["status"]) == ("outputs/one", "finished")
    new = files(theirs) - before
    assert all(name.startswith(("outputs/one/", "data/arithmetic/")) for name in new)
    assert "outputs/one" in said(theirs, "runs") and "inputs identical" in said(
        theirs, "replay", "outputs/one", "--check"
    )
    asked = said(theirs, "replay", "outputs/one", expect=2)
    code = hashlib.sha256((theirs / "outputs/one/sources/rewards/correct.py").read_bytes()).hexdigest()
    assert "--trust" in asked and code[:12] in asked
    assert "correct.py" in asked and not list((theirs / "outputs").glob("2*/*"))
    heard = said(theirs, "replay", "outputs/one", "--dir", "outputs/again", f"--trust={code}")
    assert "trajectory identical: every value of 3 logged steps, and the trained weights" in heard
    assert (theirs / "outputs/one" / ADAPTER).read_bytes() == (theirs / "outputs/again" / ADAPTER).read_bytes()
    assert "is there already" in said(theirs, "unpack", "one.zip", expect=2)


@pytest.mark.long
def test_what_pin_leaves_travels_by_dvc(tmp_path):
    mine = colleague(tmp_path / "mine")
    said(mine, "hydra.run.dir=outputs/one", *SHORT)
    said(mine, "pin", "outputs/one")
    tool(mine, "dvc", "remote", "add", "--default", "team", str(tmp_path / "remote"))
    tool(mine, "dvc", "push")
    tool(mine, "git", "add", "-A")
    tool(mine, "git", "commit", "-qm", "pin a run")
    theirs = tmp_path / "theirs"
    tool(tmp_path, "git", "clone", "-q", str(mine), str(theirs))
    data = folder_md5(mine / "data/arithmetic")
    shutil.rmtree(mine)
    (theirs / "data_prep/arithmetic.py").unlink()  # no script makes the rows anew
    tool(theirs, "dvc", "pull", "data/arithmetic")  # the whole project names data that nobody made here
    assert folder_md5(theirs / "data/arithmetic") == data
    assert "inputs identical" in said(theirs, "replay", "pinned", "--check")
    tool(theirs, "git", "checkout", "-q", "data_prep/arithmetic.py")
    heard = tool(theirs, "dvc", "repro", "run")
    assert "trajectory identical: every value of 3 logged steps" in heard
    assert tool(theirs, "git", "status", "--porcelain") == ""
