"""The places where two trees of plain values differ."""

from __future__ import annotations

from typing import Any

from rlexp.errors import printable

ABSENT = "(absent)"


def differences(a: Any, b: Any, key: str = "") -> dict[str, tuple[Any, Any]]:
    """Dotted key -> (value in ``a``, value in ``b``) of every leaf that differs; ABSENT stands for a missing one."""
    if not isinstance(a, dict) or not isinstance(b, dict):
        return {} if a == b else {key: (a, b)}
    found: dict[str, tuple[Any, Any]] = {}
    for name in sorted({*a, *b}, key=str):
        found |= differences(a.get(name, ABSENT), b.get(name, ABSENT), f"{key}.{name}" if key else str(name))
    return found


def lines(found: dict[str, tuple[Any, Any]]) -> list[str]:
    """The differences as text: ``method.beta 0.0 -> 0.04``."""
    return [printable(f"{key} {one} -> {two}") for key, (one, two) in found.items()]


def leaf(tree: Any, key: str) -> Any:
    """The value of a dotted key; ABSENT where there is none."""
    for name in key.split("."):
        tree = tree.get(name, ABSENT) if isinstance(tree, dict) else ABSENT
    return tree
