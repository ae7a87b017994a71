"""Rows of a task that a run was trained on."""

import pytest

from rlexp.inputs import snapshot
from rlexp.preflight.contamination import look

WORDS = "a train leaves the station at nine and arrives at the next town half an hour later as every day of the week"


@pytest.fixture
def folders(tmp_path):
    def row(text):
        return {"prompt": [{"role": "user", "content": text}], "answer": "1"}

    train = {"train": [row("What is 1 + 2?"), row(WORDS)], "test": [row("other")]}
    task = {
        "train": [row("x")],
        "test": [row("what is  1 + 2?"), row("What is 2 + 1?"), row(f"{WORDS} too"), row("no")],
    }
    for name, splits in {"trained": train, "task": task}.items():
        snapshot.write(splits, tmp_path / name, "rows", {})
    return tmp_path / "trained", tmp_path / "task"


def test_exact_and_near_rows_are_told_by_their_place(folders):
    found = look(folders[0], folders[1], "test", [0, 1, 2, 3])
    assert (found.exact, found.near, found.rows) == ((0,), (2,), 4)
    assert "1 of 4 rows are trained on, 1 more nearly so (rows 0, 2)" in found.words()
    assert found.to_json() == {"rows": 4, "exact": [0], "near": [2]}


def test_only_the_rows_that_are_measured_count(folders):
    found = look(folders[0], folders[1], "test", [1, 3])
    assert found.clean and found.words() == ""
