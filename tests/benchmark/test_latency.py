"""Latency from the times of tokens: the percentiles are numpy's, and the gaps are inside of an answer."""

from __future__ import annotations

import numpy as np
import pytest

from rlexp.benchmark import latency, measure
from rlexp.runtimes.protocol import Generated, Sampling


def answer(*seconds: float) -> Generated:
    return Generated(list(range(len(seconds))), True, list(seconds))


class Recording:
    """A host that answers with two tokens, and remembers what it was asked."""

    def __init__(self):
        self.asked = []

    def generate(self, prompts, sampling, seed=0, together=1):
        self.asked.append((len(prompts), sampling.max_new_tokens, together))
        return [answer(0.1, 0.3) for _ in prompts]


def test_percentiles_are_numpys():
    values = np.random.default_rng(0).exponential(1, 137).tolist()
    found = latency.percentiles(values)
    assert found == {f"p{q}": pytest.approx(np.quantile(values, q / 100)) for q in (50, 95, 99)}
    assert latency.percentiles([]) == {}


def test_a_level_says_first_tokens_gaps_answers_and_throughput():
    groups = [[answer(1.0, 1.5, 2.5), answer(1.0, 1.25)], [answer(3.0), Generated([], False, [])]]
    found = latency.summary(groups, 2)
    assert (found["together"], found["requests"], found["tokens"]) == (2, 4, 6)
    assert found["first_token_s"]["p50"] == 1.0 and found["answer_s"]["p50"] == 2.5
    assert found["token_s"]["p50"] == 0.5  # of 0.5, 1.0 and 0.25: none from answer to answer
    assert found["tokens_per_s"] == pytest.approx(6 / (2.5 + 3.0))
    assert found["answers_per_s"] == pytest.approx(3 / 5.5)


def test_requests_are_asked_in_groups_behind_a_warm_up():
    host = Recording()
    groups = latency.ask(host, [[1], [2], [3]], Sampling(64), together=4, requests=6)
    assert [len(group) for group in groups] == [4, 4]
    assert host.asked == [(4, 8, 4), (4, 64, 4), (4, 64, 4)]


def row(kind: str, ms: float) -> dict:
    return {"kind": kind, "levels": [{"token_s": {"p50": ms / 1e3}}]}


def test_what_is_slower_is_said_to_be_so_of_this_machine():
    rows = {"merged": row("merged", 10), "onnx-int4": row("onnx", 12), "gguf-q8_0": row("gguf", 10.4)}
    rows["gguf-f16"] = {"kind": "gguf", "died": {"part": "loading", "why": "it aborted"}}
    (line,) = measure.slow(rows, "CPU, 2 cores")
    assert line == "onnx-int4 is slower than merged on this machine (CPU, 2 cores): 12 ms a token, not 10"
    assert measure.slow({"onnx-int4": row("onnx", 12)}, "CPU, 2 cores") == []
