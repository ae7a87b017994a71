"""ONNX for onnxruntime-genai: its own builder makes the graph with a KV cache, in a process of its own.

Source: ``onnxruntime_genai.models.builder`` 0.18. It writes genai_config.json, the tokenizer and the template; the ends
of a completion are those of generation_config.json.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

from rlexp.errors import RunError
from rlexp.export import pre_tokenizer
from rlexp.export.formats import Made, Making

OPTIONS: dict[str, tuple[str, ...]] = {
    "fp32": (),
    "int8": (),
    "int4": ("algo_config=k_quant_mixed", "block_size=32"),
}
"""Type -> ``--extra_options`` of the builder; perf/onnx_int4.py measures int4 made in other ways."""
CACHES = ("cos_cache", "sin_cache")
"""Tables of positions that the builder puts among the weights."""
FLOAT = 1
"""``onnx.TensorProto.FLOAT``."""


def make(making: Making) -> Made:
    """Makes a folder of onnxruntime-genai; its graph runs on a CPU.

    Raises:
        RunError: the builder does not know the architecture, or could not make it.
    """
    build(making.merged, making.folder, making.type, OPTIONS[making.type], making.threads)
    return Made(mix=mix(making.folder))


def build(merged: Path, folder: Path, precision: str, options: tuple[str, ...], threads: int) -> None:
    """Has the builder fill the folder.

    Args:
        precision: fp32, int8 or int4.
        options: ``KEY=VALUE`` of ``--extra_options``.

    Raises:
        RunError: it could not.
    """
    with tempfile.TemporaryDirectory() as cache:
        command = [
            *(sys.executable, "-m", "onnxruntime_genai.models.builder", "-p", precision, "-e", "cpu", "-c", cache),
            *("-i", str(merged.resolve()), "-o", str(folder.resolve())),
            *(("--extra_options", *options) if options else ()),
        ]
        env = {**os.environ, "HF_HUB_OFFLINE": "1", "ORT_DISABLE_TELEMETRY": "1", "OMP_NUM_THREADS": str(threads)}
        done = subprocess.run(command, env=env, cwd=cache, capture_output=True, text=True, errors="replace")
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip()).splitlines()
        raise RunError(
            f"onnxruntime-genai's builder could not make {precision}: {said[-1] if said else done.returncode}",
            where=f"export.onnx.types=[{precision}] of {merged}",
            hint="leave onnx out, as in export=merged+gguf: the builder knows the architectures that its pages list",
        )
    shutil.copyfile(merged / "generation_config.json", folder / "generation_config.json")
    _digits_apart(folder / "tokenizer.json")
    file = folder / "genai_config.json"
    config = json.loads(file.read_text())
    config["model"]["eos_token_id"] = json.loads((merged / "generation_config.json").read_text())["eos_token_id"]
    file.write_text(json.dumps(config, indent=4) + "\n")


def _digits_apart(file: Path) -> None:
    """Writes a pre-tokenizer of digits and of GPT-2's expression as two splits, which say the same.

    onnxruntime-genai 0.18 takes both for one expression, and reads spaces before a digit otherwise.
    """
    content = json.loads(file.read_text())
    if pre_tokenizer.steps(content) == pre_tokenizer.DIGITS_AND_GPT_2:
        splits = [pre_tokenizer.split(one) for one in (r"\p{N}", pre_tokenizer.GPT_2_WORDS)]
        splits.append({**pre_tokenizer.BYTES, "trim_offsets": True})
        content["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": splits}
        file.write_text(json.dumps(content, ensure_ascii=False, indent=2) + "\n")


def mix(folder: Path) -> dict[str, float]:
    """The share of the weights by type, of the graph's nodes that hold them; tied ones count once."""
    import onnx

    graph = onnx.load(folder / "model.onnx", load_external_data=False).graph
    held: Counter[str] = Counter()
    seen = set(CACHES)
    for node in graph.node:
        if node.op_type == "MatMulNBits" and node.input[1] not in seen:
            given = {one.name: one.i for one in node.attribute}
            held[f"int{given['bits']}"] += given["K"] * given["N"]
            seen |= set(node.input[1:])
    quantized = {node.input[2] for node in graph.node if node.op_type == "GatherBlockQuantized"}
    for one in graph.initializer:
        if one.data_type == FLOAT and one.name not in seen | quantized:
            held["float32"] += math.prod(one.dims)
    total = held.total()
    return {kind: count / total for kind, count in held.most_common()}
