"""vLLM as a runtime against transformers on the same weights: ``pytest -m gpu`` on a machine that has one."""

from __future__ import annotations

import pytest

from rlexp.runtimes import serving
from rlexp.runtimes.host import Host
from rlexp.runtimes.protocol import Sampling, Spec
from tests.export.made import TINY
from tests.runtimes import conformance

pytestmark = pytest.mark.gpu


@pytest.fixture(scope="module")
def reference():
    with Host(Spec("transformers", TINY, dtype="float32", device="cuda", context=512)) as host:
        yield host


@pytest.fixture(scope="module")
def runtime():
    with Host(Spec("vllm", TINY, device="cuda", context=512)) as host:
        yield host


def test_it_answers_as_transformers_does(runtime, reference):
    conformance.everything(runtime, reference, same_greedy=0.6)  # the file's 16 bits against 32
    assert conformance.divergence(runtime, reference) < 1e-3


def test_what_is_as_long_as_the_context_has_log_probabilities(runtime, reference):
    ids = (conformance.prompts(reference)[0] * 512)[:512]
    assert runtime.logprobs(ids, 500).shape == reference.logprobs(ids, 500).shape


def test_what_arrives_is_answered_as_in_batches(runtime):
    prompts = runtime.encode(runtime.render(conformance.DIALOGUES))
    found = runtime.serve(prompts, [0.0, 0.01, 0.02], Sampling(24), 0, 4, None)
    assert [len(one.ids) for one in found] and all(one.seconds == sorted(one.seconds) for one in found)
    assert runtime.serve(prompts * 100, [0.0] * 300, Sampling(24), 0, 4, 1e-4).count(None) > serving.LATE * 300


def test_a_second_one_has_the_memory_that_the_first_gave_back():
    for _ in range(2):
        with Host(Spec("vllm", TINY, device="cuda", context=64)) as host:
            assert host.generate([[1, 2, 3]], Sampling(2), 0, 1)
