"""``resume=`` and ``fork=`` among the overrides, and the words that are printed for them."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlexp.errors import RunError
from rlexp.record import go_on
from rlexp.record.claim import MANIFEST, SWEEP

NAMES = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), min_size=1, max_size=20)


@settings(max_examples=300, deadline=None)
@given(NAMES)
def test_a_printed_override_is_read_back_as_it_was_meant(name):
    word = go_on.override("resume", name)
    asked = go_on.take(["seed=1", word])
    assert asked.rest == ["seed=1"] and asked.resume == word.partition("=")[2]
    assert name in go_on.texts(asked.resume)


@pytest.mark.parametrize("name", ["a b", "a,b=c", "it's", 'q"x"', "ümlaut ✓", "a@b", "$HOME `id`", "[a]{b}", "a\\b"])
def test_bash_reads_a_printed_line_back(name, tmp_path):
    printed = go_on.resume_line(tmp_path / "outputs" / name, tmp_path).removeprefix("python -m rlexp ")
    word = subprocess.run(["bash", "-c", f"printf %s {printed}"], capture_output=True, text=True, check=True).stdout
    assert f"outputs/{name}" in go_on.texts(word.partition("=")[2])


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (["resume=a", "resume=b"], "typed twice"),
        (["resume=a", "fork=b@1"], "do not go together"),
        (["resume="], "names a run folder"),
        (["fork="], "names a run folder"),
    ],
)
def test_what_cannot_be_meant_is_refused(typed, said):
    with pytest.raises(RunError, match=said) as refused:
        go_on.take(typed)
    assert refused.value.hint


def test_neither_is_another_key():
    asked = go_on.take(["method.resume_from_checkpoint=x", "fork_sha256=y", "fork=null"])
    assert asked == go_on.Asked(["method.resume_from_checkpoint=x", "fork_sha256=y"])


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("a/b@5", ("a/b", "5")),
        ("a@b", ("a@b", None)),
        ("a@3@7", ("a@3", "7")),
        ("a", ("a", None)),
        ("a@", ("a@", None)),
    ],
)
def test_run_and_step_are_split_at_the_last_at(text, parts):
    assert go_on.split(text) == parts


def made(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / MANIFEST).write_text(json.dumps({"status": "killed"}))
    return folder


def test_a_folder_is_found_from_where_it_was_typed_or_from_the_project(tmp_path):
    run = made(tmp_path / "outputs/a, b")
    for here, text in ((tmp_path, "outputs/a, b"), (tmp_path / "outputs", "a, b"), (tmp_path / "x", "outputs/a, b")):
        assert go_on.folder_of(go_on.texts(text), "resume", here, tmp_path) == run
    assert go_on.folder_of([f"{run}/{MANIFEST}"], "resume", tmp_path, tmp_path) == run


def test_a_wrong_name_is_answered_with_the_nearest_run(tmp_path):
    made(tmp_path / "outputs/some run")
    with pytest.raises(RunError) as refused:
        go_on.folder_of(["outputs/some rum"], "resume", tmp_path, tmp_path)
    assert 'did you mean resume="outputs/some run"?' in str(refused.value.hint)


def test_a_sweep_is_answered_with_one_of_its_points(tmp_path):
    made(tmp_path / "multirun/s/3")
    (tmp_path / "multirun/s" / SWEEP).touch()
    with pytest.raises(RunError, match="folder of a sweep") as refused:
        go_on.folder_of(["multirun/s"], "resume", tmp_path, tmp_path)
    assert "resume=multirun/s/3" in str(refused.value.hint)
