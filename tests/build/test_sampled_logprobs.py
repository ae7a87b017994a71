"""Log-probabilities of sampled tokens, as vLLM asks for them."""

import sys
from types import ModuleType, SimpleNamespace

import pytest
import torch

from rlexp.build import sampled_logprobs


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
    for name in ("vllm", "vllm.v1", "vllm.v1.worker", "vllm.v1.worker.gpu"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    sampled_logprobs.install()  # no such module: nothing happens
    monkeypatch.setitem(sys.modules, "vllm.v1.worker.gpu.sample", SimpleNamespace(logprob=(held := SimpleNamespace())))
    sampled_logprobs.install()
    assert held.compute_token_logprobs is sampled_logprobs.compute
