"""What 4 bits of ONNX lose by how they are made: the builder's algorithms and block sizes.

Each is held against transformers in float32, teacher-forced on the model's own completions (temperature 1, a seed):
mean and median Kullback-Leibler divergence, how often the likeliest token is the same, and the size of the folder.

Usage: python perf/onnx_int4.py MODEL [TOKENS] (a folder of transformers; default 2048 tokens)
"""

from __future__ import annotations

import helped  # isort: skip  # noqa: F401
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from rlexp.export import onnx
from rlexp.runtimes.host import Host
from rlexp.runtimes.protocol import Sampling, Spec

MIXED = ("int4", "algo_config=k_quant_mixed")
WAYS = {
    "int4, the builder's own choice": ("int4",),
    "int4, k_quant_mixed": MIXED,
    "int4, k_quant_mixed, asymmetric": (*MIXED, "is_symmetric=false"),
    "int4, k_quant_mixed, blocks of 16": (*MIXED, "block_size=16"),
    "int4, k_quant_last": ("int4", "algo_config=k_quant_last"),
    "int4, k_quant_mixed, float activations": (*MIXED, "accuracy_level=1"),
    "int4, k_quant_mixed, blocks of 64": (*MIXED, "block_size=64"),
    "int8, the builder's own choice": ("int8",),
    "int8, k_quant": ("int8", "algo_config=k_quant"),
}
ASKED = ["What is {} + {}?", "Write a sentence about the number {} and a dog.", "List {} animals and {} fruits."]
NEW, CONTEXT, THREADS = 96, 512, 2


def main(model: Path, tokens: int) -> None:
    spec: dict[str, Any] = {"threads": THREADS, "context": CONTEXT, "together": 8}
    with Host(Spec("transformers", model, dtype="float32", **spec)) as host:
        asked = [ASKED[n % len(ASKED)].format(n + 3, 2 * n + 5) for n in range(tokens)]
        prompts = host.encode(host.render([[{"role": "user", "content": text}] for text in asked]))
        texts: list[tuple[list[int], int]] = []
        while sum(len(ids) - begin for ids, begin in texts) < tokens:
            some = prompts[len(texts) : len(texts) + 8]
            answers = host.generate(some, Sampling(NEW, temperature=1.0), len(texts), together=8)
            texts += [(one + found.ids, len(one)) for one, found in zip(some, answers, strict=True)]
        reference = [host.logprobs(ids, begin) for ids, begin in texts]
    count = sum(len(one) for one in reference)
    print(f"# What 4 bits of ONNX lose\n\n    python perf/onnx_int4.py {model.name} {tokens}\n")
    print(f"{count} tokens, onnxruntime-genai {version('onnxruntime-genai')}, onnxruntime {version('onnxruntime')}\n")
    print(
        "| made how | mean KLD | median | same top, % | MB | s to make | weights |\n|---|---:|---:|---:|---:|---:|---|"
    )
    for name, (precision, *options) in WAYS.items():
        with tempfile.TemporaryDirectory() as folder:
            began = time.perf_counter()
            try:
                onnx.build(model, Path(folder), precision, tuple(options), THREADS)
            except Exception as error:
                print(f"| {name} | {str(error).splitlines()[0]} |", flush=True)
                continue
            took = time.perf_counter() - began
            size = sum(file.stat().st_size for file in Path(folder).rglob("*") if file.is_file()) / 1e6
            with Host(Spec("onnxruntime-genai", Path(folder), **spec)) as host:
                found = [host.logprobs(ids, begin) for ids, begin in texts]
            lost = np.concatenate(
                [(np.exp(p) * (p - q)).sum(-1) for p, q in zip(reference, found, strict=True)], dtype=np.float64
            )
            same = np.concatenate([p.argmax(-1) == q.argmax(-1) for p, q in zip(reference, found, strict=True)])
            held = ", ".join(f"{kind} {share:.0%}" for kind, share in onnx.mix(Path(folder)).items())
            row = f"| {name} | {lost.mean():.5f} | {np.median(lost):.5f} | {100 * same.mean():.1f} | {size:.0f} |"
            print(f"{row} {took:.0f} | {held} |", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 2048)
