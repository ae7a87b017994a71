"""Arguments of a run for vLLM, over those that TRL and Unsloth give."""

import sys
from contextlib import nullcontext
from dataclasses import dataclass, field
from types import SimpleNamespace

import pytest

from rlexp.backend.compile_cache import REPEATABLE
from rlexp.backend.engine.arguments import added, confirm, ours, over
from rlexp.errors import RunError

GPU = ("hardware=h100", "model=qwen3_0_6b")


@dataclass
class CompilationConfig:
    """As vLLM's: Unsloth gives one."""

    mode: int | None = None
    sizes: list[int] | None = None
    inductor_compile_config: dict | None = None
    cudagraph_mode: str = "FULL_AND_PIECEWISE"
    compiled: int = field(default=0, init=False)


ASKED = {"async_scheduling": False, "compilation_config": {"cudagraph_mode": "FULL"}}


@pytest.mark.parametrize(
    ("given", "asked", "expected"),
    [
        ({"dtype": "bfloat16"}, {}, {"dtype": "bfloat16"}),
        ({"max_num_seqs": 8}, {"max_num_seqs": 4}, {"max_num_seqs": 4}),
        # nobody else says how it compiles, or an object (what it leaves open is not said), a mapping or a level does
        ({}, ASKED, ASKED),
        (
            {"compilation_config": CompilationConfig(mode=3)},
            {"compilation_config": {"cudagraph_mode": "FULL"}},
            {"compilation_config": {"mode": 3, "cudagraph_mode": "FULL"}},
        ),
        (
            {"compilation_config": {"mode": 3}},
            {"compilation_config": {"cudagraph_mode": "FULL"}},
            {"compilation_config": {"mode": 3, "cudagraph_mode": "FULL"}},
        ),
        (
            {"compilation_config": CompilationConfig()},
            {"compilation_config": 0},
            {"compilation_config": {"mode": 0, "cudagraph_mode": "FULL_AND_PIECEWISE"}},
        ),
        (
            {"compilation_config": 3},
            {"compilation_config": {"cudagraph_mode": "FULL"}},
            {"compilation_config": {"mode": 3, "cudagraph_mode": "FULL"}},
        ),
        # of Inductor's options the keys, too
        (
            {"compilation_config": CompilationConfig(inductor_compile_config={"combo_kernels": False, "debug": 1})},
            {"compilation_config": {"inductor_compile_config": {"combo_kernels": True}}},
            {
                "compilation_config": {
                    "cudagraph_mode": "FULL_AND_PIECEWISE",
                    "inductor_compile_config": {"combo_kernels": True, "debug": 1},
                }
            },
        ),
        ({"compilation_config": 3}, {"compilation_config": {"mode": 0}}, {"compilation_config": {"mode": 0}}),
    ],
)
def test_what_is_asked_of_the_engine_goes_before_what_it_is_given(given, asked, expected):
    assert over(given, asked) == expected


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
    with added(composed(*GPU, "rollout=unsloth", "rollout.engine.async_scheduling=false")):
        assert vllm.LLM(model="m").asked == {"model": "m", "async_scheduling": False, "enable_lora": False}
    assert vllm.LLM is before
    with added(composed(*GPU, "rollout=unsloth", "model.load_in_4bit=true")):
        assert vllm.LLM is before


def test_every_vllm_is_told_not_to_choose_kernels_by_timing_them_and_keeps_what_else_it_was_told(composed, vllm):
    theirs = CompilationConfig(mode=3, inductor_compile_config={"combo_kernels": False, "shape_padding": True})
    mine = "rollout.engine.compilation_config.inductor_compile_config.shape_padding=false"
    with added(composed(*GPU, "rollout=unsloth", mine)):
        asked = vllm.LLM(compilation_config=theirs).asked["compilation_config"]
    assert asked["mode"] == 3
    assert asked["inductor_compile_config"] == {"combo_kernels": False, "shape_padding": False, "deterministic": True}
    # vLLM's own choice, joined kernels, would be timed
    alone = ours(composed(*GPU, "rollout=colocate"))["compilation_config"]["inductor_compile_config"]
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
    with added(composed(*GPU, "rollout=unsloth", *typed)):
        assert vllm.LLM(enable_lora=True).asked["enable_lora"] is held


@pytest.mark.parametrize(
    ("state", "typed", "refused"),
    [(object(), (), False), (None, (), True), (None, ("rollout.engine.enable_lora=true",), False)],
)
def test_an_adapter_that_unsloth_does_not_fold_is_refused_where_vllm_could_not_apply_it(
    composed, monkeypatch, state, typed, refused
):
    monkeypatch.setitem(
        sys.modules, "unsloth_zoo.vllm_utils", SimpleNamespace(prepare_merged_rollout=lambda model: state)
    )
    run = composed(*GPU, "rollout=unsloth", *typed)
    with pytest.raises(RunError, match="does not fold") if refused else nullcontext():
        confirm(run, object())


def test_a_value_that_vllm_refuses_is_one_message_in_its_words(composed, vllm):
    run, before = composed(*GPU, "rollout=unsloth", "rollout.engine.max_num_seqs=5"), vllm.LLM
    with pytest.raises(RunError, match="EngineArgs; max_num_seqs: not 5") as caught, added(run):
        try:
            vllm.LLM(model="m")
        except Exception as error:  # as Unsloth does
            raise RuntimeError(str(error))  # noqa: B904
    assert caught.value.where == "rollout.engine" and vllm.LLM is before


def test_an_error_that_the_run_has_no_part_in_stays_as_it_is(composed, vllm):
    with (
        pytest.raises(RuntimeError, match="no memory"),
        added(composed(*GPU, "rollout=unsloth", "rollout.engine.max_num_seqs=4")),
    ):
        raise RuntimeError("no memory")
