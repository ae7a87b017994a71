"""The pure parts of the decode profile: groups, the reading of a trace and of vLLM's log, settings, the table."""

import argparse
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "benchmarks"))

import decode_gpu  # noqa: E402
import startup_gpu  # noqa: E402
import vllm_settings  # noqa: E402


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
    assert decode_gpu.group(kernel) == expected


def test_the_device_is_busy_for_the_union_of_its_kernels():
    assert decode_gpu.busy([(0, 2), (1, 3), (5, 6), (5.2, 5.5)]) == 4
    assert decode_gpu.busy([]) == 0


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
    read = decode_gpu.read(TRACE, tokens=2)
    assert read["device_ms"] == 3 and read["waits_ms"] == 1.5
    assert (read["kernels"], read["graphs"], read["launches"]) == (1.5, 0.5, 0.5)
    assert read["groups_ms"]["matrix products"] == 2 and read["groups_ms"]["log-probabilities"] == 1
    assert sum(read["groups_ms"].values()) == 3.5 and read["top"][0] == ("nvjet_a", 2)


def test_the_table_has_a_row_for_log_probabilities_and_one_without():
    one = {**decode_gpu.read(TRACE, 2), "wall_ms": 4.0, "profiled_ms": 5.0, "logprobs": True}
    result = {"name": "default", "engine_s": 30.0, "passes": [one, {**one, "logprobs": False}]}
    lines = decode_gpu.table([result]).splitlines()
    assert len(lines) == 4 and len({line.count("|") for line in lines}) == 1
    assert lines[2].startswith("| default | yes | 4.000 | 3.000 | 1.000 | 3.500 |")


def test_the_floor_of_4b_is_what_its_weights_and_cache_take():
    shape = decode_gpu.work.SHAPES["4b"]
    assert decode_gpu.floor_ms(shape, 320, decode_gpu.work.CARDS["H100"]) == pytest.approx(2.85, abs=0.05)


def test_a_setting_is_known_by_name_or_said_whole():
    assert vllm_settings.setting("sync") == ("sync", ["async_scheduling=false"])
    name, pairs = vllm_settings.setting("two: a.b=[1,2] c=FULL")
    assert name == "two" and vllm_settings.tree(pairs) == {"a": {"b": [1, 2]}, "c": "FULL"}
    assert vllm_settings.tree([]) == {}
    for text in ("synk", "name: a"):
        with pytest.raises(SystemExit, match="--engine"):
            vllm_settings.setting(text)


def test_the_settings_are_arguments_of_vllm(composed):
    for name in vllm_settings.SETTINGS:
        pairs = vllm_settings.setting(name)[1]
        if name != "eager":  # rlexp has a key of its own for it
            composed("hardware=h100", "rollout=colocate", *(f"rollout.engine.{pair}" for pair in pairs))


LOG = """
INFO 11-25 00:55:07 [api_utils.py:273] non-default args: {'max_model_len': 640}
INFO 11-25 00:55:43 [core.py:116] Initializing a V1 LLM engine (v0.26.0) with config: ...
INFO 11-25 00:55:45 [model_runner.py:284] Loading model from scratch...
INFO 11-25 00:55:49 [model_runner.py:305] Model loading took 7.55 GiB and 4.552863 seconds
INFO 11-25 00:56:39 [monitor.py:53] torch.compile took 49.06 s in total
INFO 11-25 00:56:41 [kv_cache_utils.py:2177] GPU KV cache size: 29,120 tokens
Capturing CUDA graphs (PIECEWISE):   0%|          | 0/11 [00:00<?, ?it/s]
INFO 11-25 00:56:43 [model_runner.py:747] Graph capturing finished in 2 secs, took 0.17 GiB
INFO 11-25 00:57:02 [jit_monitor.py:79] Kernel JIT monitor activated; monitored JIT compilations
"""


def test_a_setting_is_started_once_before_it_counts_as_warm():
    options = argparse.Namespace(kernels=True, warm=1, engine=["eager", "sync"], imports=True, cold_again=False)
    assert startup_gpu.planned(options) == [
        *[("first", []), ("warm", [])],
        *[("eager, first", ["rollout.enforce_eager=true"]), ("eager", ["rollout.enforce_eager=true"])],
        *[(name, ["rollout.engine.async_scheduling=false"]) for name in ("sync, first", "sync")],
        ("imports", []),
    ]


def test_the_longest_imports_are_found_in_what_python_says():
    said = "import time: self [us] | cumulative | imported package\n"
    said += "import time:      5000 |    1500000 | torch\nimport time:   100 |     100 |   torch.nn\nother\n"
    assert startup_gpu.imports(said) == {"torch": 1.5, "torch.nn": 0.0001}


def test_vllms_log_says_where_its_start_went():
    said = {"configured": 36, "distributed": 2, "weights": 4, "compiled": 50, "profiled": 2, "captured": 2}
    assert vllm_settings.phases(LOG) == {**said, "warmed_up": 19, "compiled_anew": 1}
    loaded = LOG.replace("torch.compile took 49.06 s in total", "Directly load AOT compilation from path /x")
    assert vllm_settings.phases(loaded)["compiled_anew"] == 0
    eager = "\n".join(line for line in LOG.splitlines() if "compile took" not in line and "Graph" not in line)
    assert vllm_settings.phases(eager)["profiled"] == 52 and vllm_settings.phases("no log") == {}
