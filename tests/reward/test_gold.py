"""Gold completions and cheats, made of rows."""

import pytest

from rlexp.errors import RunError
from rlexp.reward import gold

ROWS = [{"prompt": "1+1?", "answer": "two"}, {"prompt": [{"content": "Q"}, {"content": "1+2?"}], "answer": "three"}]
GOLD = ["<think>two</think><answer>two</answer>", "<think>three</think><answer>three</answer>"]


def test_a_gold_completion_is_the_template_over_the_columns():
    assert gold.completions(ROWS, None) == GOLD
    assert gold.completions(ROWS, "{prompt} = {answer}") == ["1+1? = two", "1+2? = three"]  # of a dialogue its end
    assert gold.completions([{"a": [1, 2], "b": []}], "{a} {b}") == ["[1, 2] []"]


@pytest.mark.parametrize("template", ["{anwser}", "{answer[9]}", "{answer", "{}"])
def test_a_template_that_does_not_fit_names_the_columns(template):
    with pytest.raises(RunError, match="a gold completion cannot be made of") as caught:
        gold.completions(ROWS, template)
    assert caught.value.where == "dataset.gold" and "the columns prompt, answer" in caught.value.hint


def test_cheats_of_any_row():
    rows = [{"prompt": "p"}, {"prompt": "q"}]
    assert gold.cheats(rows, ["g", "h"]) == {
        "nothing": ["", ""],
        "the prompt copied": ["p", "q"],
        "the prompt in the tags": [f"<think>{p}</think><answer>{p}</answer>" for p in "pq"],
        "tags alone": ["<think></think><answer></answer>"] * 2,
        "tag spam": ["<think><answer></answer></think>" * 20] * 2,
        "another row's right answer": ["h", "g"],
    }


def test_cheats_with_the_answer():
    found = gold.cheats(ROWS, GOLD)
    tricks = {kind: texts[0] for kind, texts in found.items()}
    assert tricks["every answer listed"] == "<think></think><answer>two two three</answer>"
    assert tricks["every answer in a tag of its own"] == "<think></think><answer>two</answer><answer>three</answer>"
    assert found["every answer in a tag of its own"][1] == "<think></think><answer>three</answer><answer>two</answer>"
    assert tricks[gold.WRONG_PLACE] == "<think>two</think><answer></answer>"
    assert tricks[gold.NO_TAGS] == "The answer is two."
    assert tricks[gold.OTHER_CASE] == "<think>TWO</think><answer>TWO</answer>"
    assert tricks[gold.ANOTHER] == GOLD[1] and found["the prompt copied"] == ["1+1?", "1+2?"]


def test_lists_of_answers_have_an_end():
    rows = [{"prompt": "p", "answer": f"a{n:02}"} for n in range(60)]
    found = gold.cheats(rows, ["g"] * 60)
    assert found["every answer listed"][0].count("a") - "<answer></answer>".count("a") == 1 + 50
    assert found["every answer in a tag of its own"][59].count("<answer>") == 1 + 20


def test_another_answer_is_the_next_different_one_or_none():
    rows = [{"prompt": "p", "answer": answer} for answer in ("x", "x", "y")]
    assert gold.cheats(rows, ["g0", "g1", "g2"])[gold.ANOTHER] == ["g2", "g2", "g0"]
    same = [{"prompt": "p", "answer": "x"}] * 2
    assert gold.cheats(same, ["g", "g"])[gold.ANOTHER] == [None, None]


@pytest.mark.parametrize(
    ("answer", "other"), [("ab", "AB"), ("a1", None), ("12", None), ("Ab", "aB"), ("a b", "A B"), ("B", None)]
)
def test_a_single_letter_or_a_number_has_no_other_case(answer, other):
    rows = [{"prompt": "p", "answer": answer}]
    assert gold.cheats(rows, [f"is {answer}."])[gold.OTHER_CASE] == [other and f"is {other}."]


@pytest.mark.parametrize(
    ("value", "text"), [([{"content": "a"}, {"content": "b"}], "b"), ([1], [1]), ([], []), (3, 3), ("x", "x")]
)
def test_a_conversation_is_its_last_turn_and_all_else_as_it_is(value, text):
    assert gold.text_or_value(value) == text
