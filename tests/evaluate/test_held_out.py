"""Which rows are held out, and what for."""

import random

import pytest

from rlexp.errors import RunError
from rlexp.evaluate.held_out import Half, draw, rows_of
from rlexp.inputs import snapshot
from rlexp.record.locked_config import run_of
from tests.conftest import ROOT

PROMPTS = [f"What is {n} + {n}?" for n in range(300)]
SOURCES = ["a"] * 200 + ["b"] * 80 + ["c"] * 20


def test_each_row_is_in_one_half_and_the_halves_are_equal_in_every_source():
    report, select = (draw(PROMPTS, SOURCES, half) for half in Half)
    assert sorted(report + select) == list(range(300))
    for source, count in (("a", 100), ("b", 40), ("c", 10)):
        assert [sum(SOURCES[n] == source for n in half) for half in (report, select)] == [count, count]


def test_every_beginning_holds_each_source_by_its_share():
    for half in Half:
        first = [SOURCES[n] for n in draw(PROMPTS, SOURCES, half)[:30]]
        assert [first.count(source) for source in "abc"] == [20, 8, 2]


def test_the_place_in_the_file_says_nothing():
    order = random.Random(0).sample(range(300), 300)
    for half in Half:
        moved = draw([PROMPTS[n] for n in order], [SOURCES[n] for n in order], half)
        assert [order[n] for n in moved] == draw(PROMPTS, SOURCES, half)
    assert draw(PROMPTS, SOURCES, Half.report)[:5] != list(range(5))


def test_rows_with_the_same_prompt_stay_together():
    twice = [[{"role": "user", "content": text}] for text in PROMPTS[:10] * 2]
    report = draw(twice, [None] * 20, Half.report)
    assert len(report) == 10 and {n % 10 for n in report} == {n for n in report if n < 10}


@pytest.fixture
def folder(tmp_path):
    rows = {"train": [{"prompt": "x"}], "test": [{"prompt": text} for text in PROMPTS[:9]]}
    snapshot.write(rows, tmp_path / "data", "", {})
    return tmp_path / "data"


def test_a_run_takes_as_many_as_it_asks_for(composed, folder):
    run = composed("held_out.rows=3")
    assert len(rows_of(run, folder, Half.report)) == 3
    assert len(rows_of(composed("held_out.rows=100"), folder, Half.report)) == 5
    assert rows_of(composed("held_out.rows=3", "held_out.draw=first"), folder, Half.select) == [0, 1, 2]


def test_one_prompt_reports_and_cannot_choose(composed, tmp_path):
    snapshot.write({"train": [{"prompt": "x"}], "test": [{"prompt": "y"}]}, tmp_path / "data", "", {})
    run = composed("held_out.every=2")
    assert rows_of(run, tmp_path / "data", Half.report) == [0]
    with pytest.raises(RunError, match="measure on the way"):
        rows_of(run, tmp_path / "data", Half.select)


def test_a_lock_that_does_not_say_means_the_first_rows(composed):
    config = composed("hardware=cpu").config()
    assert run_of(config, ROOT, "it").held_out.draw.name == "prompt_hash"
    del config["held_out"]["draw"]
    assert run_of(config, ROOT, "it").held_out.draw.name == "first"
