"""How a tokenizer splits text before it merges bytes, and llama.cpp's name for it.

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
GPT_2_WORDS = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
"""The expressions, as the tokenizers of these models have them; the last is that of ``GPT_2``."""


def split(pattern: str) -> dict[str, Any]:
    return {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}


DIGITS_AND_GPT_2 = [{"type": "Digits", "individual_digits": True}, GPT_2]
KNOWN: list[tuple[str, str | None, list[dict[str, Any]], bool]] = [
    ("gpt-2", None, [GPT_2], False),
    ("smollm", None, DIGITS_AND_GPT_2, False),
    ("llama-bpe", None, [split(LLAMA_3), BYTES], True),
    ("qwen2", "NFC", [split(QWEN_2), BYTES], False),
]
"""llama.cpp's name, the normalizer, the pre-tokenizers, and whether a word that is a token is merged no further."""


def name_of(tokenizer: Path) -> str | None:
    """llama.cpp's name of a byte-level BPE tokenizer's pre-tokenizer; None where it has none.

    Args:
        tokenizer: its ``tokenizer.json``.
    """
    held = json.loads(tokenizer.read_text())
    said = (
        (held.get("normalizer") or {}).get("type"),
        steps(held),
        bool(held["model"].get("ignore_merges")),
    )
    return next((name for name, *what in KNOWN if tuple(what) == said), None)


def steps(tokenizer: dict[str, Any]) -> list[dict[str, Any]]:
    """The pre-tokenizers of a ``tokenizer.json``, one after the other, without what changes no ids."""
    pre = tokenizer.get("pre_tokenizer") or {}
    one_by_one = pre.get("pretokenizers", [pre])
    return [{key: value for key, value in one.items() if key != "trim_offsets"} for one in one_by_one]
