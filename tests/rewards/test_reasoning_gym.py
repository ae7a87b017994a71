"""The scorers of reasoning-gym, on rows that data_prep made, and on texts that they were not written for."""

import json
from pathlib import Path

import pytest

from rlexp.inputs.script import load_script

ROOT = Path(__file__).parents[2]
# Their scorers raise on words, evaluate what they are given, or both.
RAISING = ["prime_factorization", "boxnet", "game_of_life", "n_queens", "binary_matrix", "countdown"]
TEXTS = ["no number", "(", "[[1], 2]", '{"a": 1}', "1/0", "\x00", "9" * 5000, "x = 3"]


@pytest.fixture(scope="module")
def reward():
    return load_script(ROOT / "rewards/reasoning_gym.py")


@pytest.mark.parametrize("task", ["chain_sum", "letter_counting"])
def test_the_right_answer_of_a_row_scores_one_and_another_rows_less(reward, task):
    made = load_script(ROOT / "data_prep/reasoning_gym_task.py").rows(task, train=8, test=4)["train"]
    columns = {"task": [row["task"] for row in made], "entry": [row["entry"] for row in made]}
    right = [f"<think>...</think><answer>{row['answer']}</answer>" for row in made]
    assert reward.score(right, **columns) == [1.0] * len(made)
    assert sum(reward.score(right[1:] + right[:1], **columns)) < len(made) / 2


@pytest.mark.parametrize("task", RAISING)
def test_an_answer_that_the_scorer_cannot_read_scores_no_more_than_little(reward, task):
    import reasoning_gym

    entry = json.dumps(reasoning_gym.create_dataset(task, size=1, seed=1)[0], default=str)
    scores = reward.score([f"<answer>{text}</answer>" for text in TEXTS], [task] * len(TEXTS), [entry] * len(TEXTS))
    assert all(0 <= score <= 0.1 for score in scores)


@pytest.mark.parametrize(
    "code", ["open('stolen', 'w')", "[x for x in ().__class__.__base__.__subclasses__()]", "exec ('1')", "input()"]
)
def test_program_code_never_reaches_a_scorer(reward, monkeypatch, code):
    monkeypatch.setattr(reward, "_scorer", lambda task: pytest.fail)
    assert reward.score([f"<answer>{code}</answer>"], ["n_queens"], ["{}"]) == [0.0]


@pytest.mark.parametrize(("task", "entry"), [("no_such_task", "{}"), ("chain_sum", "no json")])
def test_a_row_that_no_scorer_fits_is_an_error_and_no_score(reward, task, entry):
    with pytest.raises(ValueError):
        reward.score(["<answer>4</answer>"], [task], [entry])
