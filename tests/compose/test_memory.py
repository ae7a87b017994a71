"""The memory estimate: its parts against counts by hand and measured peaks, and what is chosen by it."""

import dataclasses
import json
from typing import Any

import pytest
import yaml
from omegaconf import OmegaConf

from rlexp.compose import fit, memory, model_size
from rlexp.compose.run import resolve
from rlexp.compose.schema import Size
from rlexp.record.lock import identity

GIB = 2**30
# perf/sides/work.py's 135m and 4b, of which there are measured peaks
S135M = Size(30, 576, 1536, 9, 3, 64, 49152, True)
S4B = Size(36, 2560, 9728, 32, 8, 128, 151936, True)
PAIRS = ("method=dpo", "dataset=arithmetic_preferences")


def job(run, shape=None, **arguments):
    sequences = run.geometry.sequences_per_step // run.geometry.devices
    asked = {**run.arguments, **arguments}
    return memory.Job(shape or run.model.size, run.model, run.hardware, run.rollout, run.method, asked, sequences)


@pytest.mark.parametrize(
    ("shape", "count"),
    # layers x (attention + gate, up, down) + embedding, once where it is the head too; cards state 135M, 4.0B, 1.24B
    [
        (S135M, 30 * (576 * (2 * 576 + 2 * 192) + 3 * 576 * 1536) + 49152 * 576),
        (S4B, 36 * (2560 * (2 * 4096 + 2 * 1024) + 3 * 2560 * 9728) + 151936 * 2560),
        (Size(1, 8, 16, 2, 1, 4, 32, False), 8 * 24 + 3 * 8 * 16 + 2 * 32 * 8),
    ],
)
def test_parameters_are_counted(shape, count):
    assert memory.parameters(shape) == count


def test_weights_of_a_4_bit_base_are_less_than_a_third(composed):
    run = composed("model=qwen3_4b", "hardware=h100")
    four = composed("model=qwen3_4b", "hardware=h100", "model.load_in_4bit=true")
    assert memory.weights(job(run)) == 2 * memory.parameters(S4B)
    assert memory.weights(job(four)) < memory.weights(job(run)) / 2.5


@pytest.mark.parametrize(
    ("overrides", "part", "value"),
    [
        ([], "adapter", 16),  # float32 weight, gradient, two states
        (["method.optim=adamw_8bit"], "adapter", 10),
        (["method.optim=sgd"], "adapter", 8),
        (["method.beta=0.04"], "adapter", 16),  # its reference is the base
        (["model.full_finetuning=true"], "all", 6),  # bfloat16 gradient and two states
        (["model.full_finetuning=true", "method.optim=paged_adamw_8bit"], "all", 4),
        (["model.full_finetuning=true", "method.beta=0.04"], "all", 8),  # the reference model
    ],
)
def test_what_training_adds_by_optimizer(composed, overrides, part, value):
    run = composed("model=qwen3_4b", "hardware=h100", *overrides)
    count = memory.adapter_parameters(S4B, run.model) if part == "adapter" else memory.parameters(S4B)
    assert memory.trained(job(run)) == count * value


@pytest.mark.parametrize(
    ("rollout", "shape", "tokens", "checkpointing", "cache_gib", "own", "measured"),
    # peaks of torch's allocator on one H100, perf/results/2026-11-25_*_h100.md; vLLM's cache was fixed
    [
        (("rollout=colocate",), S135M, 64 * 274, False, 4, 1, 19.5),
        (("rollout=unsloth",), S4B, 32 * 530, True, 4, 0, 16.4),
        (("rollout=colocate", "rollout.loader=unsloth"), S4B, 32 * 530, True, 4, 1, 23.8),
    ],
)
def test_measured_peaks_are_met_within_a_fifth(
    composed, rollout, shape, tokens, checkpointing, cache_gib, own, measured
):
    work = job(composed("hardware=h100", "model=smollm2_135m", *rollout), shape)
    assert peak(work, tokens, checkpointing, cache_gib, own) == pytest.approx(measured, rel=0.2)


