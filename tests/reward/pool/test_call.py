"""One call of a reward's function in this process: its scores, its failures, its mistakes, and the clock."""

import math
import signal

import pytest

from rlexp.errors import RunError
from rlexp.inputs.raised import MESSAGE
from rlexp.inputs.reward_source import read
from rlexp.reward.pool import call
from rlexp.reward.pool.call import Clock, Failure, RewardFunction, TimedOut, checked


@pytest.fixture
def reward(tmp_path):
    def make(body, **params):
        (tmp_path / "rewards").mkdir(exist_ok=True)
        (tmp_path / "rewards/mine.py").write_text(f"version = 1\n{body}\n")
        return RewardFunction("mine", read(tmp_path, "rewards/mine.py"), params)

    return make


@pytest.mark.parametrize(
    ("body", "scores"),
    [
        ("def score(completions): return [1, None]", [1.0, None]),
        ("def score(completions): return (True, 0.5)", [1.0, 0.5]),
        ("def score(completions, *, k): return [k * len(c) for c in completions]", [3.0, 6.0]),
        ("async def score(completions): return [1.0, 2.0]", [1.0, 2.0]),
        ("def score_group(completions): return [float(len(completions))] * 2", [2.0, 2.0]),
    ],
)
def test_a_number_or_none_is_a_score(reward, body, scores):
    made = reward(body, **({"k": 3} if "k)" in body else {}))
    found = made.scores({"completions": ["a", "bb"]})
    assert found == scores and [type(s) for s in found] == [type(s) for s in scores]


@pytest.mark.parametrize(
    ("body", "message", "line"),
    [
        ("def score(completions):\n    raise ValueError('x')", "ValueError: x", 3),
        ("def score(completions):\n    raise ValueError", "ValueError", 3),
        ("def score(completions):\n    raise SystemExit(4)", "SystemExit: 4", 3),
        ("import json\ndef score(completions):\n    return json.loads('{')", "JSONDecodeError: Expecting", 4),
        ("def score(completions):\n    raise ValueError('y' * 900)", f"ValueError: {'y' * (MESSAGE - 12)}", 3),
        (
            "class Shy(Exception):\n    def __str__(self): raise RuntimeError\ndef score(completions):\n    raise Shy",
            "Shy: (its message raised RuntimeError)",
            5,
        ),
        ("async def score(completions):\n    raise ValueError('x')", "ValueError: x", 3),
    ],
)
def test_what_it_raises_is_a_failure_of_every_completion(reward, body, message, line):
    one, other = reward(body).scores({"completions": ["a", "b"]})
    assert one == other and one.kind == "raised" and one.message.startswith(message)
    assert len(one.message) <= MESSAGE and one.where == f"rewards/mine.py:{line}"
    assert not call.clock.running


def test_an_interrupt_of_the_user_is_none_of_a_completion(reward):
    with pytest.raises(KeyboardInterrupt):
        reward("def score(completions): raise KeyboardInterrupt").scores({"completions": ["a"]})
    assert not call.clock.running


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ("[float('nan'), 1.0]", "scored nan"),
        ("[float('-inf'), 1.0]", "scored -inf"),
        ("[10 ** 400, 1.0]", "scored an integer beyond every float"),
        ("(float('nan'), 1.0)", "scored nan"),
    ],
)
def test_a_number_that_is_not_finite_is_the_failure_of_its_completion_only(reward, answer, message):
    found = reward(f"def score(completions): return {answer}").scores({"completions": ["a", "b"]})
    assert found == [Failure("not finite", message, "rewards/mine.py"), 1.0]


@pytest.mark.parametrize(
    ("answer", "what"),
    [
        ("[1.0]", "the reward mine answered 1 scores for 2 completions"),
        ("[1.0, 1.0, float('nan')]", "answered 3 scores for 2 completions"),
        ("1.0", "answered float for 2 completions"),
        ("None", "answered NoneType for 2 completions"),
        ("['1', 1.0]", "scored '1', which is no finite number"),
        ("[float('nan'), '1']", "scored '1', which is no finite number"),
    ],
)
def test_an_answer_that_is_none_is_a_mistake_of_the_reward(reward, answer, what):
    with pytest.raises(RunError) as caught:
        reward(f"def score(completions): return {answer}").scores({"completions": ["a", "b" * 300]})
    assert what in caught.value.what and caught.value.where.startswith("rewards/mine.py: score()")


def test_a_mistake_shows_its_completion_or_none_where_it_is_not_read(reward):
    with pytest.raises(RunError) as caught:
        checked("mine", ["x"], ["y" * 300], "f.py")
    assert caught.value.where == f"f.py: score(), on the completion {'y' * 200!r}"
    with pytest.raises(RunError) as caught:
        reward("def score(answer): return ['x', 1]").scores({"answer": [1, 2]})
    assert caught.value.where == "rewards/mine.py: score(), on the completion ''"
    assert checked("mine", [1, None, True], ["", "", ""], "f.py") == [1.0, None, 1.0]


@pytest.mark.parametrize(
    ("body", "what", "where"),
    [
        ("import nothing_like_it", "ModuleNotFoundError: No module named 'nothing_like_it' when imported", ":2"),
        ("raise SystemExit", "SystemExit when imported", ":2"),
    ],
)
def test_a_file_that_cannot_be_imported_is_a_mistake(reward, body, what, where):
    with pytest.raises(RunError, match="the reward mine raised") as caught:
        reward(f"{body}\ndef score(completions): return []")
    assert what in caught.value.what and caught.value.where == f"rewards/mine.py{where}"


def test_what_took_too_long_timed_out_whatever_the_reward_made_of_it(reward, monkeypatch):
    made = reward("def score(completions): return [1.0, 1.0]")
    monkeypatch.setattr(call.clock, "over", True)
    monkeypatch.setattr(call.clock, "limit", 1.5)
    found = made.scores({"completions": ["a", "b"]})
    assert found == [Failure("timed out", "more than 3 s of computing", "rewards/mine.py")] * 2


def test_the_clock_rings_in_a_reward_only_and_says_so(monkeypatch):
    set_to = []
    monkeypatch.setattr(signal, "setitimer", lambda *given: set_to.append(given))
    handlers = []
    monkeypatch.setattr(signal, "signal", lambda *given: handlers.append(given))
    clock = Clock()
    assert (clock.limit, clock.running, clock.over) == (math.inf, False, False)
    clock.install(2.0)
    ((number, ring),) = handlers
    assert (number, clock.limit) == (signal.SIGPROF, 2.0)
    ring(number, None)
    assert not clock.over  # nobody computes
    clock.running = True
    with pytest.raises(TimedOut):
        ring(number, None)
    assert clock.over
    clock.start(3)
    assert not clock.over
    clock.limit = 0.1
    clock.start(1)
    clock.stop()
    assert set_to == [
        (signal.ITIMER_PROF, 6.0, pytest.approx(0.6)),
        (signal.ITIMER_PROF, 0.1, 0.05),
        (signal.ITIMER_PROF, 0),
    ]
    assert not issubclass(TimedOut, Exception)


def test_the_clock_may_ring_while_the_function_runs_and_not_before_or_after(reward):
    made = reward("from rlexp.reward.pool.call import clock\ndef score(completions): return [float(clock.running)]")
    assert made.scores({"completions": ["a"]}) == [1.0] and not call.clock.running
