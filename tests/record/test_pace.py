"""The time that is expected of a run, from the times of runs that finished."""

import json
from typing import Any

import pytest

from rlexp.record import pace
from rlexp.record.run_folder import MANIFEST
from tests.record.made import locked, write

TIMES = {"loaded": 3.0, "built": 4.0, "trained": 30.0, "compared": 38.0, "total": 40.0}
LEFT: dict[str, Any] = {
    "timings_s": TIMES,
    "step_time_s": {"step": 2.0},
    "steps": {"done": 10, "asked": 10},
    "warm": False,
}
ROWS = ("hardware=cpu", "held_out.rows=8")


@pytest.fixture
def left(tmp_path, composed):
    """Leaves a run that finished in a project: its overrides, and what its manifest says otherwise."""

    def leave(name, *overrides, **facts):
        write(tmp_path / "outputs" / name, locked(composed(*ROWS, *overrides)), **{**LEFT, **facts})

    return leave


def test_a_run_of_the_same_work_takes_its_median_step_and_what_stands_around(tmp_path, composed, left):
    for number, step in enumerate((2.0, 1.0, 9.0)):
        left(
            f"{number}",
            step_time_s={"step": step},
            timings_s={**TIMES, "trained": 10 * step + 10, "total": 10 * step + 20},
        )
    found = pace.expected(composed(*ROWS, "method.max_steps=50"), 50, pace.seen(tmp_path))
    assert found is not None and not found.similar
    assert (found.step, found.begin, found.after, found.runs) == (2.0, 10.0, 10.0, 3)
    assert found.seconds() == 50 * 2 + 20 and found.source == "from 3 runs"


def test_a_point_that_finds_its_model_loaded_starts_as_such_points_did(tmp_path, composed, left):
    left("cold")
    left("warm", warm=True, timings_s={**TIMES, "trained": 22.0, "total": 32.0})
    found = pace.expected(composed(*ROWS), 10, pace.seen(tmp_path))
    assert found is not None and found.seconds() - found.seconds(warm=True) == 8.0


@pytest.mark.parametrize(
    ("overrides", "step"),
    [
        (["method.num_generations=4"], 1.0),  # half of the tokens
        (["method.max_completion_length=64"], 4.0),
        (["method.beta=0.04"], 2.0),  # as many tokens, and a reference: alike, not the same
        (["method.num_generations=2"], None),  # a quarter: too far
        (["method=rloo"], None),
        (["model.full_finetuning=true"], None),
    ],
)
def test_other_work_counts_only_where_it_is_near(tmp_path, composed, left, overrides, step):
    left("one")
    found = pace.expected(composed(*ROWS, *overrides), 10, pace.seen(tmp_path))
    assert (found and (found.step, found.source)) == (step and (step, "from 1 similar run"))


def test_held_out_rows_count_each(tmp_path, composed, left):
    left("one")
    known = pace.seen(tmp_path)
    (after,) = {one.after for one in known}
    for rows in (0, 8, 16):
        found = pace.expected(composed("hardware=cpu", f"held_out.rows={rows}"), 1, known)
        assert found is not None and found.after == rows / 8 * after


@pytest.mark.parametrize(
    "facts",
    [
        {"status": "failed"},
        {"verb": "smoke"},
        {"step_time_s": {}},
        {"timings_s": {}},
        {"fork": {"run": "x", "step": 1, "identity": "y"}},
        {"step_time_s": {"step": -1}},  # no manifest of ours
        {"steps": {"done": 0, "asked": None}},
    ],
)
def test_what_did_not_train_in_one_go_says_nothing(tmp_path, left, facts):
    left("one", **facts)
    assert pace.seen(tmp_path) == []


def test_a_strangers_lock_is_left_out(tmp_path, left):
    left("one")
    folder = tmp_path / "outputs/one"
    strange: list[Any] = ["x", [], {"held_out": 3}, {"held_out": {"rows": 8}, "method": {"prompts_per_step": "8"}}]
    for held in strange:
        (folder / "run.lock.yaml").write_text(json.dumps({"config": held}))
        assert pace.seen(tmp_path) == []
    (folder / MANIFEST).write_text("[]")
    assert pace.seen(tmp_path) == []
