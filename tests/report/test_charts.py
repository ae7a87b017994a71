"""What is drawn of a run's log: only what was logged, by subject, and no more than a browser draws."""

import random

from rlexp.report import charts
from rlexp.report.charts import Mark
from tests.report.planted import entry


def entries(steps, **more):
    rng = random.Random(0)
    return [entry(step, rng, **more) for step in range(1, steps + 1)]


def test_a_run_of_an_online_method_has_its_rewards_by_term_and_the_parts_of_its_steps():
    found = {one.id: one for one in charts.of_entries(entries(5), [Mark(3, "kl: high", "warn")])}
    assert [line.name for line in found["reward"].series] == ["reward", "correct", "format"]
    assert found["reward"].x == [1, 2, 3, 4, 5] and found["reward"].marks == [Mark(3, "kl: high", "warn")]
    assert [line.name for line in found["length"].series] == ["mean_length", "max_length"]
    assert {"kl", "entropy", "clipped", "loss"} <= found.keys()
    parts = found["step_time"]
    assert parts.stacked and [line.name for line in parts.series] == ["generate", "forward_backward"]


def test_a_preference_method_has_its_own_curves_and_none_that_is_empty():
    logged = [{"step": n, "loss": 0.7, "rewards/margins": n / 9, "rewards/accuracies": 0.5} for n in range(3)]
    assert [one.id for one in charts.of_entries(logged)] == ["margins", "accuracies", "loss"]
    assert charts.of_entries([]) == []


def test_what_is_no_number_is_a_gap_and_two_entries_of_a_step_are_one():
    logged = [
        {"step": 1, "loss": float("nan"), "kl": 1},
        {"step": 2, "loss": True, "kl": "high"},
        {"step": 2, "loss": 0.123456789},
        {"step": "3", "loss": 1.0},
        {"loss": 4.0},
        {"step": 10**400, "loss": 4.0},
        {"step": 2, "kl": 10**400, "timing": 7},
    ]
    found = {one.id: one for one in charts.of_entries(logged)}
    assert (found["loss"].x, found["loss"].series[0].values) == ([2], [0.123457])
    assert (found["kl"].x, found["kl"].series[0].values) == ([1], [1])


def test_of_a_long_run_every_second_entry_is_drawn_and_those_of_events_and_it_says_so():
    found = charts.of_entries(entries(charts.MOST + 2), [Mark(8, "kl: high", "warn")])[0]
    assert len(found.x) == charts.MOST // 2 + 2 and 8 in found.x and 6 not in found.x
    assert "every 2." in found.about


def test_runs_are_laid_over_each_other_by_what_stands_for_each_chart():
    short, long = charts.of_entries(entries(2)), charts.of_entries(entries(4))
    found = {one.id: one for one in charts.over({"a": short, "b": long})}
    assert found["reward"].x == [1, 2, 3, 4]
    assert [(line.name, line.values[2] is None) for line in found["reward"].series] == [("a", True), ("b", False)]
    assert "spread" not in found


def test_the_seeds_of_a_setting_are_one_line_with_a_band():
    low, high = ([{"step": 1, "reward": value}, {"step": 2, "reward": value}] for value in (1.0, 3.0))
    settings = {"one": [charts.of_entries(low), charts.of_entries(high)], "two": [charts.of_entries(low)]}
    (found,) = charts.folded(settings)
    one, two = found.series
    assert (one.name, one.values, one.low, one.high) == ("one (2)", [2, 2], [1, 1], [3, 3])
    assert (two.name, two.values, two.low) == ("two (1)", [1, 1], None)
