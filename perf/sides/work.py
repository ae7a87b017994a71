"""The work that every side does: the shapes, the trainer's arguments, the model made on the spot, the hardware's floor.

Imports nothing heavy, so that the harness starts at once.  ``python perf/sides/work.py SHAPE FOLDER`` makes the
model: the real shape with random weights (on the GPU where there is one) and the tiny model's tokenizer, its vocabulary
filled up with plain words to the model's size, so that any id that random weights sample can be decoded.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
TABLE = ROOT / "src/rlexp/compose/trl_arguments.json"
TARGETS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
RANK, ALPHA = 16, 32
CACHES = {"VLLM_CACHE_ROOT": "vllm", "TORCHINDUCTOR_CACHE_DIR": "inductor", "TRITON_CACHE_DIR": "triton"}
"""Where compiled kernels are kept, for all processes of a work folder: environment variable -> folder."""
UNSLOTH_SHARE = 0.6
"""What Unsloth's vLLM is told: it takes it of the memory that is free, shortens the sequences where that looks too
little for the model, and the cache's size is given anyway."""


@dataclass(frozen=True)
class Shape:
    """A model's sizes, and the work of a step that is measured with it."""

    kind: str
    hidden: int
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    intermediate: int
    vocabulary: int
    prompts: int
    completions: int
    tokens: int
    micro: int
    """Sequences of one forward and backward pass."""
    checkpointing: bool
    kv_gib: float
    """vLLM's key-value cache; every completion of a step fits at once, so its size changes no speed."""
    vllm_share: float
    """Of the device's memory, as TRL's vLLM is told it; the cache's size above is what counts."""

    @property
    def sequences(self) -> int:
        """Completions of a step."""
        return self.prompts * self.completions

    @property
    def layer_weights(self) -> int:
        """Parameters of all layers; embedding and head, which are one matrix, stand apart."""
        attention = self.hidden * self.head_dim * (2 * self.heads + 2 * self.kv_heads)
        return self.layers * (attention + 3 * self.hidden * self.intermediate)

    @property
    def head_weights(self) -> int:
        """Parameters of the output head."""
        return self.hidden * self.vocabulary

    @property
    def lora_weights(self) -> int:
        """Parameters of the adapter."""
        q, kv = self.heads * self.head_dim, self.kv_heads * self.head_dim
        pairs = [(self.hidden, q), (self.hidden, kv), (self.hidden, kv), (q, self.hidden)]
        pairs += [(self.hidden, self.intermediate)] * 2 + [(self.intermediate, self.hidden)]
        return self.layers * RANK * sum(a + b for a, b in pairs)


SHAPES = {
    "tiny": Shape("llama", 128, 4, 4, 2, 32, 256, 384, 4, 4, 24, 16, False, 0.5, 0.3),
    "135m": Shape("llama", 576, 30, 9, 3, 64, 1536, 49152, 8, 8, 256, 64, False, 4.0, 0.15),
    "1.7b": Shape("qwen3", 2048, 28, 16, 8, 128, 6144, 151936, 8, 8, 512, 32, True, 8.0, 0.25),
    "4b": Shape("qwen3", 2560, 36, 32, 8, 128, 9728, 151936, 4, 8, 512, 32, True, 4.0, 0.2),
}


@dataclass(frozen=True)
class Card:
    """What a GPU can do at most, by its data sheet: bytes and dense bfloat16 operations a second."""

    bandwidth: float
    flops: float


CARDS = {"H100": Card(3.35e12, 989e12), "H200": Card(4.8e12, 989e12)}


PAIRS: dict[str, dict[str, Any]] = {
    "tiny": {"prompts": 8, "tokens": 48, "micro": 4},
    "135m": {"prompts": 32, "tokens": 384, "micro": 16},
    "1.7b": {"prompts": 16, "tokens": 384, "micro": 4},
}
"""What DPO and ORPO change of a shape: pairs of a step, tokens of an answer, pairs of one pass."""
PROMPT = 64
"""Digits of a pair's prompt."""


