"""Snapshots: whole or not at all, never written over."""

import pytest

from rlexp.errors import RunError
from rlexp.inputs import snapshot
from rlexp.inputs.digest import folder_md5

ROWS = {"train": [{"prompt": "a", "answer": "1"}], "test": [{"prompt": "b", "answer": "2"}]}


def test_a_snapshot_says_what_it_holds(tmp_path):
    folder = snapshot.write(ROWS, tmp_path / "mine", "two rows", {"script": "data_prep/mine.py"})
    said = snapshot.describe(folder)
    assert said["columns"] == {"prompt": "string", "answer": "string"}
    assert said["splits"]["train"]["rows"] == 1


def test_the_same_rows_give_the_same_hash(tmp_path):
    made = [snapshot.write(ROWS, tmp_path / name, "two rows", {}) for name in ("one", "two")]
    assert folder_md5(made[0]) == folder_md5(made[1])


@pytest.mark.parametrize(
    ("rows", "what"),
    [
        ({"train": [], "test": []}, "has no rows"),
        ({"train": [{"prompt": "a"}, {"promt": "b"}]}, "row 1 of the train split"),
    ],
)
def test_a_broken_split_leaves_no_snapshot_behind(tmp_path, rows, what):
    with pytest.raises(RunError, match=what):
        snapshot.write(rows, tmp_path / "mine", "rows", {})
    assert not (tmp_path / "mine").exists()


@pytest.mark.parametrize(
    ("values", "what", "hint"),
    [
        (["a", "a\ud800"], "column prompt, row 1 .*surrogates", "no character"),
        ([1, 2, 2**70], "column prompt, row 2 .*too large", "as text"),
        ([1, "a"], "column prompt: ", "the same type"),
    ],
)
def test_a_value_that_no_column_holds_is_named(tmp_path, values, what, hint):
    with pytest.raises(RunError, match=what) as caught:
        snapshot.write({"train": [{"prompt": value} for value in values]}, tmp_path / "mine", "rows", {})
    assert hint in caught.value.hint


def test_a_snapshot_is_never_written_over(tmp_path):
    snapshot.write(ROWS, tmp_path / "mine", "two rows", {})
    with pytest.raises(RunError, match="never written over"):
        snapshot.write(ROWS, tmp_path / "mine", "two rows", {})
