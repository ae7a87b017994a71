"""The rubric: what it hands to a reward, what it keeps, and what it refuses to take from one."""

import json
import os
import threading
from types import SimpleNamespace
from typing import Any

import pytest

from rlexp.compose.schema import Combine, Reward, Term
from rlexp.errors import RunError
from rlexp.inputs.reward_source import read
from rlexp.reward.pool.call import Failure
from rlexp.reward.rubric import FAILURES, Rubric, text_of, worded, workers_for


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


def test_a_missing_value_reaches_a_reward_as_none(tmp_path):
    body = "def score(completions, answer): return [None if gold is None else 1.0 for gold in answer]"
    batch = rubric(tmp_path, mine=body).score(["4"] * 3, ["p"] * 3, {"answer": [float("nan"), None, 4.0]})
    assert batch.scores == {"mine": [None, None, 1.0]}


READS_PREFILLS = """
def score(completions, prefills=None):
    begun = prefills or [""] * len(completions)
    return [float((prefill + completion).count("<think>")) for prefill, completion in zip(begun, completions)]
"""


@pytest.mark.parametrize(("prefill", "scores"), [("", [0.0, 1.0]), ("<think>\n", [1.0, 2.0])])
def test_a_reward_sees_what_the_prompt_holds_of_an_answer(tmp_path, prefill, scores):
    made = rubric(tmp_path, mine=READS_PREFILLS)
    told = Rubric(made.reward, made.sources, made._workers, prefill=prefill)
    batch = told.score(["4</think>", "<think>4</think>"], ["p", "p"], {})
    assert batch.scores == {"mine": scores}
    assert batch.columns == ({"prefills": [prefill] * 2} if prefill else {})  # kept, so that it can be scored again


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


def state(step):
    return SimpleNamespace(global_step=step)


def test_batches_of_one_step_are_kept_together_until_the_next_step_scores(tmp_path):
    made = rubric(tmp_path, a="def score(completions): return [float(len(c)) for c in completions]")
    (function,) = made.functions(num_generations=1)
    for step, text in ((0, "x"), (0, "yy"), (1, "zzz")):
        function(prompts=["p"], completions=[text], trainer_state=state(step))
        if text == "yy":
            assert [batch.completions for batch in made.of_step(1)] == [["x"], ["yy"]]
    assert made.of_step(1) == [] and [batch.scores for batch in made.of_step(2)] == [{"a": [3.0]}]
    assert (made.scored, made.failed) == (3, 0)


def test_a_batch_keeps_what_was_read_and_the_lengths_where_ids_were_there(tmp_path):
    made = rubric(tmp_path, a="def score(completions, completion_ids, note=None): return [1.0] * len(completions)")
    batch = made.score(["x", ""], ["p", "q"], {"completion_ids": [[7, 8, 9], []], "note": [1, 2]}, step=4)
    assert (batch.step, batch.prompts, batch.tokens, batch.last) == (4, ["p", "q"], [3, 0], [9, None])
    assert batch.columns == {"completion_ids": [[7, 8, 9], []], "note": [1, 2]}
    other = rubric(tmp_path, b="def score(completions): return [1.0] * len(completions)").score(["x"], ["p"], {})
    assert (other.tokens, other.last, other.step) == (None, None, 0)


def test_a_term_whose_columns_are_not_there_is_left_out(tmp_path):
    made = rubric(
        tmp_path,
        a="def score(completions, answer): return [1.0] * len(completions)",
        b="def score(completions): return [2.0] * len(completions)",
    )
    batch = made.score(["x"], ["p"], {})
    assert batch.scores == {"b": [2.0]} and batch.rewards == [2.0]


@pytest.mark.parametrize(
    ("failure", "text"),
    [
        (Failure("raised", "ValueError: x", "w"), "raised ValueError: x"),
        (Failure("died", "exit code 3", "w"), "died: exit code 3"),
        (Failure("timed out", "", "w"), "timed out"),
    ],
)
def test_a_failure_is_the_rest_of_a_sentence(failure, text):
    assert worded(failure) == text


@pytest.mark.parametrize(
    ("item", "text"),
    [("x", "x"), ([{"content": "a"}, {"content": "b"}], "b"), ([], ""), (None, ""), ([{"content": 5}], "5")],
)
def test_a_conversation_is_the_text_of_its_last_turn(item, text):
    assert text_of(item) == text


@pytest.mark.parametrize(("processes", "made"), [(None, 3), (0, 0), (2, 2)])
def test_as_many_workers_as_processors_unless_it_is_said(tmp_path, monkeypatch, processes, made):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1, 2}, raising=False)
    monkeypatch.setattr("rlexp.reward.rubric.Workers", lambda *given: given)
    (tmp_path / "a.py").write_text("version = 1\ndef score(completions): return []\n")
    reward = Reward(terms={"a": Term(file="a.py", params={"x": 1})}, time_limit=3.0)
    source = read(tmp_path, "a.py")
    assert workers_for(reward, {"a": source}, processes) == ({"a": (source, {"x": 1})}, made, 3.0)
    none: Any = workers_for(Reward(), {}, processes)
    assert none[1] == 0


def test_failures_are_kept_with_their_place_only_where_there_is_a_run_folder(tmp_path):
    made = rubric(
        tmp_path, Reward(max_failed=1.0), a="def score(completions): return [1 / len(c) for c in completions]"
    )
    made._failures = None
    assert made.score([""], ["p"], {}).scores == {"a": [None]}
    assert not (tmp_path / FAILURES).exists()


class Threads:
    """The ranks of a run as threads."""

    def __init__(self, number, shared):
        self.number, self.count, self.shared = number, 2, shared

    def parts(self, value):
        self.shared["values"][self.number] = value
        self.shared["meet"].wait(timeout=20)
        found = list(self.shared["values"])
        self.shared["meet"].wait(timeout=20)
        return found

    def from_first(self, make):
        return self.parts(make() if self.number == 0 else None)[0]


def test_each_rank_is_given_its_part_of_what_the_first_scored_at_once(tmp_path):
    body = """
def score_group(completions, answer):
    assert len(completions) == 4
    return [float(len(completion) + gold) for completion, gold in zip(completions, answer)]
"""
    shared, given, kept = {"values": [None, None], "meet": threading.Barrier(2)}, {}, {}

    def work(number, ends):
        made = rubric(tmp_path, mine=body)
        made._ranks = Threads(number, shared)
        (function,) = made.functions(num_generations=4)
        state = SimpleNamespace(global_step=6)
        columns = {"answer": [number * 10] * len(ends), "completion_ids": [[1]] * len(ends), "log": print}
        given[number] = function(prompts=["p"] * len(ends), completions=ends, trainer_state=state, **columns)
        kept[number] = made.of_step(7)[0], made.scored

    ranks = [threading.Thread(target=work, args=(0, ["a", "bb"])), threading.Thread(target=work, args=(1, ["c", ""]))]
    for rank in ranks:
        rank.start()
    for rank in ranks:
        rank.join(timeout=60)
    assert given == {0: [1.0, 2.0], 1: [11.0, 10.0]}
    for batch, _ in kept.values():
        assert batch.completions == ["a", "bb", "c", ""] and batch.scores == {"mine": [1.0, 2.0, 11.0, 10.0]}
        assert batch.columns == {"answer": [0, 0, 10, 10]}
    assert [scored for _, scored in kept.values()].count(4) == 1 and kept[0][1] + kept[1][1] == 4
