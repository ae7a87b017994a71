"""What people say of runs: tags, notes, owners."""

import json

import pytest

from rlexp.errors import RunError
from rlexp.record import notes
from rlexp.record.listed import read
from rlexp.record.notes import Notes
from rlexp.record.select import parse, select
from tests.record.made import locked, write


def test_what_is_written_is_read(tmp_path):
    said = Notes(("baseline", "paper/v1"), "the one in the table\nwith β", "Ada Lovelace")
    notes.write(tmp_path, said)
    assert notes.read(tmp_path) == said
    notes.write(tmp_path, Notes())
    assert not (tmp_path / notes.FILE).exists() and notes.read(tmp_path) == Notes()


def test_tags_are_added_once_and_removed():
    one = Notes().changed(add=["a", "b", "a"])
    assert one.tags == ("a", "b")
    assert one.changed(add=["c"], remove=["a"], note=" said ").tags == ("b", "c")
    assert one.changed(note="x").changed(note="").note == ""


@pytest.mark.parametrize(
    ("wanted", "what", "hint"),
    [
        ({"add": ["two words"]}, "is no tag", "--add two-words"),
        ({"add": ["a,b"]}, "is no tag", "--add a-b"),
        ({"add": [""]}, "is no tag", "--add baseline"),
        ({"add": ["x" * 61]}, "is no tag", "--add " + "x" * 60),
        ({"remove": ["basline"]}, "no tag 'basline'", "did you mean --remove baseline?"),
        ({"note": "x" * 10_001}, "the note has 10001 characters", "10000"),
        ({"owner": "x" * 201}, "the owner has 201 characters", "200"),
    ],
)
def test_what_cannot_be_said_is_refused_with_what_to_type(wanted, what, hint):
    with pytest.raises(RunError) as caught:
        Notes(("baseline",)).changed(**wanted)
    assert what in caught.value.what and hint in caught.value.hint


def test_a_note_steers_no_terminal(tmp_path):
    assert Notes().changed(note="red \x1b[31m text").note == "red [31m text"
    (tmp_path / notes.FILE).write_text(json.dumps({"format": 1, "note": "a\x1b[2Jb", "tags": ["t"]}))
    assert notes.read(tmp_path).note == "a[2Jb"


@pytest.mark.parametrize("content", [{}, {"format": 2}, {"format": 1, "tags": ["a b"]}, {"format": 1, "tags": "a"}, []])
def test_a_file_of_another_shape_is_refused_and_the_run_is_listed_all_the_same(tmp_path, composed, content):
    folder = tmp_path / "outputs/a"
    write(folder, locked(composed()))
    (folder / notes.FILE).write_text(json.dumps(content))
    with pytest.raises(RunError):
        notes.read(folder)
    assert read(folder, tmp_path).notes == Notes() and read(folder, tmp_path).status == "finished"


def test_notes_that_cannot_be_read_may_be_removed(tmp_path, monkeypatch):
    (tmp_path / "a b").mkdir()
    (tmp_path / "a b" / notes.FILE).write_text("{bad")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RunError) as caught:
        notes.read(tmp_path / "a b")
    assert caught.value.hint.endswith("rm 'a b/notes.json'")


def test_what_is_to_go_and_is_not_there_is_answered_with_what_is():
    for tags, hint in ((), "leave out --remove nope: it has no tags"), (("a", "b"), "--remove nope: its tags: a, b"):
        with pytest.raises(RunError) as caught:
            Notes(tags).changed(remove=["nope"])
        assert hint in caught.value.hint


def test_runs_are_found_by_what_was_said_of_them(tmp_path, composed):
    for name, said in {
        "a": Notes(("baseline", "paper"), "Learns in ten steps", "ada"),
        "b": Notes(("paper",), "collapsed", "grace"),
        "c": Notes(),
    }.items():
        write(tmp_path / "outputs" / name, locked(composed()))
        notes.write(tmp_path / "outputs" / name, said)
    runs = [read(tmp_path / "outputs" / name, tmp_path) for name in "abc"]

    def found(*typed: str) -> str:
        return "".join(sorted(run.folder[-1] for run in select(runs, map(parse, typed), "folder", False, None)))

    assert [found("tag=paper"), found("tag=baseline"), found("tag=nothing")] == ["ab", "a", ""]
    assert [found("tag!=baseline"), found("tag=paper", "tag!=baseline")] == ["bc", "b"]
    assert [found("owner=ada"), found("note~LEARNS"), found("tag~pap"), found("typed~x")] == ["a", "a", "ab", ""]
    assert found("tag=paper", "owner=grace", "method=grpo") == "b"
