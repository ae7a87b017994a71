"""Copies of an export: through fsspec, the broken left behind."""

import pytest

from rlexp.errors import RunError
from rlexp.export.push import push, ready, target


def test_artifacts_go_to_a_folder_with_manifest_and_card(tmp_path):
    folder = tmp_path / "exports/run"
    for name in ("merged", "bad", "card"):
        (folder / name).mkdir(parents=True)
        (folder / name / "file").write_text(name)
    (folder / "manifest.json").write_text("{}")
    said: list[str] = []
    path = push(folder, ["merged"], "dir:out/there", tmp_path, said.append)
    assert path == str(tmp_path / "out/there") and len(said) == 3
    assert sorted(one.name for one in (tmp_path / "out/there").iterdir()) == ["card", "manifest.json", "merged"]
    push(folder, ["merged"], "dir:out/there", tmp_path, said.append)
    assert sorted(one.name for one in (tmp_path / "out/there/merged").iterdir()) == ["file"]


@pytest.mark.parametrize("typed", ["dir:", "there", "nosuch://x/y"])
def test_what_is_no_place_is_one_message(typed, tmp_path):
    with pytest.raises(RunError) as error:
        target(typed, tmp_path)
    assert error.value.hint


def test_a_folder_that_cannot_be_made_is_seen_before_anything_is_exported(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="cannot be written"):
        ready("dir:file/there", tmp_path)
    ready("dir:out/there", tmp_path)
    assert (tmp_path / "out/there").is_dir()
