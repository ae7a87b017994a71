"""Log-probabilities of sampled tokens, as vLLM asks for them."""

import sys
from types import ModuleType, SimpleNamespace

import pytest
import torch

from rlexp.backend.patches import sampled_logprobs
from rlexp.backend.patches.patch import Status


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


@pytest.fixture
def logprob(monkeypatch):
    """vLLM's module, where none is installed."""
    for name in ("vllm", "vllm.v1", "vllm.v1.worker", "vllm.v1.worker.gpu"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    module = SimpleNamespace(__name__="logprob", compute_token_logprobs=lambda logits, token_ids: None)
    monkeypatch.setitem(sys.modules, "vllm.v1.worker.gpu.sample", SimpleNamespace(logprob=module))
    return module


def test_it_takes_the_place_of_vllms_own(logprob):
    for _ in range(2):
        assert sampled_logprobs.apply().status is Status.applied
        assert logprob.compute_token_logprobs is sampled_logprobs.compute


def test_a_vllm_that_is_built_otherwise_stays_as_it_is(logprob, monkeypatch):
    logprob.compute_token_logprobs = original = lambda logits, token_ids, temperature: None
    outcome = sampled_logprobs.apply()
    assert outcome.status is Status.skipped and "other arguments" in outcome.why
    assert logprob.compute_token_logprobs is original
    del logprob.compute_token_logprobs
    assert sampled_logprobs.apply().status is Status.skipped and not hasattr(logprob, "compute_token_logprobs")
    monkeypatch.delitem(sys.modules, "vllm.v1.worker.gpu.sample")
    assert sampled_logprobs.apply().status is Status.skipped
