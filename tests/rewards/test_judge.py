"""The judge, against an endpoint of our own."""

import asyncio
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml

from rlexp.inputs.script import load_script

ROOT = Path(__file__).parents[2]


class Endpoint(ThreadingHTTPServer):
    """Answers chat completions with what ``says`` returns: a text, or (status, headers) of an error."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_port}/v1"
        self.says = lambda number, content: "Score: 7"
        self.bodies, self.keys, self.paths = [], [], []
        self.lock, self.busy, self.busiest = threading.Lock(), 0, 0


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        server, body = self.server, json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with server.lock:
            server.bodies.append(body)
            server.keys.append(self.headers.get("Authorization"))
            server.paths.append(self.path)
            number, server.busy = len(server.bodies), server.busy + 1
            server.busiest = max(server.busiest, server.busy)
        said = server.says(number, body["messages"][-1]["content"])
        with server.lock:
            server.busy -= 1
        status, headers = (200, {}) if isinstance(said, str) else said
        reply = {"choices": [{"message": {"role": "assistant", "content": said}}]} if status == 200 else {"error": "no"}
        data = json.dumps(reply).encode()
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(data))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *arguments):
        pass


@pytest.fixture
def endpoint():
    with Endpoint() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def judge(endpoint, tmp_path, monkeypatch):
    """Scores completions with a fresh copy of the reward, which has asked nothing yet."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")

    def score(completions, prompts=None, answer=None, **params):
        module = load_script(ROOT / "rewards/judge.py")
        usual = {"base_url": endpoint.url, "model": "m", "template": "Q {prompt} A {completion}", "backoff": 0.001}
        asked = {**usual, "cache_folder": str(tmp_path / "replies"), **params}
        return asyncio.run(module.score(completions, prompts or ["?"] * len(completions), answer, **asked))

    return score


def contents(endpoint):
    return [body["messages"][-1]["content"] for body in endpoint.bodies]


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        ("It is fine.\nScore: 10", 1.0),
        ("Score: 1", 0.0),
        ("**Score:** 5.5/10", 0.5),
        ('{"score": 5.5}', 0.5),
        ("10/10", 1.0),
        ("1.", 0.0),
        ("Score: 40", 1.0),  # clamped
        ("Score: -3", 0.0),
        ("He says Score: 10. I say\nScore: 1", 0.0),  # the last one counts
        ("I will not judge 10 of these.", None),
        ("", None),
    ],
)
def test_the_number_is_read_from_the_reply(endpoint, judge, reply, expected):
    endpoint.says = lambda number, content: reply
    assert judge(["four"]) == [expected]
    assert len(endpoint.bodies) == (2 if expected is None else 1)


def test_an_unreadable_reply_is_asked_for_once_more(endpoint, judge):
    endpoint.says = lambda number, content: "Hm." if number == 1 else "Score: 10"
    assert judge(["four"]) == [1.0]


def test_the_judge_is_sent_the_filled_template_and_the_fields_of_the_request(endpoint, judge, monkeypatch):
    monkeypatch.setenv("JUDGE_KEY", "secret")
    template = "Q {prompt} R {answer} A {completion} {other}"
    judge(["four"], ["2 + 2?"], ["4"], template=template, request={"temperature": 0}, api_key_variable="JUDGE_KEY")
    message = {"role": "user", "content": "Q 2 + 2? R 4 A four {other}"}
    assert endpoint.bodies == [{"model": "m", "messages": [message], "temperature": 0}]
    assert (endpoint.keys, endpoint.paths) == (["Bearer secret"], ["/v1/chat/completions"])


def test_a_completion_cannot_have_the_answer_filled_into_it(endpoint, judge):
    judge(["It is {answer}, {prompt}"], ["2 + 2?"], ["4"], template="{answer}: {completion}")
    assert contents(endpoint) == ["4: It is {answer}, {prompt}"]


def test_nothing_is_asked_twice(endpoint, judge):
    endpoint.says = lambda number, content: "Score: 10" if "four" in content else "Hm."
    assert judge(["four", "five", "four"]) == [1.0, None, 1.0]
    assert sorted(contents(endpoint)) == ["Q ? A five", "Q ? A five", "Q ? A four"]
    assert judge(["four", "five"]) == [1.0, None]  # another process, as good as
    assert len(endpoint.bodies) == 3
    for other in ({"model": "n"}, {"request": {"seed": 1}}, {"template": "{completion}"}, {"prompts": ["!"]}):
        before = len(endpoint.bodies)
        judge(["four"], **other)
        assert len(endpoint.bodies) == before + 1, other


