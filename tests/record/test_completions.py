"""The stored completions of a run, and the steps that are asked for."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rlexp.errors import RunError
from rlexp.record import completions

PRESENT = [1, 5, 6, 20]


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        *(("last", [20]), ("5", [5]), ("1,5", [1, 5]), ("5,1", [5, 1]), ("1..20", PRESENT), ("2..6", [5, 6])),
        *(("5..5", [5]), ("6..99", [6, 20]), ("0..1", [1])),
        ("20..1", [20]),  # no step lies between: its first end is asked for
    ],
)
def test_steps_are_named_alone_listed_or_as_a_span(tmp_path, text, steps):
    assert completions.parse_steps(text, PRESENT, tmp_path) == steps


@pytest.mark.parametrize(
    ("text", "what", "hint"),
    [
        ("lst", "'lst' is no step", "type step=last, 1,5 or 1..20"),
        ("xyzw", "'xyzw' is no step", "type step=20, 1,5 or 1..20"),
        ("1,", "'1,' is no step", None),
        ("1...3", "'1...3' is no step", None),
        ("4", "no completions of step 4 were stored: there are 4 steps, 1 to 20", "type step=5"),
        ("1,2", "no completions of step 2", "type step=1"),
        ("99", "no completions of step 99", "type step=20"),
        ("7..19", "no completions of step 7", "type step=6"),
    ],
)
def test_a_step_that_was_not_stored_has_a_nearest(tmp_path, text, what, hint):
    with pytest.raises(RunError) as caught:
        completions.parse_steps(text, PRESENT, tmp_path)
    assert what in caught.value.what and caught.value.where == f"step={text}"
    assert hint is None or caught.value.hint == hint


def test_a_run_that_stored_none_says_so(tmp_path):
    with pytest.raises(RunError, match="stored no completions") as caught:
        completions.parse_steps("last", [], tmp_path)
    assert caught.value.where == str(tmp_path / "completions")


def store(folder, step, **columns):
    (folder / "completions").mkdir(exist_ok=True)
    pq.write_table(pa.table(columns), folder / f"completions/step-{step:06d}.parquet")


def test_completions_are_read_column_by_column_with_their_step(tmp_path):
    store(tmp_path, 10, completion=["a", "b"], group=[0, 0])
    store(tmp_path, 2, completion=["c"], group=[1])
    assert completions.steps(tmp_path) == [2, 10]
    assert completions.read(tmp_path, [2, 10]) == {
        **{"completion": ["c", "a", "b"], "group": [1, 0, 0], "step": [2, 10, 10]}
    }


def test_completions_without_groups_are_none_to_look_at(tmp_path):
    store(tmp_path, 1, completion=["a"])
    for steps in ([1], []):
        with pytest.raises(RunError, match="kept no completions"):
            completions.read(tmp_path, steps)
