"""Log-probabilities as TRL takes them from vLLM."""

import itertools
from types import SimpleNamespace

import pytest

from rlexp.backend.patches import flat_logprobs
from rlexp.backend.patches.patch import Status


class Flat:
    """As vLLM's FlatLogprobs: ``counts`` numbers a position."""

    def __init__(self, logprobs, counts=None):
        self.logprobs, self.token_ids = logprobs, list(range(40, 40 + len(logprobs)))
        ends = list(itertools.accumulate(counts or [1] * len(logprobs)))
        self.start_indices, self.end_indices = [0, *ends[:-1]], ends

    def __iter__(self):
        for start, end in zip(self.start_indices, self.end_indices, strict=True):
            yield {self.token_ids[i]: SimpleNamespace(logprob=self.logprobs[i], rank=-i) for i in range(start, end)}


def outputs(*logprobs):
    """Of a prompt each with one completion."""
    return [SimpleNamespace(outputs=[SimpleNamespace(logprobs=one)]) for one in logprobs]


@pytest.mark.parametrize(
    "sampled",
    [
        outputs(Flat([-1.0, float("nan"), -0.5]), Flat([-2.0])),
        outputs(Flat([-1.0, -2.0, -3.0], [1, 2])),  # the sampled token and the likeliest one
        outputs(list(Flat([-1.0, -2.0]))),  # not flat
        outputs(None),
    ],
    ids=["flat", "two a position", "by position", "not asked for"],
)
def test_they_are_taken_as_trl_takes_them(sampled):
    from trl.generation.vllm_generation import extract_logprobs

    original = getattr(extract_logprobs, "keywords", {}).get("original", extract_logprobs)
    assert flat_logprobs.extract(sampled, original) == original(sampled)


def test_trl_takes_them_so_once_it_is_installed(monkeypatch):
    from trl.generation import vllm_generation as trl

    monkeypatch.setattr(trl, "extract_logprobs", original := lambda outputs: "by position")
    for _ in range(2):
        assert flat_logprobs.apply().status is Status.applied
    assert trl.extract_logprobs(outputs(Flat([-1.0]))) == ([[[-1.0]]], [[[40]]])
    assert trl.extract_logprobs(outputs(None)) == "by position"
    assert trl.extract_logprobs.keywords == {"original": original}


def test_a_trl_that_is_built_otherwise_stays_as_it_is(monkeypatch):
    from trl.generation import vllm_generation as trl

    monkeypatch.setattr(trl, "extract_logprobs", original := lambda outputs, more: "by position")
    assert flat_logprobs.apply().status is Status.skipped and trl.extract_logprobs is original
    monkeypatch.delattr(trl, "extract_logprobs")
    assert flat_logprobs.apply().status is Status.skipped
