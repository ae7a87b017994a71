"""Decodes with one vLLM, set up as TRL and rlexp do, and says where a token's time goes.

Usage: python perf/sides/decode.py JOB.json (written by decode_gpu.py); the answer is RESULT.json beside it.
"""

from __future__ import annotations

import json
import os
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

SETTLE = 8
"""Steps between prefill and the first that is timed."""


def arguments(job: dict[str, Any]) -> dict[str, Any]:
    """What ``vllm.LLM`` is told: TRL's arguments, rlexp's over them, and the setting's over both.

    Source: ``trl.generation.vllm_generation.VLLMGeneration._init_vllm``, ``rlexp.backend.engine.arguments.over``.
    """
    from rlexp.backend.engine.arguments import over

    given = {
        "model": job["model"],
        "tensor_parallel_size": 1,
        "gpu_memory_utilization": job["share"],
        "max_model_len": job["length"],
        "max_num_seqs": job["sequences"],
        "enable_sleep_mode": False,
        "model_impl": "vllm",
        "distributed_executor_backend": "external_launcher",
        "seed": 0,
        "max_num_batched_tokens": 4096,
        "logprobs_mode": "processed_logprobs",
        "dtype": "bfloat16",
        "enforce_eager": False,
        "kv_cache_memory_bytes": int(job["kv_gib"] * 2**30),
    }
    return over(given, job["engine"])


def unsloth_model(job: dict[str, Any]) -> Any:
    """A model with an adapter that is not zero, and Unsloth's vLLM in it, as rlexp starts it."""
    import unsloth  # isort: skip
    import torch
    import vllm
    import work

    from rlexp.backend.engine.arguments import over

    original = vllm.LLM
    own = {"enable_lora": False, "kv_cache_memory_bytes": int(job["kv_gib"] * 2**30)}

    class LLMWithRunArguments(original):  # type: ignore[misc, valid-type]
        def __init__(self, **given: Any) -> None:
            super().__init__(**over({**given, **own}, job["engine"]))

    vllm.LLM = LLMWithRunArguments
    model, _ = unsloth.FastLanguageModel.from_pretrained(
        model_name=job["model"],
        max_seq_length=job["length"],
        dtype=torch.bfloat16,
        load_in_4bit=False,
        fast_inference=True,
        gpu_memory_utilization=work.UNSLOTH_SHARE,
        max_lora_rank=work.RANK,
        max_num_seqs=job["sequences"],
        max_num_batched_tokens=4096,
    )
    vllm.LLM = original
    model = unsloth.FastLanguageModel.get_peft_model(
        model, r=work.RANK, lora_alpha=work.ALPHA, target_modules=work.TARGETS
    )
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "lora_B" in name:
                weight.normal_(std=1e-3)
    return model


def folds(model: Any) -> dict[str, float]:
    """Milliseconds in which Unsloth folds the adapter into the weights before a generation, and out behind it."""
    import torch
    from unsloth_zoo.vllm_utils import merged_rollout, prepare_merged_rollout

    state, marks = prepare_merged_rollout(model), []
    for _ in range(4):  # the first compiles and takes memory of the host
        torch.cuda.synchronize()
        marks = [time.perf_counter()]
        with merged_rollout(state):
            torch.cuda.synchronize()
            marks.append(time.perf_counter())
        torch.cuda.synchronize()
        marks.append(time.perf_counter())
    return {"in": (marks[1] - marks[0]) * 1000, "out": (marks[2] - marks[1]) * 1000}


