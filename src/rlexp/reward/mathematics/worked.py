"""Whether a number is worked out: digits, a fraction, a power; and the questions that are not."""

from __future__ import annotations

from fractions import Fraction

from rlexp.reward.mathematics.forms import Quantity, Tree
from rlexp.reward.mathematics.units import changes_the_number
from rlexp.reward.mathematics.values import equal


def same_quantity(a: Quantity, b: Quantity) -> bool:
    """The same value and unit, ``a`` given and ``b`` wanted: a number wants one worked out, and never is a question
    worked out for the wanted one, whose numbers must be given as such."""
    if question(b.tree):
        return _same_units(a, b) and a.unit == b.unit and _ordered(a.tree) == _ordered(b.tree)
    if is_worked(b.tree) and not is_worked(a.tree):
        return False
    return same_value(a, b)


def same_value(a: Quantity, b: Quantity) -> bool:
    """The same value and unit, worked out or not; one may leave a plain unit out."""
    if not _same_units(a, b):
        return False
    if a.unit == b.unit or "%" not in (a.unit, b.unit):
        return equal(a.tree, b.tree)
    share = ("/", a.tree, ("num", Fraction(100))) if a.unit else a.tree
    other = ("/", b.tree, ("num", Fraction(100))) if b.unit else b.tree
    return equal(a.tree, b.tree) or equal(share, other)


def _same_units(a: Quantity, b: Quantity) -> bool:
    return a.unit == b.unit or (not (a.unit and b.unit) and not changes_the_number(a.unit or b.unit))


def is_worked(tree: Tree) -> bool:
    """A number as it is written: digits, a fraction of such, a whole power."""
    if tree[0] in ("neg", "pct", "/"):
        return all(map(is_worked, tree[1:]))
    if tree[0] == "^":
        power = tree[2][1] if tree[2][0] == "neg" else tree[2]
        return is_worked(tree[1]) and power[0] == "num" and power[1].denominator == 1
    return bool(tree[0] == "num")


def question(tree: Tree) -> bool:
    """A sum or a product of plain numbers, as 3 + 2 and 10 - 8."""
    if tree[0] == "neg":
        return question(tree[1])
    return tree[0] in ("+", "*") and _plain_numbers(tree)


def _plain_numbers(tree: Tree) -> bool:
    if tree[0] in ("+", "*", "/", "neg"):
        return all(map(_plain_numbers, tree[1:]))
    return is_worked(tree)


def _ordered(tree: Tree) -> Tree:
    """The same formula with the operands of each sum and product in one order."""
    if tree[0] in ("+", "*"):
        return (tree[0], *sorted(_operands(tree, tree[0]), key=repr))
    return (tree[0], *(_ordered(part) if isinstance(part, tuple) else part for part in tree[1:]))


def _operands(tree: Tree, kind: str) -> list[Tree]:
    return [x for part in tree[1:] for x in _operands(part, kind)] if tree[0] == kind else [_ordered(tree)]
