"""reasoning-gym's questions: settled by the seed, never twice, and scorable from what is stored."""

import json
from pathlib import Path

import pytest
import reasoning_gym
import yaml
from reasoning_gym.factory import DATASETS

from rlexp.compose.schema import DatasetType
from rlexp.errors import RunError
from rlexp.inputs.contract import faults
from rlexp.inputs.script import load_script

ROOT = Path(__file__).parents[2]
rows = load_script(ROOT / "data_prep/reasoning_gym_task.py").rows


def test_every_shipped_option_names_a_task_that_there_is():
    options = [yaml.safe_load(path.read_text()) for path in (ROOT / "conf/dataset").glob("*.yaml")]
    tasks = {one["name"]: one["params"]["task"] for one in options if one["prepare"] == "reasoning_gym_task"}
    assert tasks and all(name == task and task in DATASETS for name, task in tasks.items())


def asked(made):
    return [row["prompt"][-1]["content"] for row in made["train"] + made["test"]]


def test_the_rows_fit_their_type_and_the_task_can_score_them():
    option = yaml.safe_load((ROOT / "conf/dataset/chain_sum.yaml").read_text())
    made = rows(**{**option["params"], "train": 20, "test": 10}, system="Be brief.")
    assert (len(made["train"]), len(made["test"]), len(set(asked(made)))) == (20, 10, 30)
    score = reasoning_gym.get_score_answer_fn("chain_sum")
    for row in made["train"] + made["test"]:
        assert row.keys() == {"prompt", "answer", "task", "entry"}
        assert [turn["role"] for turn in row["prompt"]] == ["system", "user"]
        assert not list(faults(row, DatasetType[option["type"]]))
        assert score(row["answer"], json.loads(row["entry"])) == 1.0


# One draws from sets, the other from Python's shared generator.
@pytest.mark.parametrize("task", ["word_ladder", "list_functions"])
def test_a_seed_settles_even_a_task_that_draws_elsewhere(task):
    assert rows(task, train=20, test=4) == rows(task, train=20, test=4)


def test_neighbouring_seeds_share_no_question():
    first, near = (asked(rows("chain_sum", train=20, test=4, seed=seed)) for seed in (0, 1))
    assert not set(first) & set(near)


@pytest.mark.parametrize(
    ("params", "what", "hint"),
    [
        ({"task": "chain_sums"}, "no task 'chain_sums'", "did you mean 'chain_sum'?"),
        ({"task": "gcd", "config": {"max_numbers": 2, "max_value": 3}}, "9 in 1100 draws", "ask for fewer rows"),
        ({"task": "gcd", "test": 0}, "a split has no rows", "at least one"),
    ],
)
def test_a_request_that_cannot_be_met_is_explained(params, what, hint):
    with pytest.raises(RunError, match=what) as caught:
        rows(**{"train": 100, "test": 10, **params})
    assert hint in caught.value.hint
