"""Which completions a report shows: all, or whole groups of every step, chosen by what no reward has a say in."""

import itertools

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rlexp.record import completions
from rlexp.report import groups, rows
from rlexp.report.groups import Step
from tests.report import planted

SIZE = 8


@pytest.fixture
def stored(composed, tmp_path):
    """Makes a run folder with completions."""

    def make(steps=6, prompts=5, **more):
        return planted.write(tmp_path / "a", composed("hardware=cpu"), steps=steps, prompts=prompts, **more)

    return make


def no_fault(error):
    raise error


def chosen(run, room):
    return groups.choose(list(groups.measure(run.run_dir, 2, no_fault)), room)


def test_where_all_fit_all_are_shown_as_they_were_stored(stored, composed):
    run = stored()
    found = rows.read(run.run_dir, composed("hardware=cpu"), ["correct", "format"], chosen(run, 10**9))
    assert (len(found.text), found.total, found.how) == (6 * 5 * SIZE, 240, "all that were stored")
    of_step = run.completions([3])
    at = slice(2 * 40, 3 * 40)
    assert found.text[at] == of_step["completion"] and found.scores["correct"][at] == of_step["correct"]
    assert found.cut[at] == of_step["cut"] and found.tokens[at] == of_step["tokens"]
    assert [found.prompts[n] for n in found.group_prompt[10:15]] == of_step["prompt"][::SIZE]
    assert found.group_read[10] == {"answer": "1"} and found.group_first[10] == 80
    assert found.steps[2] == [3, 40, 40]


def test_advantages_are_those_that_the_run_was_trained_with(stored, composed):
    run, of = stored(), composed("hardware=cpu")
    found = rows.read(run.run_dir, of, ["correct", "format"], chosen(run, 10**9))
    for first in found.group_first:
        rewards, worth = found.reward[first : first + SIZE], found.advantage[first : first + SIZE]
        assert abs(sum(worth)) < 1e-3
        assert all((a > b) == (x > y) for (a, x), (b, y) in itertools.combinations(zip(rewards, worth, strict=True), 2))
    none = rows.read(run.run_dir, None, ["correct", "format"], chosen(run, 10**9))
    assert set(none.advantage) == {None} and none.reward == found.reward
    other = rows.read(run.run_dir, composed("hardware=cpu", "method.num_generations=4"), [], chosen(run, 10**9))
    assert set(other.advantage) == {None}, "the groups are not those that this run compares"


def test_of_more_than_fit_every_step_has_whole_groups_and_a_prompt_that_is_kept_is_kept_everywhere(stored):
    run = stored(steps=12)
    size = next(groups.measure(run.run_dir, 2, no_fault)).sizes[0]
    found = chosen(run, 24 * size + size // 2)
    assert found.total == 480 and found.shown % SIZE == 0 and found.shown <= 24 * SIZE
    assert all(1 <= len(own) <= 2 for own in found.groups.values())
    kept = {tuple(own) for own in found.groups.values() if len(own) == 2}
    assert len(kept) == 1, "the same prompts at every step"
    assert "whole groups of every step" in found.how and chosen(run, 24 * size + size // 2) == found


def test_where_not_even_one_group_a_step_fits_the_steps_lie_evenly_apart():
    steps = [Step(number, [0, 8], [100], [0]) for number in range(1, 65)]
    found = groups.choose(steps, 850)
    kept = [number for number, own in found.groups.items() if own]
    assert len(kept) == 8 and {two - one for one, two in itertools.pairwise(kept)} == {8}
    assert "8 of 64 steps" in found.how
    assert groups.choose(steps, 0).shown == 0 and groups.choose([], 100).total == 0


def test_one_group_that_is_too_large_hides_no_other():
    steps = [Step(1, [0, 8, 16], [10_000, 100], [0, 1]), Step(2, [0, 8], [100], [0])]
    assert groups.choose(steps, 250).groups == {1: [1], 2: [0]}


def test_a_completion_of_a_megabyte_is_shown_whole(stored):
    long = "x<&>" * 250_000
    run = stored(steps=2, prompts=1, text=lambda step, row: long if (step, row) == (1, 0) else "short")
    (first, _) = groups.measure(run.run_dir, 2, no_fault)
    assert first.sizes[0] > 4_000_000, "written with its escapes"
    found = rows.read(run.run_dir, None, ["correct"], chosen(run, 14_000_000))
    assert found.text[0] == long
    left_out = rows.read(run.run_dir, None, ["correct"], chosen(run, 1_000_000))
    assert long not in left_out.text and len(left_out.text) == SIZE


def test_a_record_without_groups_has_those_of_its_prompts(stored):
    run = stored(steps=1, prompts=3)
    columns = {name: values for name, values in run.completions([1]).items() if name not in ("group", "step")}
    planted.store(run.run_dir, 1, columns)
    found = rows.read(run.run_dir, None, ["correct"], chosen(run, 10**9))
    assert found.group_number == [0, 1, 2] and len(found.text) == 24


@pytest.mark.parametrize(
    "columns",
    [
        {"completion": pa.array([b"\xff\xfe ok", b"\xed\xa0\x80"], pa.binary()).view(pa.string()), "group": [0, 0]},
        {"completion": [1, 2], "group": ["a", None], "reward": ["x", None], "tokens": [1.5, None], "cut": [1, 0]},
        {"completion": [["a"], None], "reward": [float("nan"), float("inf")], "correct": [{"a": 1}, None]},
        {"completion": ["a", "b"], "prompt": [None, None], "read.x": [[{"role": "user"}], None]},
        {"completion": ["a", "b"], "group": [0, 0], "reward": [1e308, -1e308], "correct": [1e308, -1e308]},
    ],
)
def test_what_strangers_store_is_shown_as_far_as_it_can_be(stored, composed, columns):
    run = stored(steps=1)
    pq.write_table(pa.table(columns), run.run_dir / completions.name(1))
    found = rows.read(run.run_dir, composed("hardware=cpu"), ["correct", "format"], chosen(run, 10**9))
    assert len(found.text) == 2
    stored_none = [value is None for value in columns["completion"]] if isinstance(columns["completion"], list) else []
    assert [text is None for text in found.text] == (stored_none or [False, False]), "none is not an empty one"
    assert all(value is None or abs(value) < 1e300 for value in [*found.reward, *found.scores["correct"]])


def test_a_folder_may_hold_other_files_than_those_of_steps(stored):
    run = stored(steps=1)
    for name in ("step-x.parquet", "step-00001.parquet.partial", "step-.parquet"):
        (run.run_dir / "completions" / name).write_text("")
    assert [step.number for step in groups.measure(run.run_dir, 2, no_fault)] == [1]


def test_the_order_of_the_steps_spreads_them_for_any_number():
    for number in range(1, 40):
        assert sorted(groups._spread(number)) == list(range(number))
