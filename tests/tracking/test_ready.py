"""Whether a tracker can be started is looked for before anything is imported: package and key, one message."""

import sys

import pytest

from rlexp.errors import RunError, Several
from rlexp.tracking import ready


@pytest.fixture(autouse=True)
def nobody(monkeypatch, tmp_path):
    """A machine on which wandb is installed and nobody is logged in, in a project of its own."""
    for name in ("WANDB_API_KEY", "WANDB_MODE", "WANDB_IDENTITY_TOKEN_FILE", "WANDB_BASE_URL", "NETRC"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf/config.yaml").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(ready, "_missing", lambda name: False)


def test_wandb_without_a_key_is_one_message(composed):
    with pytest.raises(RunError, match="no API key") as caught:
        ready.require(composed("tracking=wandb"))
    assert "wandb login" in caught.value.hint and "WANDB_MODE=offline" in caught.value.hint


@pytest.mark.parametrize("mode", ["offline", "disabled"])
def test_a_mode_that_needs_no_key_is_fine(composed, monkeypatch, mode):
    monkeypatch.setenv("WANDB_MODE", mode)
    ready.require(composed("tracking=wandb"))


def test_a_login_is_found_where_wandb_keeps_it(composed, monkeypatch, tmp_path):
    (tmp_path / ".netrc").write_text("machine api.wandb.ai login user password secret\n")
    ready.require(composed("tracking=wandb"))
    monkeypatch.setenv("WANDB_BASE_URL", "https://wandb.mine")
    with pytest.raises(RunError, match="no API key"):
        ready.require(composed("tracking=wandb"))


@pytest.mark.parametrize("name", ["wandb", "trackio", "tensorboard"])
def test_a_tracker_that_is_not_installed_is_named_with_the_extra(composed, monkeypatch, name):
    monkeypatch.undo()
    monkeypatch.setitem(sys.modules, name, None)  # hidden, as if it were not there
    with pytest.raises(RunError, match=f"{name} is not installed") as caught:
        ready.require(composed(f"tracking={name}"))
    assert "track" in caught.value.hint and "pip install" in caught.value.hint


def test_what_several_trackers_miss_is_said_together(composed, monkeypatch):
    monkeypatch.setattr(ready, "_missing", lambda name: name != "wandb")
    with pytest.raises(Several) as caught:
        ready.require(composed("tracking=wandb+trackio"))
    assert "trackio is not installed" in str(caught.value) and "no API key" in str(caught.value)
