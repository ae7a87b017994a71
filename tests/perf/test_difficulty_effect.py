"""The effect of filtering by difficulty: curves of runs, and their paired differences."""

import json

import difficulty_effect
import pytest
from difficulty_effect import Curve


def test_a_curve_has_the_seconds_of_the_steps_and_not_of_the_measurements(tmp_path):
    (tmp_path / "manifest.json").write_text(json.dumps({"held_out": {"reward": {"before": 0.5}}}))
    entries = [
        *({"step": step, "timing": {"step_time/step": seconds}} for step, seconds in ((1, 2.0), (2, 1.0))),
        {"step": 2, "held_out/reward": 0.7},
        *({"step": step, "timing": {"step_time/step": 1.0}} for step in (3, 4)),
        {"step": 4, "held_out/reward": 0.9},
    ]
    (tmp_path / "metrics.jsonl").write_text("\n".join(map(json.dumps, entries)))
    found = difficulty_effect.curve(tmp_path)
    assert (found.steps, found.seconds, found.rewards) == ([0, 2, 4], [0.0, 3.0, 5.0], [0.5, 0.7, 0.9])
    assert found.at([1.5, 4.0, 9.0]) == pytest.approx([0.6, 0.8, 0.9])
    assert found.at([1.5, 4.0], later=2.5) == pytest.approx([0.5, 0.6])


def test_an_interval_is_students_over_the_pairs_and_says_where_it_holds_nothing():
    assert difficulty_effect.interval([0.1, 0.2, 0.3]) == "+0.200 [-0.048, +0.448] no effect told"
    assert difficulty_effect.interval([0.1, 0.11, 0.12]) == "+0.110 [+0.085, +0.135]"
    assert "one seed" in difficulty_effect.interval([0.1])
    assert difficulty_effect.interval([0.0, 0.0]) == "+0.000 [+0.000, +0.000] no effect told"


def test_the_table_pairs_seeds_per_step_and_per_second_with_the_rates_told_apart():
    every = [Curve([0, 5], [0.0, 10.0], [0.5, 1.0]), Curve([0, 5], [0.0, 20.0], [0.5, 1.1])]
    filtered = [Curve([0, 5], [0.0, 20.0], [0.5, 1.2]), Curve([0, 5], [0.0, 20.0], [0.5, 1.3])]
    table = difficulty_effect.rows(every, filtered, 10.0)
    cells = {line.split("|")[1].strip(): line.split("|")[2:4] for line in table[2:]}
    assert [cell.strip() for cell in cells["per step: 5"]] == ["1.050", "1.250"]
    assert [cell.strip() for cell in cells["per second: 15.0 s"]] == ["1.050", "1.075"]
    assert [cell.strip() for cell in cells["per second, 10 s of rates counted: 15.0 s"]] == ["1.050", "0.700"]
