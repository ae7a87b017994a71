"""The judge of two answers, against an endpoint of our own."""

import asyncio

import pytest
import yaml

from rlexp.inputs.script import load_script
from tests.conftest import ROOT
from tests.endpoints import serving


@pytest.fixture
def endpoint(monkeypatch):
    with serving(monkeypatch) as server:
        server.says = lambda number, body: "Better: A"
        yield server


@pytest.fixture
def judge(endpoint, tmp_path):
    """Compares answers by a fresh copy of the reward, which has asked nothing yet."""

    def score(completions, other, prompts=None, **params):
        module = load_script(ROOT / "rewards/preferred.py")
        usual = {"base_url": endpoint.url, "model": "m", "template": "Q {prompt} A {completion} B {other}"}
        asked = {**usual, "backoff": 0.001, "cache_folder": str(tmp_path / "replies"), **params}
        return asyncio.run(module.score(completions, prompts or ["?"] * len(completions), other, **asked))

    return score


def contents(endpoint):
    return [body["messages"][-1]["content"] for body in endpoint.bodies]


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        ("B is wrong.\nBetter: A", 1.0),
        ("**Better:** B", 0.0),
        ("Better: **Tie**", 0.5),
        ('{"better": "b"}', 0.0),
        ("A", 1.0),
        ("**tie**.", 0.5),
        ("One says Better: A. I say\nBetter: B", 0.0),  # the last one counts
        ("B is better a bit, I think.", None),
        ("Better: Albert", None),
        ("", None),
    ],
)
def test_the_verdict_is_read_from_the_reply(endpoint, judge, reply, expected):
    endpoint.says = lambda number, body: reply
    assert judge(["four"], ["five"]) == [expected]
    assert len(endpoint.bodies) == (2 if expected is None else 1)


def test_each_answer_stands_where_the_template_says_and_none_can_have_another_filled_in(endpoint, judge):
    judge(["I say {other}"], ["I say {prompt}"], ["2 + 2?"])
    assert contents(endpoint) == ["Q 2 + 2? A I say {other} B I say {prompt}"]


def test_equal_answers_are_a_tie_and_nothing_is_asked_twice(endpoint, judge):
    assert judge(["four", " four", "four"], ["five", "four ", "five"]) == [1.0, 0.5, 1.0]
    assert judge(["four"], ["five"]) == [1.0]  # another process, as good as
    assert contents(endpoint) == ["Q ? A four B five"]


def test_a_request_that_may_succeed_later_is_repeated_and_one_that_fails_for_good_raises(endpoint, judge):
    endpoint.says = lambda number, body: (503, {}) if number < 3 else "Better: B"
    assert judge(["four"], ["five"], retries=2) == [0.0]
    endpoint.says = lambda number, body: (401, {})
    with pytest.raises(RuntimeError, match="failed for good: 401"):
        judge(["six"], ["seven"], retries=2)
    assert len(endpoint.bodies) == 4


def test_the_budget_ends_it_and_the_key_is_not_kept(endpoint, judge, monkeypatch, tmp_path):
    monkeypatch.setenv("JUDGE_KEY", "secret-value-1")
    judge(["four"], ["five"], api_key_variable="JUDGE_KEY")
    assert endpoint.keys == ["Bearer secret-value-1"]
    assert not any(b"secret-value-1" in path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    with pytest.raises(RuntimeError, match="budget of max_requests=1 is spent"):
        judge(["a", "b"], ["c", "d"], max_requests=1, concurrency=1)


@pytest.mark.parametrize(
    ("params", "what"),
    [
        ({"api_key_variable": "NO_SUCH_KEY"}, "environment variable NO_SUCH_KEY"),
        ({"template": "{completion}?"}, "must have {completion} and {other}"),
        ({"concurrency": 0}, "concurrency"),
    ],
)
def test_a_wrong_parameter_is_named_before_anything_is_asked(endpoint, judge, params, what):
    with pytest.raises(ValueError, match=what):
        judge(["four"], ["five"], **params)
    assert endpoint.bodies == []


def test_the_shipped_template_shows_both_answers(endpoint, judge):
    params = yaml.safe_load((ROOT / "conf/reward/preferred.yaml").read_text())["terms"]["preferred"]["params"]
    del params["cache_folder"]
    own = {"base_url": endpoint.url, "model": "m"}
    assert judge(["<answer>4</answer>"], ["five"], ["2 + 2?"], **{**params, **own}) == [1.0]
    (content,) = contents(endpoint)
    assert content.index("2 + 2?") < content.index("<answer>4</answer>") < content.index("five") and "{" not in content
