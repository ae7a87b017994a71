"""Whether a tracker can be started is looked for before anything is imported: package and key, one message."""

import sys
from typing import get_args

import pytest

from rlexp.errors import RunError, Several
from rlexp.tracking import projects, ready

KEY = "0123456789" * 4


@pytest.fixture(autouse=True)
def nobody(monkeypatch, tmp_path):
    """A machine on which wandb is installed and nobody is logged in, in a project of its own."""
    for name in (
        "WANDB_API_KEY",
        "WANDB_MODE",
        "WANDB_IDENTITY_TOKEN_FILE",
        "WANDB_BASE_URL",
        "NETRC",
        "WANDB_PROJECT",
    ):
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


@pytest.mark.parametrize("key", ["", KEY])
@pytest.mark.parametrize(("mode", "near"), [("ofline", "offline"), ("dry_run", "dryrun"), ("", "offline")])
def test_a_mode_that_is_none_is_refused_by_name_with_and_without_a_key(composed, monkeypatch, mode, near, key):
    monkeypatch.setenv("WANDB_MODE", mode)
    monkeypatch.setenv("WANDB_API_KEY", key)
    with pytest.raises(RunError, match=f"no mode '{mode}'") as caught:
        ready.require(composed("tracking=wandb"))
    assert caught.value.hint == f"set WANDB_MODE={near}" and caught.value.where == f"WANDB_MODE={mode}"


def test_the_modes_are_those_of_wandb():
    settings = pytest.importorskip("wandb").Settings
    assert sorted(ready.MODES) == sorted(get_args(settings.model_fields["mode"].annotation))


@pytest.mark.parametrize(
    "key", [KEY, f"local-{KEY}", "a.b.c", "short", f"local-{KEY[:39]}", "x" * 39, f"{KEY}!", "a b" * 20, "ü" * 40]
)
def test_a_key_is_taken_where_wandb_takes_it(composed, monkeypatch, key):
    check = pytest.importorskip("wandb.sdk.lib.wbauth.validation").check_api_key
    monkeypatch.setenv("WANDB_API_KEY", key)
    assert bool(ready.key_fault(key)) == bool(check(key))
    if not check(key):
        ready.require(composed("tracking=wandb"))
        return
    with pytest.raises(RunError, match="holds no API key") as caught:
        ready.require(composed("tracking=wandb"))
    assert key not in str(caught.value)


NAMES = (
    "rlexp",
    "a_b-c",
    "straße",
    "../../x",
    "my.model",
    "two words",
    "",
    "  ",
    "a/b",
    "a:b",
    "registry-x",
    "m_system",
)
NAMES += ("m_artifacts", "m_run_artifact_links", "m_external_run_artifact_links", "_system", "systems", "x" * 128)
NAMES += ("x" * 129,)


@pytest.mark.parametrize("name", NAMES)
def test_a_project_is_refused_where_trackio_would_change_or_refuse_it(name):
    canonical = pytest.importorskip("trackio.utils").canonical_project_name
    storage = pytest.importorskip("trackio.sqlite_storage").SQLiteStorage
    try:
        storage.validate_project_name(name)
        kept = canonical(name) == name and len(name) <= projects.LONGEST
    except ValueError:
        kept = False
    assert bool(projects.fault("trackio", name)) != kept


@pytest.mark.parametrize("name", NAMES)
def test_a_project_is_refused_where_wandb_refuses_it(name):
    wandb = pytest.importorskip("wandb")
    try:
        wandb.Settings(project=name)
        kept = bool(name.strip())
    except wandb.errors.UsageError:
        kept = False
    assert bool(projects.fault("wandb", name)) != kept


@pytest.mark.parametrize(
    ("tracker", "name", "hint"),
    [
        ("trackio", "../../x", "type tracking.project=x"),
        ("trackio", "two words", "type tracking.project=two-words"),
        ("trackio", "", "type tracking.project=rlexp"),
        ("mlflow", "", "type tracking.project=rlexp"),
        ("wandb", "a/b", "type tracking.project=a-b"),
    ],
)
def test_a_project_that_would_be_another_is_answered_with_the_nearest(composed, monkeypatch, tracker, name, hint):
    monkeypatch.setenv("WANDB_MODE", "offline")
    with pytest.raises(RunError, match="no name of a project") as caught:
        ready.require(composed(f"tracking.report_to=[{tracker}]", f"tracking.project='{name}'"))
    assert caught.value.hint == hint
    ready.require(composed(f"tracking.report_to=[{tracker}]", hint.removeprefix("type ")))


def test_the_project_of_the_environment_is_held_against_the_same_rule(composed, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_PROJECT", "a/b")
    with pytest.raises(RunError, match="no name of a project") as caught:
        ready.require(composed("tracking=wandb"))
    assert caught.value.hint == "set WANDB_PROJECT=a-b"
    ready.require(composed("tracking=trackio", "tracking.project=mine"))


def test_the_time_of_a_tracker_has_a_range(composed):
    with pytest.raises(RunError, match="time_limit is") as caught:
        composed("tracking.time_limit=1e12")
    assert "tracking.time_limit=86400" in caught.value.hint


def test_a_login_is_found_where_wandb_keeps_it(composed, monkeypatch, tmp_path):
    (tmp_path / ".netrc").write_text(f"machine api.wandb.ai login user password {KEY}\n")
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
