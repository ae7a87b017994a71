"""What a merge loses by how its sum is rounded to 16 bits: to the nearest, by chance (as rlexp does), or to float16.

The adapter of a run is put into its base's weights in each way; the model that computes in float32 with these weights
is held against the adapter unmerged, teacher-forced on the run's own completions of held-out prompts (temperature 1).

Usage: python perf/merge_rounding.py RUN [PROMPTS] (a finished run with an adapter; default 64 prompts)
"""

from __future__ import annotations

import helped  # isort: skip  # noqa: F401
import json
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet

from rlexp import project
from rlexp.compose.start import ADAPTER, CONFIG
from rlexp.inputs import merge
from rlexp.record import finished

TOP, THREADS = 10, 2


def nearest(values: np.ndarray, name: str) -> np.ndarray:
    """To the nearest bfloat16, ties to even."""
    bits = values.astype(np.float32).view(np.uint32)
    return merge._wide(((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16), "BF16")


def by_chance(values: np.ndarray, name: str) -> np.ndarray:
    """As a merge of rlexp rounds to bfloat16."""
    return merge._wide(merge._narrow(values, "BF16", merge._draws(name, 0, *values.shape)), "BF16")


def half(values: np.ndarray, name: str) -> np.ndarray:
    """To the nearest float16."""
    return values.astype(np.float16).astype(np.float64)


WAYS: dict[str, Callable[[np.ndarray, str], np.ndarray]] = {
    "float32": lambda values, name: values,
    "bfloat16, to the nearest": nearest,
    "bfloat16, by chance": by_chance,
    "float16, to the nearest": half,
}


def main(run_dir: str, count: int) -> None:
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    torch.set_num_threads(THREADS)
    root = project.root()
    run = finished.open(run_dir, Path.cwd(), root).run
    adapter = Path(run_dir) / "adapter"
    base = root / json.loads((adapter / CONFIG).read_text())["base_model_name_or_path"]
    tokenizer = AutoTokenizer.from_pretrained(adapter)
    model: Any = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    model = PeftModel.from_pretrained(model, str(adapter)).eval()
    rows = pyarrow.parquet.read_table(root / run.dataset.path / "test.parquet")["prompt"].to_pylist()[:count]
    system = [{"role": "system", "content": run.model.system_prompt}] if run.model.system_prompt else []
    turns = [one if isinstance(one, list) else [{"role": "user", "content": one}] for one in rows]
    prompts = [
        tokenizer.apply_chat_template([*system, *one], add_generation_prompt=True, return_dict=False) for one in turns
    ]
    torch.manual_seed(0)
    sequences = []
    for prompt in prompts:
        given = torch.tensor([prompt])
        with torch.inference_mode():
            row = model.generate(given, max_new_tokens=48, do_sample=True, temperature=1.0, top_k=0)[0].tolist()
        sequences.append((row, len(prompt)))

    def logprobs() -> list[Any]:
        with torch.inference_mode():
            return [model(torch.tensor([i])).logits[0, b - 1 : -1].log_softmax(-1) for i, b in sequences]

    reference = logprobs()
    with model.disable_adapter():
        before = logprobs()
    layers = {name: module for name, module in model.named_modules() if hasattr(module, "lora_A")}
    kept = {name: module.base_layer.weight.detach().clone() for name, module in layers.items()}
    print(f"{run_dir}, {sum(len(i) - b for i, b in sequences)} tokens, {ADAPTER} of {base.name}\n")
    print("| rounded | weights that stay | mean KLD | median | same top token | of the run's way from its base |")
    print("|---|---:|---:|---:|---:|---:|")
    for way, rounded in WAYS.items():
        same = total = 0
        for name, module in layers.items():
            with torch.no_grad():
                exact = kept[name].double() + module.get_delta_weight("default").double()
                value = torch.from_numpy(rounded(exact.numpy(), name)).float()
                same, total = same + int((value == kept[name]).sum()), total + value.numel()
                module.base_layer.weight.copy_(value)
        with model.disable_adapter():
            found = logprobs()
        with torch.no_grad():
            for name, module in layers.items():
                module.base_layer.weight.copy_(kept[name])
        kld = torch.cat([(r.exp() * (r - f)).sum(-1) for r, f in zip(reference, found, strict=True)])
        top = torch.cat([(r.argmax(-1) == f.argmax(-1)).float() for r, f in zip(reference, found, strict=True)])
        moved = want = 0.0
        for r, f, b in zip(reference, found, before, strict=True):
            at = r.topk(TOP, -1).indices
            way_there, gone = (r - b).gather(-1, at), (f - b).gather(-1, at)
            moved, want = moved + float((way_there * gone).sum()), want + float((way_there**2).sum())
        error = float(kld.std()) / math.sqrt(len(kld))
        print(
            f"| {way} | {same / total:.1%} | {float(kld.mean()):.2g} ± {error:.1g} | {float(kld.median()):.1g} | "
            f"{float(top.mean()):.2%} | {moved / want:.3f} |",
            flush=True,
        )


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 64)
