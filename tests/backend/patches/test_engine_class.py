"""The vLLM that Unsloth starts takes the arguments of the run."""

import contextlib
import sys
from types import SimpleNamespace

import pytest

from rlexp.backend.compile_cache import REPEATABLE
from rlexp.backend.engine.arguments import defaults, graphs
from rlexp.backend.patches import engine_class
from rlexp.backend.patches.patch import Status
from rlexp.errors import RunError
from tests.backend.compilation_config import CompilationConfig

GPU = ("hardware=h100", "model=qwen3_0_6b")


def given(run):
    """As the model is loaded: the class is replaced where the patch applies."""
    applied = engine_class.apply(run).status is Status.applied
    return engine_class.replaced(run) if applied else contextlib.nullcontext()


@pytest.fixture
def vllm(monkeypatch):
    """vLLM's module with a class that refuses 5 sequences."""

    class LLM:
        def __init__(self, **asked):
            if asked.get("max_num_seqs") == 5:
                raise ValueError("1 error for EngineArgs\n  max_num_seqs: not 5")
            self.asked = asked

    module = SimpleNamespace(LLM=LLM)
    monkeypatch.setitem(sys.modules, "vllm", module)
    return module


def test_unsloths_engine_takes_the_arguments_of_the_run(composed, vllm, monkeypatch):
    monkeypatch.setenv(REPEATABLE, "0")
    before = vllm.LLM
    run = composed(*GPU, "rollout=unsloth", "rollout.engine.async_scheduling=false", "rollout.compiled=true")
    with given(run):
        asked = vllm.LLM(model="m").asked
    assert asked == {"model": "m", "async_scheduling": False, "enable_lora": False, **graphs(run)}
    assert vllm.LLM is before
    more_than_graphs_hold = ("method.prompts_per_step=129", "method.num_generations=4")
    with given(
        composed(*GPU, "rollout=unsloth", "model.load_in_4bit=true", "rollout.compiled=true", *more_than_graphs_hold)
    ):
        assert vllm.LLM is before


def test_every_vllm_is_told_not_to_choose_kernels_by_timing_them_and_keeps_what_else_it_was_told(composed, vllm):
    theirs = CompilationConfig(mode=3, inductor_compile_config={"combo_kernels": False, "shape_padding": True})
    mine = "rollout.engine.compilation_config.inductor_compile_config.shape_padding=false"
    with given(composed(*GPU, "rollout=unsloth", mine)):
        asked = vllm.LLM(compilation_config=theirs).asked["compilation_config"]
    assert asked["mode"] == 3
    assert asked["inductor_compile_config"] == {"combo_kernels": False, "shape_padding": False, "deterministic": True}
    # vLLM's own choice, joined kernels, would be timed
    alone = defaults(composed(*GPU, "rollout=colocate", "rollout.compiled=true"))["compilation_config"][
        "inductor_compile_config"
    ]
    assert alone == {"deterministic": True, "combo_kernels": True, "benchmark_combo_kernel": False}


@pytest.mark.parametrize(
    ("typed", "held"),
    [
        ((), False),
        (("rollout.engine.enable_lora=true",), True),
        (("model.load_in_4bit=true", "rollout.engine.async_scheduling=true"), True),
        (("hardware.dtype=float32", "rollout.engine.async_scheduling=true"), True),
    ],
)
def test_vllm_has_lora_layers_only_where_the_adapter_cannot_be_folded_or_they_are_asked_for(
    composed, vllm, typed, held
):
    with given(composed(*GPU, "rollout=unsloth", *typed)):
        assert vllm.LLM(enable_lora=True).asked["enable_lora"] is held


def test_a_value_that_vllm_refuses_is_one_message_in_its_words(composed, vllm):
    run, before = composed(*GPU, "rollout=unsloth", "rollout.engine.max_num_seqs=5"), vllm.LLM
    with pytest.raises(RunError, match="EngineArgs; max_num_seqs: not 5") as caught, given(run):
        try:
            vllm.LLM(model="m")
        except Exception as error:  # as Unsloth does
            raise RuntimeError(str(error))  # noqa: B904
    assert caught.value.where == "rollout.engine" and vllm.LLM is before


def test_an_error_that_the_run_has_no_part_in_stays_as_it_is(composed, vllm):
    with (
        pytest.raises(RuntimeError, match="no memory"),
        given(composed(*GPU, "rollout=unsloth", "rollout.engine.max_num_seqs=4")),
    ):
        raise RuntimeError("no memory")