def of_pairs(name: str) -> Shape:
    """A shape with the work of DPO and ORPO: ``prompts`` pairs a step, each of two answers of ``tokens`` tokens."""
    return dataclasses.replace(SHAPES[name], completions=1, **PAIRS[name])


def answer_limit(shape: Shape) -> int:
    """Tokens that an answer of a pair may have: its own, and those of the chat template."""
    return shape.tokens + 16


def arguments(method: str, shape: Shape, steps: int, vllm: bool = False) -> dict[str, Any]:
    """What the experiment says, in TRL's names; the same for every side (``method.*`` for rlexp)."""
    said = {
        "max_steps": steps,
        "learning_rate": 1e-5,
        "lr_scheduler_type": "constant",
        "logging_steps": 1,
        "save_strategy": "no",
    }
    if method != "grpo":
        return {**said, "beta": 0.1, "warmup_steps": 0}
    return {
        **said,
        "num_generations": shape.completions,
        "max_completion_length": shape.tokens,
        "beta": 0.0,
        "temperature": 1.0,
        # Every completion to its full length, in either engine's words.
        "generation_kwargs": {"ignore_eos": True} if vllm else {"min_new_tokens": shape.tokens},
    }


def whole(
    method: str, shape: Shape, asked: dict[str, Any], folder: Path, vllm: bool, cuda: bool, length: int
) -> dict[str, Any]:
    """Every argument of TRL's config for a hand-written side: said, because Unsloth changes TRL's defaults."""
    table = json.loads(TABLE.read_text())["methods"][method]["arguments"]
    passes = shape.sequences // shape.micro
    said = {name: entry["default"] for name, entry in table.items()}
    said |= asked
    said |= {
        "output_dir": str(folder / "checkpoints"),
        "seed": 0,
        "data_seed": 0,
        "per_device_train_batch_size": shape.micro,
        "gradient_accumulation_steps": passes,
        "bf16": cuda,
        "fp16": False,
        "bf16_full_eval": cuda,
        "use_cpu": not cuda,
        "gradient_checkpointing": shape.checkpointing,
        "report_to": "none",
        "disable_tqdm": True,
        "log_level": "error",
        "log_level_replica": "error",
    }
    if method == "grpo":
        said |= {
            "steps_per_generation": passes,
            "num_generations_eval": shape.completions,
            "per_device_eval_batch_size": shape.completions,
            "reward_weights": [1.0],
            "remove_unused_columns": False,
            "epsilon_high": said["epsilon"],
            "use_vllm": vllm,
            "vllm_mode": "colocate",
            "vllm_gpu_memory_utilization": shape.vllm_share,
            "vllm_max_model_length": length,
        }
    else:
        said |= {
            "max_length": length,
            "per_device_eval_batch_size": shape.micro,
            # ORPO's collator reads columns that the model does not take.
            "remove_unused_columns": method != "orpo",
        }
        if method == "orpo":
            said["max_completion_length"] = answer_limit(shape)
    if vllm:
        said["top_k"] = -1
    return {name: value for name, value in said.items() if name in table}


@dataclass(frozen=True)
class Floor:
    """The least a step can take on a card, and how it was counted."""

    parts: dict[str, float]
    formula: list[str]

    @property
    def seconds(self) -> float:
        """All parts, one after the other."""
        return sum(self.parts.values())


