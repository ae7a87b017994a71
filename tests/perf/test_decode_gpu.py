"""The decode profile: groups of kernels, the reading of a trace, the table, the floor."""

import argparse
from pathlib import Path

import decode
import decode_gpu
import kernels
import pytest


@pytest.mark.parametrize(
    ("kernel", "expected"),
    [
        ("_topk_log_softmax_kernel", "log-probabilities"),
        ("_ranks_kernel", "log-probabilities"),
        ("void cutlass::device_kernel<flash::enable_sm90_or_later<flash::FlashAttnFwdSm90<...", "attention"),
        ("void vllm::reshape_and_cache_flash_kernel<__nv_bfloat16, ...>", "attention"),
        ("nvjet_tst_64x8_64x16_4x1_v_bz_TNT", "matrix products"),
        ("void cublasLt::splitKreduce_kernel<...>", "matrix products"),
        ("_gumbel_sample_kernel", "sampler"),
        ("_temperature_kernel", "sampler"),
        ("_lora_shrink_kernel", "LoRA"),
        ("triton_red_fused_rms_norm_split_with_sizes_view_3", "norms, activations"),
        ("triton_poi_fused_mul_silu_slice_1", "norms, activations"),
        ("Memcpy DtoH (Device -> Pinned)", "copies, preparation"),
        ("_compute_slot_mappings_kernel", "copies, preparation"),
        ("unheard_of", "other"),
    ],
)
def test_a_kernel_has_one_group(kernel, expected):
    assert kernels.group(kernel) == expected


def test_the_device_is_busy_for_the_union_of_its_kernels():
    assert kernels.busy([(0, 2), (1, 3), (5, 6), (5.2, 5.5)]) == 4
    assert kernels.busy([]) == 0


def event(cat, name, ts, dur):
    return {"ph": "X", "cat": cat, "name": name, "ts": ts, "dur": dur}


TRACE = {
    "traceEvents": [
        event("kernel", "nvjet_a", 0, 4000),
        event("kernel", "_ranks_kernel", 3000, 2000),
        event("gpu_memcpy", "Memcpy DtoH", 9000, 1000),
        event("cpu_op", "aten::mm", 0, 9000),
        event("cuda_runtime", "cudaGraphLaunch", 0, 100),
        event("cuda_runtime", "cudaEventSynchronize", 100, 3000),
        event("cuda_driver", "cuLaunchKernelEx", 100, 10),
        {"ph": "M", "name": "process_name"},
    ]
}


def test_a_trace_is_read_by_token():
    read = kernels.read(TRACE, tokens=2)
    assert read["device_ms"] == 3 and read["waits_ms"] == 1.5
    assert (read["kernels"], read["graphs"], read["launches"]) == (1.5, 0.5, 0.5)
    assert read["groups_ms"]["matrix products"] == 2 and read["groups_ms"]["log-probabilities"] == 1
    assert sum(read["groups_ms"].values()) == 3.5 and read["top"][0] == ("nvjet_a", 2)


def test_the_table_has_a_row_for_log_probabilities_and_one_without():
    one = {**kernels.read(TRACE, 2), "wall_ms": 4.0, "profiled_ms": 5.0, "logprobs": True}
    result = {"name": "default", "engine_s": 30.0, "passes": [one, {**one, "logprobs": False}]}
    lines = decode_gpu.table([result]).splitlines()
    assert len(lines) == 4 and len({line.count("|") for line in lines}) == 1
    assert lines[2].startswith("| default | yes | 4.000 | 3.000 | 1.000 | 3.500 |")


def test_the_floor_of_4b_is_what_its_weights_and_cache_take():
    shape = decode_gpu.work.SHAPES["4b"]
    assert decode_gpu.floor_ms(shape, 320, decode_gpu.work.CARDS["H100"]) == pytest.approx(2.85, abs=0.05)


def test_a_side_is_told_trls_arguments_with_the_settings_over_them():
    options = argparse.Namespace(shape="4b", prompt=None, tokens=64)
    shape = decode_gpu.work.SHAPES["4b"]
    job = decode_gpu.job(options, shape, Path("/work"), "sync", ["async_scheduling=false", "max_num_seqs=8"])
    told = decode.arguments(job)
    assert (told["async_scheduling"], told["max_num_seqs"], told["max_model_len"]) == (False, 8, 640)
    assert not job["unsloth"] and decode_gpu.job(options, shape, Path("/work"), "unsloth+sync", [])["unsloth"]
