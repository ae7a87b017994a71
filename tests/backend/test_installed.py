"""What a run imports is looked for before anything is imported."""

import sys

import pytest

from rlexp.backend import installed
from rlexp.errors import RunError


@pytest.fixture(autouse=True)
def nobody(monkeypatch, tmp_path):
    """A machine on which wandb is installed and nobody is logged in, in a project of its own."""
    for name in ("WANDB_API_KEY", "WANDB_MODE", "WANDB_IDENTITY_TOKEN_FILE", "WANDB_BASE_URL", "NETRC"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf/config.yaml").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(installed, "_missing", lambda name: False)


@pytest.mark.parametrize("name", ["unsloth", "trl"])
def test_a_library_that_is_missing_is_named_with_the_pip_line(composed, monkeypatch, name):
    monkeypatch.undo()
    monkeypatch.setitem(sys.modules, name, None)  # hidden, as if it were not there
    with pytest.raises(RunError, match=f"{name} is not installed") as caught:
        installed.require(composed("hardware=cpu"))
    assert "pip install" in caught.value.hint


def test_wandb_without_a_key_is_one_message(composed):
    with pytest.raises(RunError, match="no API key") as caught:
        installed.require(composed("tracking=wandb"))
    assert "wandb login" in caught.value.hint and "WANDB_MODE=offline" in caught.value.hint


@pytest.mark.parametrize("mode", ["offline", "disabled"])
def test_a_mode_that_needs_no_key_is_fine(composed, monkeypatch, mode):
    monkeypatch.setenv("WANDB_MODE", mode)
    installed.require(composed("tracking=wandb"))


def test_a_login_is_found_where_wandb_keeps_it(composed, monkeypatch, tmp_path):
    (tmp_path / ".netrc").write_text("machine api.wandb.ai login user password secret\n")
    installed.require(composed("tracking=wandb"))
    monkeypatch.setenv("WANDB_BASE_URL", "https://wandb.mine")
    with pytest.raises(RunError, match="no API key"):
        installed.require(composed("tracking=wandb"))


def test_the_trackers_file_a_run_under_its_project_unless_told_otherwise(composed, monkeypatch):
    monkeypatch.setenv("WANDB_PROJECT", "typed")
    monkeypatch.delenv("MLFLOW_EXPERIMENT_NAME", raising=False)
    monkeypatch.setattr(installed.os, "environ", dict(installed.os.environ))
    installed.name_projects(composed("tracking.project=mine"))
    named = installed.os.environ
    assert (named["WANDB_PROJECT"], named["MLFLOW_EXPERIMENT_NAME"]) == ("typed", "mine")
