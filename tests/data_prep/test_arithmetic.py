"""The four arithmetic sets: the same questions, asked and held out alike."""

import re
from collections import Counter
from pathlib import Path

import pytest
import yaml

from rlexp.compose.schema import DatasetType
from rlexp.errors import RunError
from rlexp.inputs.contract import faults
from rlexp.inputs.script import load_script

ROOT = Path(__file__).parents[2]
SETS = {
    "arithmetic": {"prompt", "answer", "a", "b"},
    "arithmetic_demonstrations": {"prompt", "completion", "answer"},
    "arithmetic_judged": {"prompt", "completion", "label", "answer", "flaw"},
    "arithmetic_preferences": {"prompt", "chosen", "rejected", "answer", "flaw"},
}
# What each answer looks like, over the question's own sum and answer; a wrong sum stands in the one group.
FORMS = {
    "none": "<think>{sum} = {answer}</think><answer>{answer}</answer>",
    "wrong_sum": r"<think>{sum} = (?!{answer}<)(-?\d+)</think><answer>\1</answer>",
    "no_tags": r"The answer is {answer}\.",
    "unclosed_answer": "<think>{sum} = {answer}</think><answer>{answer}",
    "answer_before_think": "<answer>{answer}</answer><think>{sum} = {answer}</think>",
}

every_set = pytest.mark.parametrize("name", SETS)


def rows(name, **params):
    return load_script(ROOT / f"data_prep/{name}.py").rows(**params)


def asked(split):
    return [row["prompt"][0]["content"] for row in split]


def form_of(text, row):
    total = re.escape(row["prompt"][0]["content"].removeprefix("What is ").removesuffix("?"))
    filled = {name: form.format(sum=total, answer=row["answer"]) for name, form in FORMS.items()}
    return next((name for name, form in filled.items() if re.fullmatch(form, text)), "of no form")


@every_set
def test_the_shipped_option_makes_rows_of_the_type_it_names(name):
    option = yaml.safe_load((ROOT / f"conf/dataset/{name}.yaml").read_text())
    made = rows(option["prepare"], **option["params"])
    assert {split: len(made[split]) for split in made} == {"train": 2000, "test": 200}
    everything, kind = made["train"] + made["test"], DatasetType[option["type"]]
    assert len(set(asked(everything))) == 2200  # so train and test are disjoint, too
    assert all(row.keys() == SETS[name] and not list(faults(row, kind)) for row in everything)


@every_set
def test_every_pair_from_low_to_high_can_be_drawn_once(name):
    made = rows(name, train=90, test=10, low=5, high=14)
    pairs = [f"What is {a} + {b}?" for a in range(5, 15) for b in range(5, 15)]
    assert sorted(asked(made["train"] + made["test"])) == sorted(pairs)


@every_set
def test_the_seed_settles_the_rows_and_a_longer_train_moves_no_test_row(name):
    made = rows(name, train=20, test=10, seed=3)
    assert made == rows(name, train=20, test=10, seed=3)
    assert made["test"] == rows(name, train=500, test=10, seed=3)["test"]
    assert made["test"] != rows(name, train=20, test=10, seed=4)["test"]


@pytest.mark.parametrize("params", [{}, {"seed": 7, "train": 30, "test": 20}, {"low": 10, "high": 59}])
def test_the_four_sets_hold_out_the_same_questions(params):
    held_out = [asked(rows(name, **params)["test"]) for name in SETS]
    assert held_out == [held_out[0]] * len(SETS)


def test_the_questions_are_in_the_words_that_the_tiny_model_was_pretrained_on():
    prompt_text = load_script(ROOT / "data_prep/tiny.py").prompt_text
    for row in rows("arithmetic")["test"]:
        assert (*asked([row]), row["answer"]) == (prompt_text(row["a"], row["b"]), str(row["a"] + row["b"]))


@pytest.mark.parametrize(
    ("name", "column", "shares"),
    [
        ("arithmetic_demonstrations", "completion", {"none": 160}),
        ("arithmetic_judged", "completion", {**dict.fromkeys(FORMS, 20), "none": 80}),
        ("arithmetic_preferences", "chosen", {"none": 160}),
        ("arithmetic_preferences", "rejected", {form: 40 for form in FORMS if form != "none"}),
    ],
)
def test_answers_are_right_or_flawed_as_their_row_says_in_equal_shares(name, column, shares):
    made = rows(name, train=160, test=40)["train"]
    forms = [form_of(row[column][0]["content"], row) for row in made]
    assert Counter(forms) == shares
    for row, form in zip(made, forms, strict=True):
        assert column == "chosen" or row.get("flaw", "none") == form
        assert row.get("label", form == "none") == (form == "none")


@every_set
@pytest.mark.parametrize(
    ("params", "pairs"),
    [
        ({"train": 4, "test": 1, "low": 0, "high": 1}, 4),  # one more than there are
        ({"test": 0}, 10000),  # a split without rows
        ({"low": 9, "high": 5}, 0),  # no number at all
    ],
)
def test_more_rows_than_pairs_are_refused_with_the_parameters_to_change(name, params, pairs):
    with pytest.raises(RunError, match=f"cannot be drawn from {pairs} pairs") as caught:
        rows(name, **params)
    assert caught.value.where.startswith(f"data_prep/{name}.py: ")
    assert all(f"{key}={value}" in caught.value.where for key, value in params.items())
