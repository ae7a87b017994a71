"""Markdown of values that may hold anything: tables whose cells end none, fences that nothing inside closes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from rlexp.errors import printable


def table(heads: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """A table; empty where there are no rows."""
    if not rows:
        return ""
    lines = [_row(heads), "|" + "---|" * len(heads), *(_row(row) for row in rows)]
    return "\n".join(lines)


def _row(cells: Sequence[Any]) -> str:
    return "| " + " | ".join(plain(cell) for cell in cells) + " |"


def plain(value: Any) -> str:
    """A value on one line, which opens no markup."""
    text = printable(" ".join(str(value).split()))
    return re.sub(r"([\\|`<>\[\]*_~&])", r"\\\1", text) if not re.fullmatch(r"[\w.@/:%+± ,=\[\]-]*", text) else text


def fence(text: str, language: str = "") -> str:
    """A block of code that holds the text as it is."""
    text = printable(text)
    longest = max((len(run) for run in re.findall(r"`{3,}", text)), default=2)
    marks = "`" * max(3, longest + 1)
    return f"{marks}{language}\n{text}\n{marks}"


def code(text: str) -> str:
    """A span of code on one line, which holds the text as it is."""
    text = printable(" ".join(text.split()))
    marks = "`" * (1 + max((len(run) for run in re.findall(r"`+", text)), default=0))
    room = " " if "`" in text else ""
    return f"{marks}{room}{text}{room}{marks}"


def short(value: float, digits: int = 2) -> str:
    """A figure with so many digits that tell, never with an exponent: ``140``, ``0.0062``."""
    return np.format_float_positional(float(value), digits, unique=False, fractional=False, trim="-")


def number(value: Any, digits: int = 3) -> str:
    """A figure; a dash for none."""
    return "-" if value is None else f"{value:.{digits}f}" if isinstance(value, float) else str(value)


def interval(one: dict[str, Any], digits: int = 3, sign: str = "") -> str:
    """``mean [low, high]``."""
    if one.get("mean") is None:
        return "-"
    mean = f"{one['mean']:{sign}.{digits}f}"
    return mean if one.get("low") is None else f"{mean} [{one['low']:{sign}.{digits}f}, {one['high']:{sign}.{digits}f}]"
