"""Arguments of a run for vLLM, over those that TRL and Unsloth give."""

import dataclasses
import sys
from contextlib import nullcontext
from types import SimpleNamespace

import pytest

from rlexp.backend.engine.arguments import confirm, folds, graphs, over
from rlexp.errors import RunError
from tests.backend.compilation_config import CompilationConfig

GPU = ("hardware=h100", "model=qwen3_0_6b")


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


@pytest.mark.parametrize(
    ("start", "method", "beta", "folded"),
    [
        (None, "grpo", 0.04, True),
        ("outputs/sft", "grpo", 0.0, True),
        ("outputs/sft", "grpo", 0.04, False),
        ("outputs/sft", "rloo", 0.0, True),
        ("outputs/sft", "rloo", 0.05, False),
    ],
)
def test_unsloth_folds_the_only_adapter_of_a_model(composed, start, method, beta, folded):
    """TRL's copy of one that goes on is a second: vLLM then applies the adapter by layers of its own."""
    overrides = ("hardware=h100", "model=qwen3_0_6b", "rollout=unsloth", f"method={method}", f"method.beta={beta}")
    run = composed(*overrides)
    for merged in (False, True):
        model = dataclasses.replace(run.model, start=start, start_merged=merged)
        assert folds(dataclasses.replace(run, model=model)) is (folded or merged)


@pytest.mark.parametrize(
    ("prompts", "sizes"),
    [
        (2, [1, 2, 4, 8]),
        (5, [1, 2, 4, 8, 16, 20]),  # vLLM has no graph of 20 of its own
        (8, [1, 2, 4, 8, 16, 24, 32]),
        (128, [1, 2, 4, *range(8, 256, 8), *range(256, 513, 16)]),
        (129, None),
    ],
)
def test_graphs_are_captured_for_no_more_sequences_than_a_step_has(composed, prompts, sizes):
    run = composed(*GPU, "rollout=colocate", f"method.prompts_per_step={prompts}", "method.num_generations=4")
    expected = {"compilation_config": {"cudagraph_capture_sizes": sizes}} if sizes else {}
    assert graphs(run) == expected


@pytest.mark.parametrize("said", ["cudagraph_capture_sizes=[1,64]", "max_cudagraph_capture_size=64"])
def test_graphs_that_the_run_asks_for_are_left_to_it(composed, said):
    assert graphs(composed(*GPU, "rollout=colocate", f"rollout.engine.compilation_config.{said}")) == {}
