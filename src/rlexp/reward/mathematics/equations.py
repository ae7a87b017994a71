"""Compares equations and inequalities, and sets of numbers: what they say, whatever they look like."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

from rlexp.reward.mathematics.compute import evaluate
from rlexp.reward.mathematics.forms import Form, Items, Joined, Quantity, Relation, Tree, UnreadError
from rlexp.reward.mathematics.values import POINTS, equal_values, is_zero, point, real, substituted, symbols

TURNED = {"<": ">", ">": "<", "<=": ">=", ">=": "<=", "=": "="}


def same_equation(a: Relation, b: Relation) -> bool:
    """Whether left - right of one is a constant times that of the other; of inequalities a positive constant."""
    (x, y), (z, w) = (side.tree for side in a.sides), (side.tree for side in b.sides)
    first, second = ("+", x, ("neg", y)), ("+", z, ("neg", w))
    operators = a.operators[0], b.operators[0]
    names = symbols(first) | symbols(second)
    if not names or symbols(first) != symbols(second):
        return False
    if operators[0] != operators[1] and operators[0] != TURNED[operators[1]]:
        return False
    # f(p) g(q) = f(q) g(p) wherever both are defined.
    points = [point(names, number) for number in range(POINTS)]
    at = lambda tree, point: substituted(tree, point)  # noqa: E731
    tried = 0
    for p, q in pairwise(points):
        left = ("*", at(first, p), at(second, q))
        right = ("*", at(first, q), at(second, p))
        try:
            if is_zero(at(first, p)) or is_zero(at(second, p)) or not equal_values(left, right):
                return False
            if operators[0] != "=" and not _positive(("/", at(first, p), at(second, p)), operators[0] == operators[1]):
                return False
            tried += 1
        except (UnreadError, ArithmeticError, ValueError):
            continue
    return tried > 1


def _positive(tree: Tree, wanted: bool) -> bool:
    value = evaluate(tree, 50)
    real = value.real if not isinstance(value, Fraction) else value
    return bool(real > 0) == wanted


def interval(form: Form) -> Form | None:
    """The interval of x < 2, 2 > x and 0 <= x < 2; None of any other relation."""
    if not isinstance(form, Relation) or len(form.sides) > 3:
        return None
    if any(not isinstance(side, Quantity) for side in form.sides) or "=" in form.operators:
        return None
    operators, sides = form.operators, form.sides
    if operators[0] in (">", ">="):
        operators, sides = tuple(TURNED[o] for o in reversed(operators)), sides[::-1]
    if any(operator not in ("<", "<=") for operator in operators):
        return None
    lone = [side.tree[0] == "sym" for side in sides]
    if sum(lone) != 1 or (len(sides) == 3 and not lone[1]):
        return None
    endless = ("const", "inf")
    if len(sides) == 3:
        low, high = sides[0], sides[2]
        ends = "(["[operators[0] == "<="] + ")]"[operators[1] == "<="]
    elif lone[0]:
        low, high, ends = Quantity(("neg", endless)), sides[1], "(" + ")]"[operators[0] == "<="]
    else:
        low, high, ends = sides[0], Quantity(endless), "(["[operators[0] == "<="] + ")"
    return Items(ends, (low, high))


def same_union(a: Form, b: Form) -> bool:
    """Whether two unions of intervals and finite sets hold the same numbers."""
    mine, wanted = _pieces(a), _pieces(b)
    return len(mine) == len(wanted) and all(
        closed == other and equal_values(x, z) and equal_values(y, w)
        for (x, y, closed), (z, w, other) in zip(mine, wanted, strict=True)
    )


def _pieces(form: Form) -> list[tuple[Tree, Tree, str]]:
    """(low, high, brackets) of the parts of a set of numbers, in order, those that touch as one.

    Raises:
        UnreadError: it is no set of numbers.
    """
    found: list[tuple[Tree, Tree, str]] = []
    listed = isinstance(form, Items) and not form.brackets and "and" not in form.word  # x < 1 or x > 2
    union = isinstance(form, Joined) and form.kind == "union"
    parts = form.items if isinstance(form, Items | Joined) and (listed or union) else (form,)
    for part in (interval(part) or part for part in parts):
        if not isinstance(part, Items) or not all(isinstance(item, Quantity) and not item.unit for item in part.items):
            raise UnreadError("no set of numbers")
        if part.brackets == "{}":
            found += [(item.tree, item.tree, "[]") for item in part.items]
        elif len(part.items) == 2 and part.brackets:
            found.append((part.items[0].tree, part.items[1].tree, part.brackets))
        else:
            raise UnreadError("no set of numbers")
    ordered = sorted(found, key=lambda piece: (real(piece[0]), piece[2][0] == "(", real(piece[1])))
    merged = ordered[:1]
    for low, high, ends in ordered[1:]:
        before_low, before_high, before = merged[-1]
        same, gap = equal_values(before_high, low), real(low) - real(before_high)
        if (same and (before[1] == "]" or ends[0] == "[")) or (not same and gap < 0):
            further = real(high) > real(before_high)
            closed = ends[1] if further or (equal_values(high, before_high) and ends[1] == "]") else before[1]
            merged[-1] = (before_low, high if further else before_high, before[0] + closed)
        else:
            merged.append((low, high, ends))
    return merged
