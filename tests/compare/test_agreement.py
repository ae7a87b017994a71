"""How far two runs agree, and what can be expected of a machine."""

import json
from typing import Any

import pytest

from rlexp.compare.agreement import compare, default_level

WEIGHTS = {"adapter/adapter_model.safetensors": "aa"}


def lines(*rewards, took=1.0):
    return [json.dumps({"step": n + 1, "reward": r, "timing": {"step_time": took}}) for n, r in enumerate(rewards)]


@pytest.mark.parametrize(
    ("expected", "actual", "weights", "level", "difference"),
    [
        (lines(1.0, 2.0), lines(1.0, 2.0, took=9.0), WEIGHTS, "trajectory", None),  # what it took does not count
        (lines(1.0, 2.0), lines(1.0, 2.5), WEIGHTS, "step", "step 2: reward expected 2.0, actual 2.5, by 0.5"),
        (lines(1.0, 2.0), lines(1.1, 2.0), WEIGHTS, "inputs", "step 1: reward expected 1.0, actual 1.1, by 0.1"),
        (lines(1.0), lines(1.0), {}, "step", "expected aa, actual missing"),  # other weights after the same metrics
        (lines(1.0, 2.0), lines(1.0), WEIGHTS, "step", "log entries expected 2, actual 1"),
        (lines(float("nan")), lines(float("nan")), WEIGHTS, "trajectory", None),  # not a number, both times
        ([], lines(1.0), WEIGHTS, "inputs", "log entries expected 0"),
    ],
)
def test_two_runs_agree_up_to_the_first_difference(expected, actual, weights, level, difference):
    found = compare(expected, actual, WEIGHTS, weights)
    assert found.level == level
    assert str(found.difference) == "None" if difference is None else difference in str(found.difference)


def test_a_run_that_never_ended_is_compared_as_far_as_it_went():
    assert compare(lines(1.0), lines(1.0, 2.0), {}, WEIGHTS).level == "trajectory"


def test_levels_include_the_ones_below():
    found = compare(lines(1.0, 2.0), lines(1.0, 3.0), WEIGHTS, WEIGHTS)
    assert [found.reaches(level) for level in ("inputs", "step", "trajectory")] == [True, True, False]


def machine_lock(**changed):
    lock: dict[str, Any] = {
        "versions": {"torch": "2.13.0", "rlexp": "0.1.0"},
        "machine": {"processor": "A", "instructions": "AVX2", "threads": 2, "cpus": 4},
        "config": {"hardware": {"name": "cpu"}},
    }
    for key, value in changed.items():
        group, _, name = key.partition("__")
        lock[group][name] = value
    return lock


@pytest.mark.parametrize(
    ("changed", "level", "named"),
    [
        ({}, "trajectory", "same"),
        ({"machine__cpus": 64, "versions__rlexp": "0.2.0"}, "trajectory", "same"),  # no arithmetic hangs on these
        ({"machine__processor": "B"}, "inputs", "processor"),
        ({"machine__threads": 8}, "inputs", "threads"),
        ({"versions__torch": "2.12.0"}, "inputs", "torch"),
        ({"config__hardware": {"name": "h200"}}, "inputs", "hardware"),
    ],
)
def test_the_whole_trajectory_is_expected_on_the_same_kind_of_machine_only(changed, level, named):
    found, why = default_level(machine_lock(), machine_lock(**changed))
    assert found == level and named in why


def test_on_a_gpu_the_gpu_decides_and_not_the_processor():
    gpu = {"machine__gpus": ["H200"], "machine__cuda": "13.0"}
    then = machine_lock(**gpu)
    assert default_level(then, machine_lock(**gpu, machine__processor="B"))[0] == "trajectory"
    assert default_level(then, machine_lock(**{**gpu, "machine__gpus": ["H100"]}))[0] == "inputs"
