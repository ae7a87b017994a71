"""The rubric: what it hands to a reward, and what it refuses to take from one."""

import pytest

from rlexp.compose.schema import Term
from rlexp.errors import RunError
from rlexp.inputs.reward_source import read
from rlexp.reward.rubric import Rubric, total


def rubric(folder, **bodies):
    (folder / "rewards").mkdir(exist_ok=True)
    terms, sources = {}, {}
    for name, body in bodies.items():
        file = f"rewards/{name}.py"
        (folder / file).write_text(f"version = 1\n{body}")
        terms[name], sources[name] = Term(file=file), read(folder, file)
    return Rubric(terms, sources)


READS = """
def score(completions, prompts, answer):
    assert prompts == ["2 + 2?"]
    return [float(given == gold) for given, gold in zip(completions, answer)]
"""


def test_a_reward_sees_texts_and_the_columns_it_names(tmp_path):
    made = rubric(tmp_path, mine=READS)
    turns = [[{"role": "assistant", "content": "4"}]], [[{"role": "user", "content": "2 + 2?"}]]
    assert made.score("mine", *turns, answer=["4"], unused=[1], completion_ids=[[1]]) == [1.0]


@pytest.mark.parametrize(
    ("body", "what"),
    [
        ("def score(completions): return [1.0]", "answered 1 scores for 2 completions"),
        ("def score(completions): return 1.0", "answered float for 2 completions"),
        ("def score(completions): return [1.0, float('nan')]", "scored nan"),
        ("def score(completions): return [1.0, '2']", "scored '2'"),
        ("def score(completions): return [1 / len(c) for c in completions]", "raised ZeroDivisionError"),
    ],
)
def test_a_broken_reward_is_named_with_its_place(tmp_path, body, what):
    with pytest.raises(RunError, match=what) as caught:
        rubric(tmp_path, mine=body).score("mine", ["a", ""], ["p", "p"])
    assert "rewards/mine.py" in caught.value.where


def test_a_term_that_does_not_apply_is_left_out_of_the_sum():
    terms = {"a": Term(file="", weight=1.0), "b": Term(file="", weight=2.0)}
    assert total({"a": [1.0, 1.0], "b": [0.5, None]}, terms) == [2.0, 1.0]


def test_every_score_of_a_step_is_kept_by_term(tmp_path):
    made = rubric(tmp_path, a="def score(completions): return [1, 2]", b="def score(completions): return [3, 4]")
    for function in made.functions():
        function(prompts=["p", "p"], completions=["x", "y"], completion_ids=[[1], [2]])
    (batch,) = made.take()
    assert batch.completions == ["x", "y"]
    assert batch.scores == {"a": [1.0, 2.0], "b": [3.0, 4.0]}
    assert made.take() == []