def test_the_key_is_not_kept(endpoint, judge, monkeypatch, tmp_path):
    monkeypatch.setenv("JUDGE_KEY", "secret")
    judge(["four"], api_key_variable="JUDGE_KEY")
    monkeypatch.setenv("JUDGE_KEY", "another")
    judge(["four"], api_key_variable="JUDGE_KEY")
    assert len(endpoint.bodies) == 1
    assert not any(b"secret" in path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_request_that_may_succeed_later_is_repeated(endpoint, judge, status):
    endpoint.says = lambda number, content: (status, {}) if number < 3 else "Score: 10"
    assert judge(["four"], retries=2) == [1.0]
    assert len(endpoint.bodies) == 3


def test_the_waits_double_and_the_endpoint_may_ask_for_a_longer_one(endpoint, judge, monkeypatch):
    waited, sleep = [], asyncio.sleep
    monkeypatch.setattr(asyncio, "sleep", lambda seconds: waited.append(seconds) or sleep(0))
    endpoint.says = lambda number, content: (
        (429, {"Retry-After": "7"} if number == 3 else {}) if number < 5 else "Score: 10"
    )
    assert judge(["four"], backoff=0.5) == [1.0]
    assert [seconds for seconds in waited if seconds] == [0.5, 1.0, 7.0, 4.0]


def test_a_slow_request_is_repeated_and_then_fails(endpoint, judge):
    over = threading.Event()
    endpoint.says = lambda number, content: "Score: 10" if over.wait(60) else "late"
    with pytest.raises(RuntimeError, match="failed for good: ReadTimeout"):
        judge(["four"], timeout=0.3, retries=1)
    for _ in range(1000):  # on a busy machine the endpoint reads a request after the judge gave it up
        if len(endpoint.bodies) == 2:
            break
        time.sleep(0.01)
    over.set()
    assert len(endpoint.bodies) == 2


@pytest.mark.parametrize(
    ("status", "requests", "what"),
    [(401, 1, "failed for good: 401 .*error"), (500, 3, "failed for good: 500")],
)
def test_a_request_that_fails_for_good_raises_and_is_not_kept(endpoint, judge, status, requests, what):
    endpoint.says = lambda number, content: (status, {})
    with pytest.raises(RuntimeError, match=what):
        judge(["four"], retries=2)
    assert len(endpoint.bodies) == requests
    endpoint.says = lambda number, content: "Score: 10"
    assert judge(["four"]) == [1.0]


def test_replies_that_came_before_a_failure_are_kept(endpoint, judge):
    endpoint.says = lambda number, content: (400, {}) if "bad" in content else "Score: 10"
    with pytest.raises(RuntimeError, match="400"):
        judge(["four", "bad"], concurrency=1)
    assert judge(["four"]) == [1.0]
    assert sorted(contents(endpoint)) == ["Q ? A bad", "Q ? A four"]


def test_an_endpoint_that_is_not_there_is_named(judge):
    with pytest.raises(RuntimeError, match=r"http://127.0.0.1:9/v1/chat/completions failed for good: ConnectError"):
        judge(["four"], base_url="http://127.0.0.1:9/v1/", retries=1)


def test_an_endpoint_that_answers_something_else_is_named(endpoint, judge):
    endpoint.says = lambda number, content: (204, {})
    with pytest.raises(RuntimeError, match="answered no chat completion"):
        judge(["four"])


def test_no_more_than_so_many_requests_are_under_way(endpoint, judge):
    endpoint.says = lambda number, content: time.sleep(0.3) or "Score: 10"
    assert judge([f"number {number}" for number in range(9)], concurrency=3) == [1.0] * 9
    assert endpoint.busiest == 3


def test_the_budget_counts_repeated_requests_and_ends_the_run(endpoint, judge):
    endpoint.says = lambda number, content: (500, {}) if number == 1 else "Score: 10"
    with pytest.raises(RuntimeError, match="budget of max_requests=3 is spent"):
        judge(["one", "two", "three"], max_requests=3, concurrency=1)
    assert len(endpoint.bodies) == 3
    assert judge(["one", "two"], max_requests=0) == [1.0, 1.0]  # kept, so nothing is asked


def test_the_budget_is_of_the_process_not_of_one_batch(endpoint, tmp_path, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    module = load_script(ROOT / "rewards/judge.py")
    params = {"base_url": endpoint.url, "model": "m", "template": "{completion}", "cache_folder": str(tmp_path)}
    asyncio.run(module.score(["one"], ["?"], max_requests=1, **params))
    with pytest.raises(RuntimeError, match="budget"):
        asyncio.run(module.score(["two"], ["?"], max_requests=1, **params))


@pytest.mark.parametrize(
    ("params", "what"),
    [
        ({"api_key_variable": "NO_SUCH_KEY"}, "environment variable NO_SUCH_KEY"),
        ({"template": "Judge!"}, "must have {completion}"),
        ({"template": "{completion} {answer}"}, "no column answer"),
        ({"scale": [10, 1]}, "scale"),
    ],
)
def test_a_wrong_parameter_is_named_before_anything_is_asked(endpoint, judge, params, what):
    with pytest.raises(ValueError, match=what):
        judge(["four"], **params)
    assert endpoint.bodies == []


def test_the_shipped_template_shows_the_judge_all_it_needs(endpoint, judge):
    params = yaml.safe_load((ROOT / "conf/reward/judge.yaml").read_text())["terms"]["judge"]["params"]
    own = {"base_url": endpoint.url, "model": "m"}
    del params["cache_folder"]
    assert judge(["<answer>4</answer>"], ["2 + 2?"], ["four"], **{**params, **own}) == [pytest.approx(2 / 3)]
    (content,) = contents(endpoint)
    assert "<answer>4</answer>" in content and "2 + 2?" in content and "four" in content and "{" not in content
