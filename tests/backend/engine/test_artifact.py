"""vLLM stepped through by hand: against a stand-in that gives every running request a token a step."""

from __future__ import annotations

import sys
import time
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from rlexp.backend.engine.artifact import ArtifactEngine, rows

END = 9
HOW = {"max_tokens": 4, "temperature": 0.0}


class Stepped:
    """Requests run, at most so many at once; a request for ``[n]`` ends by itself with its n-th token."""

    def __init__(self, at_once: int, seconds: float = 0.0) -> None:
        self.at_once, self.seconds = at_once, seconds
        self.requests: dict[str, SimpleNamespace] = {}
        self.most = 0
        self.aborted: list[str] = []

    def add_request(self, name, given, params):
        self.requests[name] = SimpleNamespace(ends_at=given["prompt_token_ids"][-1], params=params, ids=[])

    def step(self):
        time.sleep(self.seconds)
        running = list(self.requests.items())[: self.at_once]
        self.most = max(self.most, len(running))
        said = []
        for name, one in running:
            one.ids.append(END if len(one.ids) + 1 == one.ends_at else 1)
            stopped, cut = one.ids[-1] == END, len(one.ids) == one.params.max_tokens
            output = SimpleNamespace(token_ids=one.ids, finish_reason="stop" if stopped else "length" if cut else None)
            said.append(SimpleNamespace(request_id=name, outputs=[output], finished=stopped or cut))
            if stopped or cut:
                del self.requests[name]
        return said

    def abort_request(self, names):
        self.aborted += names
        for name in names:
            del self.requests[name]


@pytest.fixture
def made(monkeypatch):
    params = lambda **given: SimpleNamespace(**given)  # noqa: E731
    monkeypatch.setitem(sys.modules, "vllm", SimpleNamespace(SamplingParams=params))

    def make(stepped: Stepped, context: int = 64) -> ArtifactEngine:
        engine = ArtifactEngine.__new__(ArtifactEngine)
        engine._llm = SimpleNamespace(llm_engine=stepped)
        engine._context, engine._requests = context, 0
        return engine

    return make


def test_answers_come_in_the_order_of_the_prompts_and_so_many_run_at_once(made):
    stepped = Stepped(8)
    found = made(stepped).generate([[3], [1], [7], [2]], HOW, [0] * 4, together=2)
    assert [ids for ids, _, _ in found] == [[1, 1, END], [END], [1, 1, 1, 1], [1, END]]
    assert [ended for _, ended, _ in found] == [True, True, False, True]
    assert all(len(ids) == len(seconds) and sorted(seconds) == seconds for ids, _, seconds in found)
    assert stepped.most == 2 and not stepped.aborted


def test_a_completion_ends_where_the_context_does_and_a_prompt_that_fills_it_leaves_no_request_behind(made):
    stepped = Stepped(8)
    engine = made(stepped, context=5)
    assert engine.generate([[1, 1, 7]], HOW, [0], together=1)[0][0] == [1, 1]
    with pytest.raises(ValueError, match="the context is of 5"):
        engine.generate([[7], [7] * 5], HOW, [0, 0], together=2)
    assert stepped.aborted and not stepped.requests


def test_what_arrives_joins_what_is_under_way(made):
    stepped = Stepped(8, seconds=0.02)
    found = made(stepped).serve([[4]] * 3, [0.0, 0.03, 0.03], HOW, [0] * 3, limit=None, late=0)
    assert stepped.most >= 2  # in batches of those that had arrived at first, one alone would have run
    assert all(one and len(one[0]) == 4 for one in found)


def test_what_is_late_is_given_up_with_all_that_is_under_way(made):
    stepped = Stepped(1, seconds=0.01)
    found = made(stepped).serve([[4]] * 50, [0.0] * 50, HOW, [0] * 50, limit=0.05, late=0.5)
    assert None in found
    assert stepped.aborted and not stepped.requests


def test_log_probabilities_stand_in_the_order_of_the_vocabulary():
    wanted = torch.randn(5, 7).log_softmax(-1)
    values, ids = wanted.topk(7)
    chosen = torch.arange(5)[:, None]
    tensors = SimpleNamespace(
        logprob_token_ids=torch.cat([chosen, ids], 1), logprobs=torch.cat([wanted.gather(1, chosen), values], 1)
    )
    half = [
        SimpleNamespace(logprob_token_ids=tensors.logprob_token_ids[part], logprobs=tensors.logprobs[part])
        for part in (slice(0, 2), slice(2, 5))
    ]
    np.testing.assert_array_equal(rows([tensors], 7), wanted.numpy())
    np.testing.assert_array_equal(rows(half, 7), wanted.numpy())


def test_log_probabilities_are_those_of_the_completion_and_leave_no_request_behind(made):
    stepped, wanted = Stepped(8), torch.randn(4, 7).log_softmax(-1)
    ids = torch.arange(7).expand(4, 7)
    tensors = SimpleNamespace(
        logprob_token_ids=torch.cat([ids[:, :1], ids], 1), logprobs=torch.cat([wanted[:, :1], wanted], 1)
    )
    said = [
        [],
        [SimpleNamespace(new_prompt_logprobs_tensors=tensors, finish_reason=None)],
        [SimpleNamespace(new_prompt_logprobs_tensors=None, finish_reason=1)],
    ]
    stepped.engine_core = SimpleNamespace(get_output=lambda: SimpleNamespace(outputs=said.pop(0)))
    stepped.model_config = SimpleNamespace(get_vocab_size=lambda: 7)
    found = made(stepped, context=5).logprobs([3, 1, 4, 1, 5], 2)  # as long as the context
    np.testing.assert_array_equal(found, wanted.numpy()[1:])
    assert not stepped.requests and stepped.aborted
