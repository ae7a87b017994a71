"""Where a command keeps compiled kernels: what is typed, and bad values in plain words."""

import os

import pytest

from rlexp.compose import cache
from rlexp.compose.schema import Cache
from rlexp.errors import RunError
from rlexp.record.lock import identity


@pytest.fixture(autouse=True)
def unset(monkeypatch):
    for name in (cache.FOLDER, cache.BOUND):
        monkeypatch.setenv(name, "")  # so that it is put back
        monkeypatch.delenv(name)


def test_a_relative_folder_lies_in_the_project_and_is_not_made_by_saying_it(tmp_path):
    cache.begin(Cache("kept/kernels", 0.5), tmp_path)
    assert os.environ[cache.FOLDER] == str(tmp_path / "kept/kernels") and os.environ[cache.BOUND] == "0.5"
    assert not (tmp_path / "kept").exists()
    cache.begin(Cache(), tmp_path)
    assert os.environ[cache.FOLDER] == str(tmp_path / "kept/kernels")


def test_a_folder_of_the_users_home_is_named_as_in_a_shell(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    cache.begin(Cache("~/kernels"), tmp_path / "project")
    assert os.environ[cache.FOLDER] == str(tmp_path / "kernels")


def test_it_is_in_no_config_and_no_identity(composed, tmp_path):
    run = composed(f"cache.dir={tmp_path}", "cache.max_gib=3")
    assert "cache" not in run.config() and identity(run) == identity(composed())


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("file", "a file, and no folder"),
        ("file/below", "which is no folder"),
        ("closed", "cannot be written by this user"),
        ("closed/below", "cannot be written by this user"),
        (" ", "has no name"),
        ("dangling", "a file, and no folder"),
    ],
)
def test_bad_folders_are_answered_in_plain_words(tmp_path, monkeypatch, typed, words):
    (tmp_path / "file").touch()
    (tmp_path / "closed").mkdir()
    access = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: "closed" not in str(path) and access(path, mode))
    if typed == "dangling":
        (tmp_path / "dangling").symlink_to(tmp_path / "file")
    with pytest.raises(RunError, match=words) as caught:
        cache.begin(Cache(typed), tmp_path)
    assert caught.value.where == f"cache.dir={typed}" and "cache.dir=FOLDER" in caught.value.hint
    assert cache.FOLDER not in os.environ


@pytest.mark.parametrize("typed", ["cache.max_gib=0.05", "cache.max_gib=-1", "cache.max_gib=much", "cache.size=3"])
def test_bad_bounds_are_refused(composed, typed):
    with pytest.raises(RunError) as caught:
        composed(typed)
    assert "cache" in f"{caught.value.where} {caught.value.what}" and caught.value.hint
    assert cache.BOUND not in os.environ
