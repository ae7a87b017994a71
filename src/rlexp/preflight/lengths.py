"""Checks of lengths: prompts and completions of the data against the limits of the run.

A limit that is too small cuts answers and rewards nothing, without any error (trl#5697).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from rlexp.preflight.tokenizer_context import TokenizerContext, trainer_ids
from rlexp.verdict import Level, Verdict

MEASURED = 4000
"""Rows that are tokenized; of more, as many are taken evenly."""
NO_ROOM, CUT = 0.1, 0.5
"""Shares of the rows from which it fails: prompts that leave no room for half a completion; sequences that are cut."""
FEW = 0.01
"""Share of cut sequences that is not worth a word."""


def length(seen: TokenizerContext) -> Verdict:
    """The lengths of the data against the limits: prompts where completions are sampled, else whole sequences."""
    rows = seen.rows
    if not rows:
        return Verdict("data.prompt_length", Level.skipped, "there are no rows")
    if seen.tokenizer.chat_template is None and not isinstance(rows[0]["prompt"], str):
        return Verdict("data.prompt_length", Level.skipped, "there is no template")
    prompts = [len(ids) for ids in trainer_ids(seen.run, seen.tokenizer, [row["prompt"] for row in rows])]
    arguments = seen.run.arguments
    if seen.run.method.online:
        return prompt_length(prompts, arguments["max_completion_length"], seen.run.model.max_seq_length, seen.every)
    if arguments["max_length"] is None:
        return Verdict("data.sequence_length", Level.skipped, "method.max_length=null: nothing is cut")
    replies = _replies(seen, rows)
    limit, sequences = arguments["max_length"], [a + b for a, b in zip(prompts, replies, strict=True)]
    keeps_end = arguments.get("truncation_mode") == "keep_end"  # of the prompt the beginning is cut then
    full = [seen.number(n) for n, length in enumerate(prompts) if length >= limit and not keeps_end]
    return sequence_length(prompts, sequences, limit, full, seen.every)


def prompt_length(prompts: Sequence[int], completion: int, whole: int, every: int = 1) -> Verdict:
    """Prompts that leave less room than a completion may take.

    Args:
        prompts: tokens of each prompt.
        completion: tokens that a completion may have.
        whole: tokens of both together.
        every: of the rows of the data every so many-th is measured.
    """
    name, room = "data.prompt_length", whole - completion
    rows = tuple(number * every for number, length in enumerate(prompts) if length > room)
    long = len(rows)
    spread = f"{percentiles(prompts)}, and {whole} less a completion of {completion} leave {room}"
    if not long:
        return Verdict(name, Level.passed, f"prompts have {spread}")
    message = f"{long} of {len(prompts)} prompts ({long / len(prompts):.0%}) are too long: they have {spread}"
    hopeless = sum(length > whole - completion / 2 for length in prompts)
    level = Level.failed if hopeless > NO_ROOM * len(prompts) else Level.warning
    hint = f"type model.max_seq_length={rounded(max(prompts) + completion)}, or leave the long prompts out of the data"
    return Verdict(name, level, message, "model.max_seq_length, method.max_completion_length", hint, rows)


def sequence_length(
    prompts: Sequence[int], sequences: Sequence[int], limit: int, filled: Sequence[int] = (), every: int = 1
) -> Verdict:
    """Sequences that are cut, or whose prompt alone fills the limit: these are not trained on.

    Args:
        prompts: tokens of each prompt.
        sequences: tokens of prompt and (longer) completion.
        limit: ``method.max_length``.
        filled: numbers of the rows whose prompt fills it.
        every: of the rows of the data every so many-th is measured.
    """
    name = "data.sequence_length"
    truncated, full = sum(n > limit for n in sequences), sum(n >= limit for n in prompts)
    spread = f"prompt and completion have {percentiles(sequences)}; method.max_length={limit}"
    cut = tuple(
        n * every for n, both in enumerate(zip(prompts, sequences, strict=True)) if both[0] >= limit or both[1] > limit
    )
    if truncated <= FEW * len(sequences) and not full:
        return Verdict(name, Level.passed, spread, rows=cut)
    message = f"{truncated} of {len(sequences)} rows ({truncated / len(sequences):.0%}) would be cut"
    message += f", in {full} of them the prompt alone fills the limit" if full else ""
    if filled:
        shown = ", ".join(map(str, filled[:5])) + (", ..." if filled[5:] else "")
        message += f", and they are dropped (rows {shown} from 0)"
    message += f": {spread}"
    level = Level.failed if truncated > CUT * len(sequences) or full > NO_ROOM * len(prompts) else Level.warning
    longest = rounded(max(sequences))
    hint = f"type model.max_seq_length={longest} (method.max_length follows it), or leave the long rows out of the data"
    return Verdict(name, level, message, "method.max_length", hint, cut)


def percentiles(lengths: Sequence[int]) -> str:
    """The spread of lengths in words: half, 95% and all of them."""
    ordered = sorted(lengths)
    half, most = (ordered[min(len(ordered) - 1, int(part * len(ordered)))] for part in (0.5, 0.95))
    return f"p50 {half}, p95 {most}, p100 {ordered[-1]} tokens"


def rounded(length: int) -> int:
    """The next multiple of 32."""
    return -(-length // 32) * 32


def _replies(seen: TokenizerContext, rows: Sequence[dict[str, Any]]) -> list[int]:
    """Tokens of the longest reply of each row, with the end of its turn."""
    longest = [0] * len(rows)
    for name in ("completion", "chosen", "rejected"):
        if name in rows[0]:
            texts = [_text(row[name]) for row in rows]
            ids = seen.tokenizer(texts, add_special_tokens=False)["input_ids"]
            longest = [max(most, len(item) + 1) for most, item in zip(longest, ids, strict=True)]
    return longest


def _text(reply: Any) -> str:
    return (
        reply
        if isinstance(reply, str)
        else "".join(
            str(turn["content"]) + (json.dumps(turn["tool_calls"]) if "tool_calls" in turn else "") for turn in reply
        )
    )