@pytest.mark.parametrize(
    ("overrides", "shape", "tokens", "cache_gib", "measured"),
    # as above, without recomputation
    [
        (("rollout=unsloth",), S4B, 16 * 530, 4, 38.3),
        (("rollout=unsloth",), S4B, 8 * 530, 4, 25.4),
        (PAIRS, S135M, 29312 // 2, 0, 6.4),
    ],
)
def test_what_unsloth_holds_is_covered_and_not_far_over(composed, overrides, shape, tokens, cache_gib, measured):
    work = job(composed("hardware=h100", "model=smollm2_135m", *overrides), shape)
    assert measured <= peak(work, tokens, False, cache_gib, own=0) <= 2.2 * measured


def peak(work, tokens, checkpointing, cache_gib, own):
    """GiB of torch's allocator, by the estimate; ``own`` is 1 where vLLM has weights of its own."""
    parts = memory.weights(work) * (1 + own) + memory.trained(work) + cache_gib * GIB
    return (parts + memory.activations(work, tokens, checkpointing) + memory.logits(work, tokens)) / GIB


def test_only_trls_orpo_holds_the_whole_vocabulary(composed):
    pairs = ("hardware=h100", "model=qwen3_4b", "dataset=arithmetic_preferences")
    tokens = 8192
    chunk = memory.CHUNK_TOKENS * 151936 * memory.CHUNK_BYTES
    for method, loader, whole in (
        ("orpo", "transformers", True),
        ("orpo", "unsloth", False),
        ("dpo", "transformers", False),
    ):
        found = memory.logits(job(composed(f"method={method}", f"rollout.loader={loader}", *pairs)), tokens)
        assert found == (tokens * 151936 * memory.CHUNK_BYTES if whole else chunk)


def test_a_pair_is_two_sequences(composed):
    common = ("hardware=h100", "model=qwen3_4b")
    dpo = job(composed("method=dpo", "dataset=arithmetic_preferences", *common))
    sft = job(composed("method=sft", "dataset=arithmetic_demonstrations", *common))
    assert memory.estimate(dpo, 4, False).activations == memory.estimate(sft, 8, False).activations


def test_transformers_cache_is_gone_when_the_model_trains(composed):
    found = memory.Estimate(1, 0, 7, 1, 4, 2, 1, cache_stays=False)
    assert found.total == 10 and dataclasses.replace(found, cache_stays=True).total == 16


@pytest.mark.parametrize("checkpointing", [False, True])
def test_the_largest_micro_batch_fits_and_the_next_does_not(composed, checkpointing):
    work = job(composed("hardware=l4_24gb", "rollout=generate", "model=qwen3_1_7b", "method.prompts_per_step=64"))
    best = fit.largest(work, checkpointing)
    assert fit.fits(work, best, checkpointing) and not fit.fits(work, best + 1, checkpointing)


@pytest.mark.parametrize(
    ("overrides", "checkpointing"),
    [
        (["hardware=h100", "model=smollm2_135m"], False),
        (["hardware=t4_16gb", "model=qwen3_4b"], True),
        (["hardware=h100", "model=qwen3_4b", "hardware.gradient_checkpointing=false"], False),
        (["hardware=h100", "model=smollm2_135m", "hardware.gradient_checkpointing=true"], True),
        # one pass does without
        (["hardware=l4_24gb", "model=smollm2_135m", "model.max_seq_length=1024"], True),
        (["hardware=h100", "model=qwen3_4b", "method.prompts_per_step=2", "method.num_generations=2"], False),
    ],
)
def test_recomputation_is_chosen_where_it_saves_passes(composed, overrides, checkpointing):
    assert composed(*overrides).hardware.gradient_checkpointing is checkpointing


def test_what_was_typed_wins(composed):
    run = composed(
        *("hardware=h100", "model=qwen3_4b", "rollout=unsloth"),
        *("hardware.sequences_per_device=3", "rollout.gpu_memory_utilization=0.7", "hardware.memory_gib=40"),
    )
    assert (run.hardware.sequences_per_device, run.hardware.memory_gib) == (3, 40)
    assert run.rollout.gpu_memory_utilization == 0.7
    assert run.memory.cache + run.memory.weights + run.memory.engine == pytest.approx(0.7 * 40 * GIB)


@pytest.mark.parametrize("rollout", ["unsloth", "colocate"])
@pytest.mark.parametrize("option", ["h100", "l4_24gb", "t4_16gb", "cuda"])
def test_vllms_share_holds_the_completions_of_a_step_or_half_of_what_is_free(composed, option, rollout):
    run = composed(f"hardware={option}", "model=qwen3_0_6b", f"rollout={rollout}")
    work = job(run)
    needed = memory.cache_per_token(work) * work.tokens * work.sequences
    free = work.capacity - memory.OVERHEAD - memory.weights(work) * (2 if rollout == "colocate" else 1)
    free -= memory.workspace(work) + memory.trained(work)
    assert 0 < run.rollout.gpu_memory_utilization <= 0.95
    assert run.memory.cache >= min(needed, free / 2)
    assert run.memory.total <= work.capacity


def test_without_vllm_there_is_no_share(composed):
    assert composed("hardware=h100", "rollout=generate").rollout.gpu_memory_utilization is None


def test_a_model_of_unknown_size_gets_careful_numbers(composed):
    run = composed("hardware=h100", "model=qwen3_4b", "model.size=null", "rollout=colocate")
    assert run.memory is None
    assert (run.hardware.sequences_per_device, run.hardware.gradient_checkpointing) == (4, True)
    assert run.rollout.gpu_memory_utilization == 0.3


@pytest.mark.parametrize(
    "overrides",
    [
        ["hardware=h100", "rollout=unsloth", "model=qwen3_4b"],
        ["hardware=cuda", "rollout=colocate", "model=qwen3_0_6b"],
        ["hardware=cpu"],
    ],
)
def test_the_record_holds_numbers_and_reads_back_as_the_same_run(composed, overrides):
    run = composed(*overrides)
    locked = yaml.safe_load(yaml.safe_dump(run.config()))
    for key in ("sequences_per_device", "gradient_checkpointing"):
        assert locked["hardware"][key] is not None
    assert resolve(OmegaConf.create(locked)).config() == run.config()


def test_a_lock_from_before_there_were_sizes_is_the_same_run(composed):
    run = composed("hardware=h100", "model=qwen3_0_6b", "rollout=unsloth")
    older = run.config()
    del older["model"]["size"], older["hardware"]["memory_gib"], older["hardware"]["rollout_devices"]
    again = resolve(OmegaConf.create(older))
    assert identity(again) == identity(run)
    assert again.geometry == run.geometry and again.rollout == run.rollout
    assert again.hardware.gradient_checkpointing == run.hardware.gradient_checkpointing


def test_the_size_does_not_change_the_identity(composed):
    one = composed("model=qwen3_4b", "hardware=h100")
    assert identity(composed("model=qwen3_4b", "hardware=h100", "model.size.hidden_size=4096")) == identity(one)


def test_the_pinned_identity_stands(composed):
    assert identity(composed("hardware=cpu")) == "0ca3ed73c5b72c23"


def test_the_options_state_the_sizes_of_the_models_that_are_here(composed, root):
    seen = []
    for path in sorted((root / "conf/model").glob("*.yaml")):
        option: Any = OmegaConf.load(path)
        stated = Size(**option["size"])
        folder = root / (option.get("path") or "nowhere")
        if found := model_size.of_folder(folder):
            assert model_size.differences(stated, found) == {}, path.name
            seen.append(path.stem)
    assert "tiny" in seen


def test_the_folder_goes_before_the_option(composed, tmp_path, root):
    content = json.loads((root / "models/tiny/config.json").read_text()) | {"num_hidden_layers": 9}
    (tmp_path / "config.json").write_text(json.dumps(content))
    assert composed(f"model.path={tmp_path}").model.size.num_hidden_layers == 9


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ({"num_local_experts": 8, **dataclasses.asdict(S4B)}, None),
        ({"hidden_size": 8}, None),
        ({k: v for k, v in dataclasses.asdict(S4B).items() if k != "head_dim"} | {"num_attention_heads": 0}, None),
        ({"text_config": dataclasses.asdict(S4B)}, S4B),
        (dataclasses.asdict(S4B), S4B),
        ({k: v for k, v in dataclasses.asdict(S135M).items() if k != "head_dim"}, S135M),
    ],
)
def test_a_shape_is_read_from_a_config_or_not_at_all(content, found):
    assert model_size.of_config(content) == found
