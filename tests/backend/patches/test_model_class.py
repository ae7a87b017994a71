"""What vLLM asks about a model's class before it makes an engine."""

import sys
from types import ModuleType, SimpleNamespace

import pytest

from rlexp.backend.patches import model_class
from rlexp.backend.patches.patch import Status


@pytest.fixture
def registry(monkeypatch):
    """vLLM's module, where none is installed."""
    for name in ("vllm", "vllm.model_executor"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    module = SimpleNamespace(__name__="registry", _run_in_subprocess=lambda fn: None)
    monkeypatch.setitem(sys.modules, "vllm.model_executor.models", SimpleNamespace(registry=module))
    return module


def test_it_is_answered_in_this_process(registry):
    for _ in range(2):
        assert model_class.apply().status is Status.applied
        assert registry._run_in_subprocess(lambda: "a decoder") == "a decoder"


def test_a_vllm_that_is_built_otherwise_stays_as_it_is(registry, monkeypatch):
    registry._run_in_subprocess = original = lambda fn, seconds: None
    outcome = model_class.apply()
    assert outcome.status is Status.skipped and "other arguments" in outcome.why
    assert registry._run_in_subprocess is original
    monkeypatch.delitem(sys.modules, "vllm.model_executor.models")
    assert model_class.apply().status is Status.skipped
