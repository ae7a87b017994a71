"""A reward that tells no completions apart is found; one that merely scores something else than the answer is not."""

import dataclasses
from typing import Any

import pytest

from rlexp.compose.schema import Reward, Term
from rlexp.inputs import reward_source
from rlexp.inputs.find import Inputs
from rlexp.preflight import rewards
from rlexp.verdict import Level

ROWS: list[dict[str, Any]] = [{"prompt": f"What is {n} + 1?", "answer": str(n + 1), "n": n} for n in range(12)]


@pytest.fixture
def judged(composed, tmp_path, monkeypatch):
    """What is said of a reward, by its code, over sums."""
    monkeypatch.setattr(rewards, "remembered", lambda key, make: make())

    def judge(code, gold=None, rows=ROWS, beside=()):
        monkeypatch.setattr(rewards, "data_rows", lambda folder, count: rows)
        monkeypatch.setattr(rewards.coverage, "spread_rows", lambda folder: rows)
        sources = {}
        for name, text in {"mine": code, **dict(beside)}.items():
            (tmp_path / f"{name}.py").write_text(f"version = 1\n{text}\n")
            sources[name] = reward_source.read(tmp_path, f"{name}.py")
        run = composed()
        terms = Reward(terms={name: Term(file=f"{name}.py") for name in sources})
        run = dataclasses.replace(run, reward=terms, dataset=dataclasses.replace(run.dataset, gold=gold))
        found = rewards.check(run, Inputs(tmp_path, None, None, None, None, sources))
        return [(v.name, v.level.value) for v in found if v.name != "reward.coverage" or v.level is not Level.passed]

    return judge


def test_rows_that_a_term_does_not_apply_to_are_named(judged):
    numbers = (
        "def score(completions, answer): return [float(a in c) if a else None for c, a in zip(completions, answer)]"
    )
    rows = [{**row, "answer": row["answer"] if number % 2 else ""} for number, row in enumerate(ROWS)]
    assert ("reward.coverage", "warning") in judged(numbers, rows=rows)
    assert ("reward.coverage", "warning") not in judged(numbers)


def test_a_reward_that_is_always_the_same_fails(judged):
    assert judged("def score(completions): return [1.0] * len(completions)") == [("reward.constant", "failed")]
    never = "def score(completions, answer): return [0.0 for _ in answer]"
    assert judged(never) == [("reward.constant", "failed")]


def test_a_term_that_is_always_the_same_beside_one_that_is_not_only_warns(judged):
    other = {"other": "def score(completions, answer): return [float(a in c) for c, a in zip(completions, answer)]"}
    flat = "def score(completions): return [1.0] * len(completions)"
    assert judged(flat, beside=other) == [("reward.constant", "warning"), ("reward.gold", "ok")]


def test_without_answers_nobody_can_judge_so_it_only_warns(judged):
    flat = "def score(completions): return [1.0] * len(completions)"
    rows = [{"prompt": row["prompt"]} for row in ROWS]
    assert judged(flat, rows=rows) == [("reward.constant", "warning")]


@pytest.mark.parametrize(
    "code",
    [
        # An exact match without tags, a boxed answer, a JSON answer: any form that holds the answer will do.
        "def score(completions, answer): return [float(c.strip() == a) for c, a in zip(completions, answer)]",
        "def score(completions, answer):\n"
        "    return [float('boxed{' + a + '}' in c) for c, a in zip(completions, answer)]",
        "import json\ndef score(completions, answer):\n"
        "    return [float(c == json.dumps({'answer': a})) for c, a in zip(completions, answer)]",
        # Reads a column that is no answer.
        "def score(completions, n): return [float(len(c) > k) for c, k in zip(completions, n)]",
        # The same for all of these, and its own cases say that it is no constant.
        "def score(completions): return [float('SELECT' in c) for c in completions]\n"
        "cases = [{'completion': 'SELECT 1', 'score': 1.0}, {'completion': '', 'score': 0.0}]",
        # Applies to nothing here.
        "def score(completions): return [None] * len(completions)",
    ],
)
def test_a_reward_that_scores_as_it_should_raises_nothing(judged, code):
    assert all(level == "ok" for _, level in judged(code))


def test_an_answer_that_is_not_the_gold_completions_fails_where_gold_is_said_and_warns_where_it_is_guessed(judged):
    exact = "def score(completions, answer):\n    return [float(f'<answer>{a}</answer>' in c)"
    exact += " - 0.1 * (c == '') for c, a in zip(completions, answer)]"
    wrong = [{**row, "right": row["answer"], "answer": str(900 + row["n"])} for row in ROWS]
    assert judged(exact, gold="<answer>{right}</answer>", rows=wrong) == [("reward.gold", "failed")]
    assert judged(exact.replace("{a}", "{a}!"), rows=wrong) == [("reward.gold", "warning")]
    assert judged(exact, gold="<answer>{answer}</answer>", rows=wrong) == [("reward.gold", "ok")]


@pytest.mark.parametrize("reward", ["format", "correct", "length", "language", "repetition", "json_schema"])
def test_the_shipped_rewards_raise_nothing_over_sums(composed, root, monkeypatch, reward):
    monkeypatch.setattr(rewards, "remembered", lambda key, make: make())
    rows = [{**row, "a": row["n"], "b": 1, "prompt": [{"role": "user", "content": row["prompt"]}]} for row in ROWS]
    monkeypatch.setattr(rewards, "data_rows", lambda folder, count: rows)
    monkeypatch.setattr(rewards.coverage, "spread_rows", lambda folder: rows)
    run = composed(f"reward={reward}")
    sources = {name: reward_source.read(root, term.file) for name, term in run.reward.terms.items()}
    said = rewards.check(run, Inputs(root, None, None, None, None, sources))
    assert {verdict.level.value for verdict in said} <= {"ok", "skipped"}, said


def test_a_reward_without_cases_is_named(tmp_path):
    (tmp_path / "rewards").mkdir()
    for name, cases in (("with_them", "cases = [{'completion': '', 'score': 0.0}]\n"), ("without", "")):
        text = f"version = 1\n\n\ndef score(completions):\n    return [0.0 for _ in completions]\n\n\n{cases}"
        (tmp_path / f"rewards/{name}.py").write_text(text)
    said = {n: rewards.cases(n, reward_source.read(tmp_path, f"rewards/{n}.py")) for n in ("with_them", "without")}
    assert {name: verdict.level.value for name, verdict in said.items()} == {"with_them": "ok", "without": "warning"}
    assert "the reward without has no cases" in said["without"].message
