"""An OpenAI-compatible endpoint as a Sampler, against one of our own."""

import pytest

from rlexp.backend.prompts import WithTools
from rlexp.errors import RunError
from rlexp.evaluate import endpoint as endpoints
from rlexp.evaluate.endpoint import Endpoint, checked
from rlexp.evaluate.sampler import Sampling
from rlexp.evaluate.url_sampler import UrlSampler
from tests.endpoints import serving

TURNS = [{"role": "user", "content": "What is 3 + 4?"}]
HOW = Sampling(max_new_tokens=12, temperature=0.5, top_p=0.9)


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setattr(endpoints, "WAITS", (0.0, 0.0))
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with serving(monkeypatch) as server:
        server.says = lambda number, body: str(body["seed"])
        yield server


@pytest.fixture
def sampler(server, composed):
    return UrlSampler(composed("hardware=cpu"), server.url, "m")


def refusal(sampler, **sampling):
    with pytest.raises(RunError) as error:
        sampler.sample([TURNS], 1, HOW, 0)
    assert error.value.hint
    return error.value


def test_every_sample_has_a_seed_of_its_own_and_the_same_call_gives_the_same(server, sampler):
    one, two = (sampler.sample([TURNS, "plain"], 3, HOW, seed=7) for _ in range(2))
    texts = [answer.text for answers in one for answer in answers]
    assert one == two and [len(answers) for answers in one] == [3, 3] and len(set(texts)) == 6
    assert one != sampler.sample([TURNS, "plain"], 3, HOW, seed=8)


def test_what_is_sent_of_a_conversation_and_of_plain_text(server, sampler):
    sampler.sample([TURNS], 1, HOW, 0)
    sampler.sample(["plain"], 1, Sampling(12, top_k=5, more={"min_p": 0.1}), 0)
    sampler.sample([WithTools(TURNS, [{"type": "function"}])], 1, HOW, 0)
    chat, plain, tools = server.bodies
    seed = chat.pop("seed")
    assert chat == {"model": "m", "temperature": 0.5, "top_p": 0.9, "max_tokens": 12, "messages": TURNS}
    assert 0 <= seed < 2**31 and (plain["prompt"], plain["top_k"], plain["min_p"]) == ("plain", 5, 0.1)
    assert tools["tools"] == [{"type": "function"}]
    assert server.paths == ["/v1/chat/completions", "/v1/completions", "/v1/chat/completions"]


@pytest.mark.parametrize(
    ("answer", "text", "truncated", "length"),
    [
        ({"choices": [{"message": {"content": "7"}, "finish_reason": "length"}]}, "7", True, None),
        ({"choices": [{"message": {"content": None}}], "usage": {"completion_tokens": 3}}, "", False, 3),
        ({"choices": [{"message": {"content": "7"}}], "usage": {"completion_tokens": True}}, "7", False, None),
        (b'{"choices": [{"message": {"content": "a\\ud800b"}}]}', "a?b", False, None),
    ],
)
def test_what_is_read_of_an_answer(server, sampler, answer, text, truncated, length):
    server.says = lambda number, body: answer
    ((found,),) = sampler.sample([TURNS], 1, HOW, 0)
    assert (found.text, found.truncated, found.length, found.token_ids) == (text, truncated, length, [])


@pytest.mark.parametrize(
    "answer", [b"<html>", b"[]", {}, {"choices": []}, {"choices": [{"message": {"content": 7}}]}, {"choices": ["x"]}]
)
def test_an_answer_that_is_none_is_one_message(server, sampler, answer):
    server.says = lambda number, body: answer
    assert "something else" in refusal(sampler).what


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_request_that_may_succeed_later_is_repeated(server, sampler, status):
    server.says = lambda number, body: (status, {}) if number < 3 else "7"
    assert sampler.sample([TURNS], 1, HOW, 0)[0][0].text == "7"
    server.says = lambda number, body: (status, {})
    assert str(status) in refusal(sampler).what and len(server.bodies) == 6


def test_the_key_is_sent_and_named_and_never_shown(server, sampler, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "a-secret-key-17")
    server.says = lambda number, body: (401, {})
    refused = refusal(sampler)
    assert server.keys == ["Bearer a-secret-key-17"] and "OPENAI_API_KEY" in (refused.hint or "")
    assert "a-secret-key-17" not in str(refused) + refused.what and "***" in refused.what


def test_a_refused_request_ends_all_the_others(server, sampler):
    server.says = lambda number, body: (400, {})
    with pytest.raises(RunError, match="refuses: 400"):
        sampler.sample([TURNS] * 500, 1, HOW, 0)
    assert len(server.bodies) < 500


def test_an_endpoint_that_is_not_there_is_asked_once(composed, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    refused = refusal(UrlSampler(composed("hardware=cpu"), "http://127.0.0.1:9/v1", "m"))
    assert refused.where == "http://127.0.0.1:9/v1/chat/completions" and "#MODEL" in (refused.hint or "")


def test_the_model_is_the_one_that_is_served(server):
    with Endpoint(server.url) as asked:
        assert asked.served() == "m"
        server.models = ["a", "b"]
        with pytest.raises(RunError, match="several models: a, b") as error:
            asked.served()
        assert error.value.hint == f"type {server.url}#a"


@pytest.mark.parametrize(
    "url", ["http://", "http://me:secret@host/v1", "http://secret@host/v1", "http://h/v1?key=secret", "http://h:x/v1"]
)
def test_a_url_that_names_no_endpoint_or_a_secret_is_refused_without_showing_it(url):
    with pytest.raises(RunError) as error:
        checked(url)
    assert "secret" not in f"{error.value.what} {error.value.where} {error.value.hint}" and error.value.hint


@pytest.mark.parametrize(
    ("url", "status", "path", "hint"),
    [
        ("http://h:1", 404, "models", "type http://h:1/v1"),
        ("http://h:1/v1", 404, "models", "look what http://h:1/v1/models lists"),
        ("http://h:1/v1", 400, "chat/completions", "eval.TASK.max_new_tokens"),
        ("http://h:1/v1", 401, "models", "put a key of it"),
    ],
)
def test_what_is_typed_after_a_refusal_follows_from_it(url, status, path, hint, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with Endpoint(url) as asked:
        assert hint in asked._refused(status, "no", path).hint


def test_a_key_that_is_refused_is_said_to_be_there(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-1")
    with Endpoint("http://h:1/v1") as asked:
        said = asked._refused(401, "no", "models").hint
    assert "another key" in said and "the one that is there" in said


def test_the_path_of_a_request_is_no_part_of_an_endpoint():
    assert checked("http://127.0.0.1:8000/v1/chat/completions") == "http://127.0.0.1:8000/v1"


def test_a_url_loses_its_last_slash():
    assert checked("http://127.0.0.1:8000/v1/") == "http://127.0.0.1:8000/v1"