def floor(shape: Shape, prompt_tokens: float, card: Card) -> Floor:
    """Bytes that must be read and operations that must be done, at the data sheet's rates, nothing overlapping.

    Decoding reads every weight once a token step and the cache so far of every completion; the prompts are computed
    once each; the policy is trained once, its frozen weights need no gradient of their own, so a weight costs 2
    operations a token forward and 2 backward, an adapter's 2 and 4. No old or reference log-probabilities, no
    recomputation, no optimizer (its state is thousandths of the model).
    """
    base, head, lora = shape.layer_weights, shape.head_weights, shape.lora_weights
    n, new = shape.sequences, shape.tokens
    cache = 2 * shape.layers * shape.kv_heads * shape.head_dim * 2
    weight_bytes = 2 * (base + head) * new
    cache_bytes = cache * n * (new * prompt_tokens + new * new / 2)
    decode_flops = 2 * (base + head) * n * new
    tokens = n * (prompt_tokens + new)
    attention = 4 * shape.layers * shape.heads * shape.head_dim * n * (prompt_tokens + new) ** 2 / 2
    forward = 2 * (base + lora) * tokens + 2 * head * n * new + attention
    backward = (2 * base + 4 * lora) * tokens + 2 * head * n * new + 2 * attention
    parts = {
        "decode": max((weight_bytes + cache_bytes) / card.bandwidth, decode_flops / card.flops),
        "prefill": 2 * base * shape.prompts * prompt_tokens / card.flops,
        "forward": forward / card.flops,
        "backward": backward / card.flops,
    }
    return Floor(
        parts,
        [
            f"weights {base / 1e9:.3f}e9 + head {head / 1e9:.3f}e9, adapter {lora / 1e6:.1f}e6, "
            f"{n} completions of {new} tokens after {prompt_tokens:.0f} of prompt",
            f"decode: ({new} x 2 x (weights + head) = {weight_bytes / 1e12:.2f}e12 bytes + cache {cache} x {n} x "
            f"({new} x {prompt_tokens:.0f} + {new}^2/2) = {cache_bytes / 1e12:.2f}e12) / {card.bandwidth / 1e12}e12 a "
            f"second = {parts['decode']:.3f} s (operations alone: {decode_flops / card.flops:.3f} s)",
            f"prefill: 2 x weights x {shape.prompts} prompts x {prompt_tokens:.0f} = {parts['prefill']:.4f} s",
            f"forward: (2 x (weights + adapter) x tokens + 2 x head x completion tokens + attention) = "
            f"{forward / 1e12:.0f}e12 / {card.flops / 1e12:.0f}e12 = {parts['forward']:.3f} s",
            f"backward: (2 x weights + 4 x adapter) x tokens + 2 x head x completion tokens + 2 x attention = "
            f"{backward / 1e12:.0f}e12 -> {parts['backward']:.3f} s",
        ],
    )


def make(shape: Shape, folder: Path) -> None:
    """Writes a Hugging Face folder of this shape; the marker ``.made`` comes last."""
    tiny = ROOT / "models/tiny"
    if (folder / ".made").exists():
        return
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(tiny, folder)
    if shape != SHAPES["tiny"]:
        _fill_tokenizer(folder, shape.vocabulary)
        _random_weights(shape, folder)
    (folder / ".made").touch()


def _fill_tokenizer(folder: Path, vocabulary: int) -> None:
    path = folder / "tokenizer.json"
    content = json.loads(path.read_text())
    taken = {*content["model"]["vocab"].values(), *(token["id"] for token in content["added_tokens"])}
    content["model"]["vocab"] |= {f"\u0120w{n}": n for n in range(vocabulary) if n not in taken}
    path.write_text(json.dumps(content, ensure_ascii=False))


def _random_weights(shape: Shape, folder: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, LlamaConfig, Qwen3Config

    for old in folder.glob("*.safetensors"):
        old.unlink()
    config = {"llama": LlamaConfig, "qwen3": Qwen3Config}[shape.kind](
        hidden_size=shape.hidden,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.kv_heads,
        head_dim=shape.head_dim,
        intermediate_size=shape.intermediate,
        vocab_size=shape.vocabulary,
        max_position_embeddings=4096,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=2,
        pad_token_id=0,
    )
    torch.manual_seed(0)
    with torch.device("cuda" if torch.cuda.is_available() else "cpu"):
        model = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
    model.save_pretrained(folder)


if __name__ == "__main__":
    make(SHAPES[sys.argv[1]], Path(sys.argv[2]))
