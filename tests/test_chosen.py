"""The one reader of the checkpoint that a run chose: from its manifest or its measurements, never by its link."""

from __future__ import annotations

import json

import pytest

from rlexp import chosen
from rlexp.compose import start
from rlexp.errors import RunError
from rlexp.record import best_link, checkpoints, rewind
from rlexp.record.checkpoints import Checkpoint
from tests import begun

SELECTION = {"metric": "reward", "task": "held_out", "rows": 2, "began": 0, "step": 4, "best": 6, "why": "it is"}
LINE = {
    "began": 0,
    "metric": "reward",
    "task": "held_out",
    "values": [0.0, None],
    "kept": [2, 4],
    "timing": {"seconds": 0.5},
}


@pytest.fixture
def run_dir(tmp_path, composed):
    place = tmp_path / "outputs/run"
    begun.run(place, composed())
    for step in (2, 4):
        begun.adapter(place / f"checkpoints/checkpoint-{step}", seed=step)
        (place / f"checkpoints/checkpoint-{step}/trainer_state.json").write_text("{}")
    return place


def ended(run_dir, done=8, **selection):
    facts = {"status": "finished", "steps": {"done": done, "asked": 8}, "selection": {**SELECTION, **selection}}
    (run_dir / "manifest.json").write_text(json.dumps(facts))


def measured(run_dir, **by_step):
    lines = [json.dumps({"step": int(name[1:]), **LINE, "chosen": step}) for name, step in by_step.items()]
    (run_dir / chosen.SELECTION).write_text("\n".join(lines) + '\n{"step": 6, "val')  # killed while it wrote


def best(run_dir):
    return chosen.best(run_dir, "x@best", "model.start=x")


def test_the_manifest_says_it_and_before_there_is_one_the_measurements(run_dir):
    measured(run_dir, _0=0, _2=2)
    assert best(run_dir) == chosen.Best(2, run_dir / "checkpoints/checkpoint-2")
    ended(run_dir)
    assert best(run_dir).step == 4
    ended(run_dir, step=8)
    assert best(run_dir) == chosen.Best(8, run_dir / "adapter")  # it kept no checkpoint of its last step


@pytest.mark.parametrize(
    ("make", "what"),
    [
        (lambda run_dir: None, "run has no best checkpoint: it measured none"),
        (lambda run_dir: measured(run_dir, _0=None), "run has no best checkpoint"),
        (lambda run_dir: measured(run_dir, _0=0, _2=0), "none was measured better than step 0"),
        (lambda run_dir: ended(run_dir, step=0), "none was measured better than step 0"),
        (lambda run_dir: ended(run_dir, step=6), "step 6, which run chose, cannot be used: it is not there"),
        (lambda run_dir: measured(run_dir, _2=8), "step 8, which run chose, cannot be used: it is not there"),
    ],
)
def test_where_there_is_none_one_message_says_what_to_type(run_dir, make, what):
    make(run_dir)
    with pytest.raises(RunError, match=what) as caught:
        best(run_dir)
    assert caught.value.where == "x@best" and "type model.start=x" in caught.value.hint


@pytest.mark.parametrize("line", ["[]", "{", '{"step": -1}', json.dumps({"step": 2, **LINE, "chosen": "../x"})])
def test_a_damaged_measurement_is_one_message(run_dir, line):
    (run_dir / chosen.SELECTION).write_text(line + "\n")
    with pytest.raises(RunError, match=r"selection.jsonl"):
        best(run_dir)


def test_the_link_is_not_followed_and_a_run_starts_from_what_was_chosen(run_dir, tmp_path):
    ended(run_dir)
    (tmp_path / "elsewhere").mkdir()
    (run_dir / "best").symlink_to(tmp_path / "elsewhere")
    for typed in ("outputs/run@best", "outputs/run/best"):
        found = start.at(typed, tmp_path)
        assert (found.typed, found.folder) == ("outputs/run@4", run_dir / "checkpoints/checkpoint-4")
    ended(run_dir, step=8)
    assert start.at("outputs/run@best", tmp_path).typed == "outputs/run"
    best_link.remove(run_dir)
    assert (tmp_path / "elsewhere").is_dir() and not (run_dir / "best").exists()


def test_a_rewind_takes_back_the_link_and_what_was_measured_later(run_dir):
    measured(run_dir, _0=0, _2=2)
    length = (run_dir / chosen.SELECTION).stat().st_size
    assert rewind.lengths(run_dir)[chosen.SELECTION] == length
    with (run_dir / chosen.SELECTION).open("a") as stream:
        stream.write("later\n")
    best_link.point(run_dir, run_dir / "checkpoints/checkpoint-4")
    rewind.require_own(run_dir)
    rewind.rewind(run_dir, Checkpoint(2, run_dir / "checkpoints/checkpoint-2"), {chosen.SELECTION: length})
    assert not (run_dir / "best").is_symlink() and (run_dir / chosen.SELECTION).stat().st_size == length
    assert list(checkpoints.of(run_dir)) == [2]
    (run_dir / "best").mkdir()  # a copy whose links were followed
    rewind.rewind(run_dir, Checkpoint(2, run_dir / "checkpoints/checkpoint-2"), {})
    assert not (run_dir / "best").exists() and not (run_dir / chosen.SELECTION).exists()
