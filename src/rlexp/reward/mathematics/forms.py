"""What a text may mean: a formula with its unit, forms in brackets, relations, unions, ratios, matrices."""

from __future__ import annotations

from fractions import Fraction
from typing import Any, NamedTuple

Tree = tuple[Any, ...]
"""A formula: ("num", Fraction), ("sym", name), ("const", "pi" | "e" | "i" | "inf"), ("sign",) of plus-minus, or
(operator or function, operands...)."""


class Quantity(NamedTuple):
    """A formula with its unit, which may be empty."""

    tree: Tree
    unit: str = ""


class Items(NamedTuple):
    """Forms between brackets; ``brackets`` is empty for a bare list, whose words are "and", "or" or none."""

    brackets: str
    items: tuple[Any, ...]
    word: str = ""


class Relation(NamedTuple):
    """Forms joined by = < <= > >=."""

    operators: tuple[str, ...]
    sides: tuple[Any, ...]


class Joined(NamedTuple):
    """Forms of one kind that are no plain list: ``union`` of sets, ``ratio``, ``base`` (digits, base), ``row`` and
    ``matrix``, ``in`` (a name, a set)."""

    kind: str
    items: tuple[Any, ...]


Form = Quantity | Items | Relation | Joined


class UnreadError(Exception):
    """The text is no formula that is understood as a whole."""


def times(a: Tree, b: Tree) -> Tree:
    """A product; a number times a power of ten is one number."""
    ten = b[0] == "^" and b[1] == ("num", Fraction(10)) and _whole(b[2]) is not None
    if ten and a[0] == "num" and abs(power := _whole(b[2]) or 0) <= 1000:
        return ("num", a[1] * Fraction(10) ** power)
    return ("*", a, b)


def over(a: Tree, b: Tree) -> Tree:
    if a[0] == b[0] == "num" and b[1]:
        return ("num", a[1] / b[1])
    return ("/", a, b)


def _whole(tree: Tree) -> int | None:
    if tree[0] == "neg":
        inner = _whole(tree[1])
        return None if inner is None else -inner
    return int(tree[1]) if tree[0] == "num" and tree[1].denominator == 1 else None


def names(text: str) -> frozenset[str]:
    """The words of a text."""
    return frozenset(text.split())
