"""Settings of vLLM that the benchmarks try, and its log."""

import pytest
import vllm_settings


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


def test_vllms_log_says_where_its_start_went():
    said = {"configured": 36, "distributed": 2, "weights": 4, "compiled": 50, "profiled": 2, "captured": 2}
    assert vllm_settings.phases(LOG) == {**said, "warmed_up": 19, "compiled_anew": 1}
    loaded = LOG.replace("torch.compile took 49.06 s in total", "Directly load AOT compilation from path /x")
    assert vllm_settings.phases(loaded)["compiled_anew"] == 0
    eager = "\n".join(line for line in LOG.splitlines() if "compile took" not in line and "Graph" not in line)
    assert vllm_settings.phases(eager)["profiled"] == 52 and vllm_settings.phases("no log") == {}


def test_what_vllm_says_of_compiling_is_added_up():
    said = (
        "Dynamo bytecode transform time: 7.50 s",
        "Compiling a graph for compile range (1, 4096) takes 9.25 s",
        "Compiling a graph for compile range (4097, 8192) takes 0.75 s",
    )
    assert vllm_settings.stated("\n".join(said)) == {"Dynamo": 7.5, "graphs": 10.0}
    assert vllm_settings.stated(LOG) == {"compiling": 49.06} and vllm_settings.stated("") == {}
