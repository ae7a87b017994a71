"""The record of an export: artifacts are whole or refused, and lie where their run says."""

import json

import pytest

from rlexp.api import export_manifest
from rlexp.errors import RunError
from rlexp.record import exports


@pytest.fixture
def made(tmp_path):
    folder = tmp_path / "exports/a/gguf-q8_0"
    folder.mkdir(parents=True)
    (folder / "model.gguf").write_bytes(b"weights")
    content = {
        "format": 1,
        "name": "gguf-q8_0",
        "kind": "gguf",
        "type": "q8_0",
        "runtime": "llama.cpp",
        "path": "model.gguf",
        "of": {"run": "outputs/a", "subject": {}, "identity": "0123456789abcdef", "step": None},
        "files": exports.hashed(folder),
        "seconds": 1.0,
        "tools": {"gguf": "0.19.0"},
        "mix": {"Q8_0": 1.0},
        "note": None,
        "template_kwargs": {},
    }
    exports.write_json(folder / exports.ARTIFACT, content)
    return folder


def changed(folder, **keys):
    file = folder / exports.ARTIFACT
    file.write_text(json.dumps(json.loads(file.read_text()) | keys))


def test_an_artifact_is_what_its_folder_says(made):
    one = exports.read(made)
    exports.require_whole(one)
    assert one.path == made / "model.gguf" and one.size == 7 and one.name == "gguf-q8_0"
    assert exports.artifacts(made.parent) == [one]
    assert one.digest == exports.read(made).digest and exports.read(made.parent) is None


def test_other_bytes_are_refused(made):
    (made / "model.gguf").write_bytes(b"another")
    with pytest.raises(RunError, match="not the one that was exported"):
        exports.require_whole(exports.read(made))
    (made / "model.gguf").unlink()
    with pytest.raises(RunError, match="missing"):
        exports.require_whole(exports.read(made))


@pytest.mark.parametrize(
    "keys",
    [
        {"path": "../../secret"},
        {"path": "/etc/passwd"},
        {"runtime": "os.system"},
        {"name": "../x"},
        {"files": {"../x": {"sha256": "0" * 64, "size": 1}}},
    ],
)
def test_what_a_stranger_wrote_is_held_against_its_shape(made, keys):
    changed(made, **keys)
    with pytest.raises(RunError):
        exports.read(made)


def test_a_link_out_of_the_folder_is_refused(made, tmp_path):
    (tmp_path / "secret").write_bytes(b"weights")
    (made / "model.gguf").unlink()
    (made / "model.gguf").symlink_to(tmp_path / "secret")
    with pytest.raises(RunError, match="outside of its folder"):
        exports.require_whole(exports.read(made))


@pytest.mark.parametrize(
    ("run", "place"),
    [
        ("outputs/a", "exports/a"),
        ("outputs/2026-11-30/x", "exports/2026-11-30/x"),
        ("multirun/s/0", "exports/s/0"),
        ("pinned/replay", "exports/pinned/replay"),
    ],
)
def test_an_export_lies_where_its_run_says(tmp_path, run, place):
    assert exports.folder_of(tmp_path / run, tmp_path) == tmp_path / place


def test_an_export_of_a_run_elsewhere_lies_by_its_name(tmp_path):
    assert exports.folder_of(tmp_path / "there/b", tmp_path / "project") == tmp_path / "project/exports/b"


def test_an_export_writes_over_no_run_and_nothing_else(made):
    folder = made.parent
    (folder / "gate").mkdir()
    (folder / "latency.svg").write_text("")
    exports.require_own(folder, "exports/a")
    exports.require_own(folder / "new", "exports/new")
    (folder / "mine.txt").write_text("")
    with pytest.raises(RunError, match=r"other things than an export: mine\.txt"):
        exports.require_own(folder, "exports/a")
    run = folder.parent / "run"
    run.mkdir()
    (run / exports.MANIFEST).write_text(json.dumps({"status": "finished"}))
    with pytest.raises(RunError, match="holds a run"):
        exports.require_own(run, "exports/run")


def test_two_processes_do_not_write_to_one_export(made):
    with exports.claimed(made.parent, "exports/a"):
        other = exports.claimed(made.parent, "exports/a")
        with pytest.raises(RunError, match="another process exports"):
            other.__enter__()
    with exports.claimed(made.parent, "exports/a"):
        assert made.is_dir()


def test_the_manifest_keeps_what_it_told_of_artifacts_that_lie_there(made):
    one = exports.read(made)
    said: list[str] = []
    row = {"files": one.content["files"]}
    told = {"artifacts": {"gguf-q8_0": row, "gone": row}}
    merged = exports.Artifact(made.parent / "merged", {**one.content, "name": "merged"})
    other = exports.Artifact(made.parent / "merged", {**merged.content, "of": {**one.content["of"], "step": 4}})

    def kept(made_now):
        return export_manifest.rows_kept(made.parent, told["artifacts"], made_now, said.append)

    assert kept([merged]) == {"gguf-q8_0": row} and kept([merged, one]) == {} and not said
    assert kept([other]) == {} and "of other weights" in said[0]