def main() -> None:
    """Starts the engine, times steps without and with the profiler, with log-probabilities and without."""
    job = json.loads(Path(sys.argv[1]).read_text())
    began = time.perf_counter()
    if job["unsloth"]:
        import unsloth  # noqa: F401  # before the others
    else:
        os.environ |= {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "1", "MASTER_ADDR": "127.0.0.1"}
    import torch
    from vllm import LLM, SamplingParams
    from vllm.v1.worker.gpu.sample import logprob

    from rlexp.backend.patches import sampled_logprobs

    imported = time.perf_counter()
    model = unsloth_model(job) if job["unsloth"] else None
    llm = model.vllm_engine if model is not None else LLM(**arguments(job))
    engine, ready = llm.llm_engine, time.perf_counter()
    words = random.Random(0)
    prompts = [words.choices(range(10, job["vocabulary"]), k=job["prompt"]) for _ in range(job["prompts"])]
    repeated = [prompts[number % len(prompts)] for number in range(job["sequences"])]

    def steps(count: int) -> float:
        """Milliseconds a step."""
        torch.cuda.synchronize()
        start = time.perf_counter()
        for _ in range(count):
            engine.step()
        torch.cuda.synchronize()
        return (time.perf_counter() - start) / count * 1000

    def decoded(name: str, logprobs: int | None) -> dict[str, Any]:
        # As TRL samples, and without text as rlexp does (backend/patches/token_ids_only.py).
        asked = {"temperature": 1.0, "top_p": 1.0, "top_k": 0, "min_p": 0.0, "repetition_penalty": 1.0, "n": 1}
        length = 2 * job["tokens"] + 3 * SETTLE
        sampling = SamplingParams(
            **asked, max_tokens=length, ignore_eos=True, logprobs=logprobs, detokenize=False, flat_logprobs=True
        )
        llm.enqueue([{"prompt_token_ids": ids} for ids in repeated], sampling, use_tqdm=False)
        steps(SETTLE)
        wall = steps(job["tokens"])
        with torch.profiler.profile(activities=list(torch.profiler.supported_activities())) as profile:
            profiled = steps(job["tokens"])
        trace = Path(job["folder"]) / f"{name}.trace.json"
        profile.export_chrome_trace(str(trace))
        while engine.has_unfinished_requests():
            engine.step()
        llm.reset_prefix_cache()
        return {"logprobs": logprobs is not None, "wall_ms": wall, "profiled_ms": profiled, "trace": str(trace)}

    def milliseconds(function: Callable[[Any, Any], Any]) -> float:
        """Of one call for a step's logits."""
        logits = torch.randn(job["sequences"], job["vocabulary"], device="cuda")
        ids = logits.argmax(dim=-1, keepdim=True)
        marks = [torch.cuda.Event(enable_timing=True) for _ in range(2)]
        for _ in range(5):
            function(logits, ids)
        marks[0].record()
        for _ in range(50):
            function(logits, ids)
        marks[1].record()
        torch.cuda.synchronize()
        return marks[0].elapsed_time(marks[1]) / 50

    def generation() -> float:
        """Seconds in which a step's completions are sampled, as TRL asks for them."""
        sampling = SamplingParams(
            temperature=1.0,
            max_tokens=job["completion"],
            ignore_eos=True,
            logprobs=0,
            detokenize=False,
            flat_logprobs=True,
        )
        asked = [{"prompt_token_ids": ids[: job["length"] - job["completion"]]} for ids in repeated]
        torch.cuda.synchronize()
        start = time.perf_counter()
        llm.generate(asked, sampling, use_tqdm=False)
        took = time.perf_counter() - start
        llm.reset_prefix_cache()
        return took

    decoded("warm", 0)  # kernels that are compiled when they are first used
    passes = [decoded("with", 0), decoded("without", None)]
    result = {
        "card": torch.cuda.get_device_name(),
        "imported_s": imported - began,
        "engine_s": ready - imported,
        "passes": passes,
        "generation_s": [generation() for _ in range(3)],
        "fold_ms": folds(model) if model is not None else {},
        "logprobs_ms": {
            "vllm": milliseconds(logprob.compute_token_logprobs),
            "rlexp": milliseconds(sampled_logprobs.compute),
        },
    }
    (Path(job["folder"]) / "RESULT.json").write_text(json.dumps(result))
    sys.stdout.flush()
    os._exit(0)  # the engine would take seconds to shut down


if __name__ == "__main__":
    main()
