"""The small programs: settled by the seed, never asked twice, and solved by their solutions in the sandbox."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from rlexp.compose.schema import DatasetType
from rlexp.errors import RunError
from rlexp.inputs.contract import faults
from rlexp.inputs.script import load_script
from rlexp.reward.sandbox import available

ROOT = Path(__file__).parents[2]
small_programs = load_script(ROOT / "data_prep/small_programs.py")
code_tests = load_script(ROOT / "rewards/code_tests.py")
OPTION = yaml.safe_load((ROOT / "conf/dataset/small_programs.yaml").read_text())
TASKS = sum(len(family.params) for family in small_programs.FAMILIES)

needs_sandbox = pytest.mark.skipif(not available(), reason="no sandbox here: tests/reward/sandboxes.py says why")


def asked(split):
    return [row["prompt"][0]["content"] for row in split]


@pytest.fixture(scope="module")
def everything():
    """A row of every task there is."""
    made = small_programs.rows(train=TASKS - 1, test=1)
    return made["train"] + made["test"]


def a_few(rows):
    """Three rows of every family, whose solutions differ in their numbers only."""
    families: dict[str, Any] = {}
    for row in rows:
        families.setdefault(re.sub(r"\d+|'\w+'|\"\w*\"|\w+(?=\()", "", row["solution"]), []).append(row)
    return [row for family in families.values() for row in family[:3]]


def test_the_shipped_option_makes_rows_of_the_type_it_names():
    made = small_programs.rows(**OPTION["params"])
    rows = made["train"] + made["test"]
    assert (len(made["train"]), len(made["test"]), len(set(asked(rows)))) == (300, 50, 350)  # so they are disjoint
    assert all(row.keys() == {"prompt", "tests", "solution"} for row in rows)
    assert not [fault for row in rows for fault in faults(row, DatasetType[OPTION["type"]])]


def test_the_seed_settles_the_rows_and_a_longer_train_moves_no_test_row():
    made = small_programs.rows(train=20, test=10, seed=3)
    assert made == small_programs.rows(train=20, test=10, seed=3)
    assert made["test"] == small_programs.rows(train=200, test=10, seed=3)["test"]
    assert made["test"] != small_programs.rows(train=20, test=10, seed=4)["test"]


def test_a_prompt_shows_one_example_that_is_no_test(everything):
    for row in everything:
        (prompt,) = asked([row])
        tests = json.loads(row["tests"])
        assert len({test["call"] for test in tests}) == 6
        assert not [test for test in tests if test["call"] in prompt]
        name = tests[0]["call"].partition("(")[0]
        assert f"def {name}(" in row["solution"] and f"For example, `{name}(" in prompt


def test_no_value_is_right_in_more_than_half_of_the_tests(everything):
    for row in everything:
        expected = [test["expected"] for test in json.loads(row["tests"])]
        assert max(expected.count(value) for value in expected) <= 3


@needs_sandbox
def test_solutions_pass_their_own_tests_and_no_others(everything):
    rows = a_few(everything)
    assert len(rows) >= 40
    texts = [OPTION["gold"].format(**row) if number % 2 else row["solution"] for number, row in enumerate(rows)]
    tests = [row["tests"] for row in rows]
    assert code_tests.score(texts, tests) == [1.0] * len(rows)
    assert code_tests.score(texts[1:10], tests[:9]) == [0.0] * 9


@pytest.mark.parametrize("params", [{"train": TASKS, "test": 1}, {"test": 0}, {"train": 0}])
def test_more_rows_than_tasks_are_refused_with_the_parameters_to_change(params):
    with pytest.raises(RunError, match=f"cannot be drawn from {TASKS} tasks") as caught:
        small_programs.rows(**params)
    assert all(f"{key}={value}" in caught.value.where for key, value in params.items())
