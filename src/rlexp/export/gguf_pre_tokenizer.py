"""How llama.cpp splits text before it merges bytes, for a tokenizer that its converter does not know by its ids.

llama.cpp knows pre-tokenizers by name, and the converter those of published models by a hash of their ids: a tokenizer
that was trained by oneself, or to which a token was added, has none. What ``tokenizer.json`` says is matched instead.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

GPT_2 = {"type": "ByteLevel", "add_prefix_space": False, "use_regex": True}
BYTES = {"type": "ByteLevel", "add_prefix_space": False, "use_regex": False}
LLAMA_3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
QWEN_2 = LLAMA_3.replace(r"\p{N}{1,3}", r"\p{N}")
"""The expressions, as the tokenizers of these models have them."""


def _split(pattern: str) -> dict[str, Any]:
    return {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}


KNOWN: list[tuple[str, str | None, list[dict[str, Any]], bool]] = [
    ("gpt-2", None, [GPT_2], False),
    ("smollm", None, [{"type": "Digits", "individual_digits": True}, GPT_2], False),
    ("llama-bpe", None, [_split(LLAMA_3), BYTES], True),
    ("qwen2", "NFC", [_split(QWEN_2), BYTES], False),
]
"""llama.cpp's name, the normalizer, the pre-tokenizers, and whether a word that is a token is merged no further."""


def name_of(tokenizer: Path) -> str | None:
    """llama.cpp's name of a byte-level BPE tokenizer's pre-tokenizer; None where it has none.

    Args:
        tokenizer: its ``tokenizer.json``.
    """
    held = json.loads(tokenizer.read_text())
    pre = held.get("pre_tokenizer") or {}
    steps = pre.get("pretokenizers", [pre])
    said = (
        (held.get("normalizer") or {}).get("type"),
        [{key: value for key, value in one.items() if key != "trim_offsets"} for one in steps],
        bool(held["model"].get("ignore_merges")),
    )
    return next((name for name, *what in KNOWN if tuple(what) == said), None)
