"""What single rows hold: answers that the prompt gives away, odd characters, and the rows least like the rest."""

from __future__ import annotations

import re
import statistics
import zlib
from collections.abc import Callable, Sequence

from rlexp.preflight.data_quality.rows import Finding, Row, finding, plain, share
from rlexp.verdict import Level

GIVEN = 0.05
"""Share of prompts that hold their answer, from which it is worth a warning."""
ODD = {
    "control characters": re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]"),
    "replacement characters (U+FFFD)": re.compile("\ufffd"),
    "characters without width": re.compile("[\u200b\u200c\u200e\u200f\u2060\ufeff\u00ad]"),
    "characters that turn the direction": re.compile("[\u202a-\u202e\u2066-\u2069]"),
    "UTF-8 read as Latin-1": re.compile("[\u00c2\u00c3][\u0080-\u00bf]|\u00e2\u20ac."),
    "private characters": re.compile("[\ue000-\uf8ff]"),
}
"""Kind -> what it looks like in a text."""
STRANGEST = 5
"""Rows that are least like the rest, to be looked at."""
FAR = 6.0
"""Spreads from the middle below which nothing is strange."""


def answer_in_prompt(rows: Sequence[Row]) -> Finding:
    """Prompts that hold their answer: the model may copy it. Letters of a choice are left out."""
    name = "data.answer_in_prompt"
    asked = [row for row in rows if row.answer is not None and (len(row.answer) > 1 or row.answer.isdigit())]
    if not asked:
        return finding(name, Level.skipped, "there is no column answer")
    given = [row for row in asked if _holds(row.question, str(row.answer))]
    if len(given) <= GIVEN * len(asked):
        return finding(name, Level.passed, f"{share(len(given), len(asked))} hold their answer", rows=given)
    hint = "copying scores there: ask otherwise, or expect a reward that learns to copy"
    return finding(name, Level.warning, f"{share(len(given), len(asked))} hold their answer", hint, given)


def _holds(text: str, answer: str) -> bool:
    wanted = plain(answer)
    if wanted not in (whole := plain(text)):
        return False
    return bool(re.search(rf"(?<![\w.,]){re.escape(wanted)}(?![\w]|[.,]\d)", whole))


def odd_characters(rows: Sequence[Row]) -> Finding:
    """Characters that no reader sees, or that a wrong encoding left."""
    name, found = "data.odd_characters", {kind: list[Row]() for kind in ODD}
    for row in rows:
        text = "\n".join((row.prompt, *row.replies, row.answer or ""))
        if text.isascii() and text.isprintable():
            continue
        for kind, pattern in ODD.items():
            if pattern.search(text):
                found[kind].append(row)
    kinds = {kind: rows for kind, rows in found.items() if rows}
    if not kinds:
        return finding(name, Level.passed, f"none in {len(rows)} rows")
    message = "; ".join(f"{len(rows)} rows with {kind}" for kind, rows in kinds.items())
    every = list(dict.fromkeys(row for rows in kinds.values() for row in rows))
    return finding(name, Level.warning, message, "read the file in its own encoding; leave such characters out", every)


def empty_answers(rows: Sequence[Row]) -> Finding:
    """Answers without a word, which no reward can judge."""
    name = "data.empty_answers"
    empty = [row for row in rows if row.answer is not None and not row.answer.strip()]
    if empty:
        hint = "leave such rows out: a reward cannot judge them"
        return finding(name, Level.warning, f"{share(len(empty), len(rows))} have an empty answer", hint, empty)
    if all(row.answer is None for row in rows):
        return finding(name, Level.skipped, "there is no column answer")
    missing = sum(row.answer is None for row in rows)
    return finding(name, Level.passed, f"{share(missing, len(rows))} have no answer, none has an empty one")


LETTERS = re.compile(r"[^\W\d_]+| ")
MEASURES: dict[str, Callable[[Row], float]] = {
    "characters of the prompt": lambda row: len(row.prompt),
    "characters of the reply": lambda row: max(map(len, row.replies), default=0),
    "characters of the answer": lambda row: len(row.answer or ""),
    "share of characters outside ASCII": lambda row: 1 - len(_text(row).encode("ascii", "ignore")) / _length(row),
    "share of digits and signs": lambda row: len(LETTERS.sub("", _text(row))) / _length(row),
    "repetition": lambda row: _length(row) / len(zlib.compress(_text(row).encode("utf-8", "replace"), 1)),
}
"""What rows are compared by."""


def strangest(rows: Sequence[Row]) -> list[tuple[Row, str]]:
    """The rows that are least like the rest, each with the reason; none where all are alike.

    A row is as strange as its most unusual measure: how many times the usual distance it lies from the middle (the
    median, in median absolute distances).
    """
    best: dict[Row, tuple[float, str]] = {}
    for name, measure in MEASURES.items():
        values = [measure(row) for row in rows]
        middle = statistics.median(values) if values else 0.0
        usual = statistics.median(abs(value - middle) for value in values) if values else 0.0
        floor = max(usual, 0.1 * abs(middle), 1.0 if name.startswith("characters") else 0.05)
        far = ((abs(value - middle) / floor, value, row) for value, row in zip(values, rows, strict=True))
        for distance, value, row in sorted(far, key=lambda item: -item[0])[:STRANGEST]:
            if distance > max(FAR, best.get(row, (0.0, ""))[0]):
                best[row] = distance, f"{name} {value:.4g}, where the middle is {middle:.4g}"
    ordered = sorted(best.items(), key=lambda item: -item[1][0])[:STRANGEST]
    return [(row, reason) for row, (_, reason) in ordered]


def _text(row: Row) -> str:
    return "\n".join((row.prompt, *row.replies))


def _length(row: Row) -> int:
    return max(1, len(_text(row)))
