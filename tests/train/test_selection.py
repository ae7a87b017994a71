"""Which checkpoints are kept for the choice, and which one it is, by what was measured alone."""

from __future__ import annotations

import json
import os

import pytest

from rlexp import chosen
from rlexp.evaluate.held_out_callback import Measured
from rlexp.train import summary
from rlexp.train.selection import Selection
from tests import begun

LEVELS = {0: 0.0, 2: 0.5, 4: 0.75, 6: 0.25, 8: 0.625, 10: 1.0}
"""Step -> share of eight rows that score 1, the first ones: steps differ on whole rows."""


def rows(share):
    return [float(number < 8 * share) for number in range(8)]


def measured(values, metric="reward"):
    return Measured(metric, values, {})


@pytest.fixture
def said():
    return []


@pytest.fixture
def select(tmp_path, said):
    def made(keep=2, began=0, folder=tmp_path):
        return Selection(folder, keep, began, said.append)

    return made


def checkpoint(run_dir, step):
    folder = run_dir / f"checkpoints/checkpoint-{step}"
    begun.adapter(folder, seed=step)
    (folder / "trainer_state.json").write_text("{}")


def test_the_highest_are_kept_and_what_would_be_chosen(select):
    one, wanted, kept = select(), [], []
    for step, share in LEVELS.items():
        wanted.append(one.note(step, measured(rows(share)), 0.5))
        kept.append(sorted(one.kept))
    assert wanted == [False, True, True, False, True, True]
    assert kept == [[], [2], [2, 4], [2, 4], [4, 8], [4, 10]]
    assert one.seconds == 3.0


def test_with_none_to_keep_the_one_that_would_be_chosen_is(select):
    one = select(keep=0)
    for step, share in LEVELS.items():
        one.note(step, measured(rows(share)), 0.5)
    assert one.kept == {10}


def test_what_follows_is_the_same_after_any_line_and_whatever_the_disk_held(select, tmp_path):
    whole = select()
    for step, share in LEVELS.items():
        whole.note(step, measured(rows(share)), 0.5)
    lines = (tmp_path / chosen.SELECTION).read_text().splitlines(keepends=True)
    for cut in range(1, len(lines)):
        folder = tmp_path / str(cut)
        folder.mkdir()
        (folder / chosen.SELECTION).write_text("".join(lines[:cut]))
        again = select(folder=folder)
        again.read()
        for step in list(LEVELS)[cut:]:
            again.note(step, measured(rows(LEVELS[step])), 0.5)
        assert (again.kept, again.values, again.seconds) == (whole.kept, whole.values, whole.seconds)
        assert (folder / chosen.SELECTION).read_text() == "".join(lines)


def test_the_end_chooses_among_what_is_whole_and_the_link_leads_there(select, tmp_path, said):
    one = select(keep=3)
    for step, share in LEVELS.items():
        one.note(step, measured(rows(share)), 0.5)
        checkpoint(tmp_path, step)
    found = one.end(10, tmp_path / "adapter", 30.0, [])
    assert (found["step"], found["best"], found["began"], found["rows"]) == (10, 10, 0, 8)
    assert found["cost"] == {"seconds": 3.0, "share": 0.1} and "disagreement" not in found
    assert [(row["step"], row["mean"]) for row in found["measured"]] == list(LEVELS.items())
    assert os.readlink(tmp_path / "best") == "checkpoints/checkpoint-10"
    file = tmp_path / "checkpoints/checkpoint-10/adapter_model.safetensors"
    file.write_bytes(file.read_bytes()[:-8])
    found = one.end(12, tmp_path / "adapter", 30.0, [])
    assert (found["step"], found["best"]) == (4, 10) and "step 4 is what is kept" in found["why"]
    assert os.readlink(tmp_path / "best") == "checkpoints/checkpoint-4" and said == []


def test_the_last_step_lies_in_what_the_run_leaves(select, tmp_path):
    one = select()
    one.note(0, measured(rows(0.0)), 0.5)
    one.note(2, measured(rows(1.0)), 0.5)
    assert one.end(2, tmp_path / "adapter", 10.0, [])["step"] == 2
    assert os.readlink(tmp_path / "best") == "adapter"


def test_what_is_no_better_than_the_beginning_is_not_chosen(select, tmp_path):
    one = select()
    for step in (0, 2, 4):
        one.note(step, measured(rows(0.5)), 0.5)
        checkpoint(tmp_path, step)
    found = one.end(4, tmp_path / "adapter", 10.0, [])
    assert (found["step"], found["candidates"]) == (0, [0, 2, 4]) and not (tmp_path / "best").is_symlink()
    lines = summary.choice_lines(found, apart=True)
    assert lines[0].startswith("best: what it began with, by reward of 8 other held-out rows at 3 steps")
    assert "15% of the run" in lines[-1]


def test_rows_without_a_score_are_left_out_and_none_is_no_choice(select, tmp_path, said):
    one = select()
    assert not one.note(0, measured([None] * 3), 0.5) and not one.note(2, measured([None] * 3), 0.5)
    assert one.end(2, tmp_path / "adapter", 10.0, []) is None
    assert len(said) == 1 and "no checkpoint was chosen" in said[0]
    assert not one.note(0, measured([None, 0.0, 1.0]), 0.5) and one.note(2, measured([None, 1.0, 1.0]), 0.5)
    row = {"step": 0, "mean": 0.5, "standard_error": pytest.approx(0.5)}
    assert one.end(2, tmp_path / "adapter", 10.0, [])["measured"][0] == row


def test_another_metric_begins_anew(select, tmp_path, said):
    one = select()
    one.note(0, measured(rows(0.5)), 0.5)
    one.note(2, measured(rows(0.5), "correct"), 0.5)
    assert [json.loads(line)["step"] for line in (tmp_path / chosen.SELECTION).read_text().splitlines()] == [2]
    assert list(one.values) == [2] and len(said) == 1
