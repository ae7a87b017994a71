"""Log-probabilities of sampled tokens, as vLLM asks for them."""

import itertools
import sys
from types import ModuleType, SimpleNamespace

import pytest
import torch

from rlexp.backend.patches import sampled_logprobs


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_they_are_those_of_the_softmax_in_float32(dtype):
    torch.manual_seed(0)
    logits = (3 * torch.randn(5, 1000)).to(dtype)
    ids = torch.randint(1000, (5, 2), dtype=torch.int32)
    found = sampled_logprobs.compute(logits, ids)
    assert found.dtype is torch.float32 and found.shape == (5, 2)
    torch.testing.assert_close(
        found.double(), logits.double().log_softmax(-1).gather(-1, ids.long()), atol=1e-5, rtol=0
    )


def test_it_takes_the_place_of_vllms_own_and_another_vllm_stays_as_it_is(monkeypatch):
    from trl.generation import vllm_generation as trl

    monkeypatch.setattr(trl, "extract_logprobs", trl.extract_logprobs)
    for name in ("vllm", "vllm.v1", "vllm.v1.worker", "vllm.v1.worker.gpu"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    sampled_logprobs.install()  # no such module: nothing happens
    monkeypatch.setitem(sys.modules, "vllm.v1.worker.gpu.sample", SimpleNamespace(logprob=(held := SimpleNamespace())))
    sampled_logprobs.install()
    assert held.compute_token_logprobs is sampled_logprobs.compute


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

    theirs = getattr(extract_logprobs, "keywords", {}).get("theirs", extract_logprobs)
    assert sampled_logprobs.extract(sampled, theirs) == theirs(sampled)


def test_trl_takes_them_so_once_it_is_installed(monkeypatch):
    from trl.generation import vllm_generation as trl

    monkeypatch.setattr(trl, "extract_logprobs", theirs := lambda outputs: "by position")
    sampled_logprobs.install()
    sampled_logprobs.install()
    assert trl.extract_logprobs(outputs(Flat([-1.0]))) == ([[[-1.0]]], [[[40]]])
    assert trl.extract_logprobs(outputs(None)) == "by position" and trl.extract_logprobs.keywords == {"theirs": theirs}
