"""What vLLM samples with as it starts."""

import sys
from types import SimpleNamespace

import pytest

from rlexp.backend.patches import sampler_kernels
from rlexp.backend.patches.patch import Status

GPU = ("hardware=h100", "model=qwen3_0_6b", "rollout=colocate")


@pytest.fixture
def params(monkeypatch):
    """vLLM's class, where none is installed."""

    class SamplingParams:
        def __init__(self, **asked):
            self.asked = asked

        @staticmethod
        def for_sampler_warmup():
            return SamplingParams(frequency_penalty=0.5, logprobs=5)

    monkeypatch.setitem(sys.modules, "vllm", SimpleNamespace(SamplingParams=SamplingParams))
    return SamplingParams


def test_it_is_what_the_run_samples_with(composed, params):
    assert sampler_kernels.apply(composed(*GPU)).status is Status.applied
    found = params.for_sampler_warmup().asked
    assert found["temperature"] == 1.0 and found["logprobs"] == 0 and "frequency_penalty" not in found
    sampler_kernels.apply(composed(*GPU, "method.top_p=0.9", "method.top_k=20", "method.temperature=0.7"))
    found = params.for_sampler_warmup().asked
    assert (found["top_p"], found["top_k"], found["temperature"]) == (0.9, 20, 0.7)


def test_a_vllm_that_warms_up_otherwise_stays_as_it_is(composed, params, monkeypatch):
    del params.for_sampler_warmup
    assert sampler_kernels.apply(composed(*GPU)).status is Status.skipped
    assert not hasattr(params, "for_sampler_warmup")
    monkeypatch.setitem(sys.modules, "vllm", None)
    assert sampler_kernels.apply(composed(*GPU)).status is Status.skipped
