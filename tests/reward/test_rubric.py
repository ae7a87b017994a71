"""The rubric: what it hands to a reward, what it keeps, and what it refuses to take from one."""

import json

import pytest

from rlexp.compose.schema import Combine, Reward, Term
from rlexp.errors import RunError
from rlexp.inputs.reward_source import read
from rlexp.reward.rubric import FAILURES, Rubric, workers_for


def rubric(folder, reward=None, **bodies):
    (folder / "rewards").mkdir(exist_ok=True)
    reward = reward or Reward(max_failed=0.0)
    sources = {}
    for name, body in bodies.items():
        file = f"rewards/{name}.py"
        (folder / file).write_text(f"version = 1\n{body}\n")
        reward.terms[name], sources[name] = Term(file=file), read(folder, file)
    return Rubric(reward, sources, workers_for(reward, sources, processes=0), folder)


READS = """
def score(completions, prompts, answer):
    assert prompts == ["2 + 2?"]
    return [float(given == gold) for given, gold in zip(completions, answer)]
"""


def test_a_reward_sees_texts_and_the_columns_it_names(tmp_path):
    made = rubric(tmp_path, mine=READS)
    turns = [[{"role": "assistant", "content": "4"}]], [[{"role": "user", "content": "2 + 2?"}]]
    batch = made.score(*turns, {"answer": ["4"], "unused": [1], "completion_ids": [[1]]})
    assert batch.scores == {"mine": [1.0]} and batch.rewards == [1.0]
    assert batch.columns == {"answer": ["4"]}


@pytest.mark.parametrize(
    ("body", "what"),
    [
        ("def score(completions): return [1.0, 2.0]", "answered 2 scores for 1 completions"),
        ("def score(completions): return 1.0", "answered float for 1 completions"),
        ("def score(completions): return ['2']", "scored '2'"),
        ("def score(completions): return [float('nan')]", "not finite"),
        ("def score(completions): return [1 / len(c) for c in completions]", "raised ZeroDivisionError"),
    ],
)
def test_a_broken_reward_is_named_with_its_place(tmp_path, body, what):
    with pytest.raises(RunError, match=what) as caught:
        rubric(tmp_path, mine=body).score(["a", ""], ["p", "p"], {})
    assert "rewards/mine.py" in caught.value.where


def test_a_failure_is_counted_kept_with_its_completion_and_never_a_zero(tmp_path):
    body = "def score(completions): return [1 / len(c) for c in completions]"
    made = rubric(tmp_path, Reward(max_failed=0.3), mine=body)
    batch = made.score(["a", "", "bb", "cccc"], ["p"] * 4, {}, step=7)
    assert batch.scores == {"mine": [1.0, None, 0.5, 0.25]} and batch.rewards == [1.0, None, 0.5, 0.25]
    assert (made.scored, made.failed) == (4, 1)
    (line,) = map(json.loads, (tmp_path / FAILURES).read_text().splitlines())
    assert line["completion"] == "" and line["step"] == 7 and line["kind"] == "raised"
    with pytest.raises(RunError, match="3 of 6 scores failed so far, 30% may"):
        made.score(["", ""], ["p"] * 2, {})


def test_every_score_of_a_step_is_kept_by_term(tmp_path):
    two = "def score(completions): return [float(len(c)) for c in completions]"
    made = rubric(tmp_path, a=two, b=two.replace("float(len(c))", "2.0 * len(c)"))
    functions = made.functions(num_generations=2)
    assert [function.__name__ for function in functions] == ["a", "b"]
    for function in functions:
        function(prompts=["p", "p"], completions=["x", "yy"], completion_ids=[[1], [2]])
    (batch,) = made.of_step(0)
    assert batch.completions == ["x", "yy"]
    assert batch.scores == {"a": [1.0, 2.0], "b": [2.0, 4.0]} and batch.rewards == [3.0, 6.0]
    assert made.of_step(1) == [] and made.of_step(0) == [batch]
    made.forget()
    assert made.of_step(0) == []


def test_behind_a_gate_the_breakdown_is_kept_and_one_more_function_is_trained_on(tmp_path):
    made = rubric(
        tmp_path,
        Reward(combine=Combine.gate, gate="a"),
        a="def score(completions): return [float(c == 'x') for c in completions]",
        b="def score(completions): return [5.0 for c in completions]",
    )
    answers = [f(prompts=["p", "p"], completions=["x", "y"]) for f in made.functions(num_generations=2)]
    assert answers == [[1.0, 0.0], [5.0, 5.0], [6.0, 0.0]]


def test_a_group_reward_sees_the_completions_of_one_prompt(tmp_path):
    body = "def score_group(completions): return [float(completions.count(c)) for c in completions]"
    made = rubric(tmp_path, same=body)
    assert made.score(["x", "x", "x", "y"], ["p", "p", "q", "q"], {}, num_generations=2).rewards == [2.0, 2.0, 1.0, 1.0]


def test_an_asynchronous_reward_is_waited_for(tmp_path):
    body = (
        "import asyncio\nasync def score(completions):\n    await asyncio.sleep(0)\n    return [1.0] * len(completions)"
    )
    assert rubric(tmp_path, slow=body).score(["x", "y"], ["p", "p"], {}).rewards == [1.0, 1.0]
