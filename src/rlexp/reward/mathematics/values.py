"""Compares formulas by their values: exactly where both are rational, else at 50 and at 100 digits."""

from __future__ import annotations

import math
import zlib
from fractions import Fraction

from rlexp.reward.mathematics.compute import MOST_DIGITS, Size, evaluate
from rlexp.reward.mathematics.forms import Form, Quantity, Tree, UnreadError

POINTS = 5


def equal(a: Tree, b: Tree) -> bool:
    """Whether two formulas have the same values, at fixed points where they have variables."""
    if a == b:
        return True
    names = symbols(a) | symbols(b)
    if not names:
        return equal_values(a, b)
    tried = 0
    for number in range(2 * POINTS):
        where = point(names, number)
        try:
            x, y = substituted(a, where), substituted(b, where)
            if not equal_values(x, y):
                imaginary = holds(a, ("const", "i")) or holds(b, ("const", "i"))
                if imaginary or (_is_real(x) and _is_real(y)):
                    return False
                continue  # roots of negative numbers: one side takes another branch
            tried += 1
        except (UnreadError, ArithmeticError, ValueError):
            continue
        if tried == POINTS:
            return True
    return tried > 1


def point(names: set[str], number: int) -> dict[str, Tree]:
    """A value for each variable: a fixed fraction; all positive first, then all negative, then of either sign."""
    point = {}
    for name in names:
        seed = zlib.crc32(f"{name} {number}".encode())
        value = Fraction(seed % 997 + 3, seed // 997 % 89 + 101)
        point[name] = ("num", -value if number == 1 or (number > 1 and seed >> 20 & 1) else value)
    return point


def substituted(tree: Tree, point: dict[str, Tree]) -> Tree:
    if tree[0] == "sym":
        return point[tree[1]]
    return (tree[0], *(substituted(part, point) if isinstance(part, tuple) else part for part in tree[1:]))


def with_sign(tree: Tree, sign: int) -> Tree:
    if tree[:2] == ("*", ("sign",)):
        rest = with_sign(tree[2], sign)
        return rest if sign == 1 else ("neg", rest)
    return (tree[0], *(with_sign(part, sign) if isinstance(part, tuple) else part for part in tree[1:]))


def holds(tree: Tree, leaf: Tree) -> bool:
    return tree == leaf or any(isinstance(part, tuple) and holds(part, leaf) for part in tree[1:])


def symbols(tree: Tree) -> set[str]:
    if tree[0] == "sym":
        return {tree[1]}
    return {name for part in tree[1:] if isinstance(part, tuple) for name in symbols(part)}


def equal_values(a: Tree, b: Tree) -> bool:
    """Whether two formulas without variables have the same value.

    Raises:
        UnreadError, ArithmeticError, ValueError: one has no value, or none that is worth computing.
    """
    ends = _endless(a), _endless(b)
    if any(ends):
        return ends[0] == ends[1]
    x, y = evaluate(a, 50), evaluate(b, 50)
    if isinstance(x, Fraction) and isinstance(y, Fraction):
        return x == y
    return is_zero(("+", a, ("neg", b)))


def is_zero(tree: Tree) -> bool:
    """A difference that is none shrinks with every digit more; a real one stays what it is."""
    size = Size()
    coarse = evaluate(tree, 50, size)
    if isinstance(coarse, Fraction):
        return not coarse
    more = int(size.digits)
    if more > MOST_DIGITS:
        raise UnreadError("too large")
    coarse, fine = evaluate(tree, 50 + more), evaluate(tree, 100 + 2 * more)
    return not coarse or abs(fine - coarse) > abs(coarse) / 1000


def _endless(tree: Tree) -> int:
    """1 of infinity, -1 of minus infinity, else 0."""
    if tree[0] == "neg":
        return -_endless(tree[1])
    if tree == ("const", "inf"):
        return 1
    if holds(tree, ("const", "inf")):
        raise UnreadError("infinity in a formula")
    return 0


def real(tree: Tree) -> float:
    """A value for sorting."""
    if end := _endless(tree):
        return end * math.inf
    if symbols(tree):
        raise UnreadError("a variable")
    value = evaluate(tree, 50)
    return float(value if isinstance(value, Fraction) else value.real)


def _is_real(tree: Tree) -> bool:
    value = evaluate(tree, 50)
    return isinstance(value, Fraction) or abs(value.imag) < 1e-30 * (1 + abs(value))


def require_rounds(exact: Form, rounded: Form) -> None:
    """Of "pi = 3.14 or so" the exact value counts; a rounded one that does not round it is another answer."""
    if not (isinstance(exact, Quantity) and isinstance(rounded, Quantity)) or rounded.tree[0] not in ("num", "neg"):
        raise UnreadError("about")
    value, near = real(exact.tree), real(rounded.tree)
    digits = next((d for d in range(16) if round(near, d) == near), 16)
    if not abs(value - near) <= 0.51 * 10.0**-digits:
        raise UnreadError("about another value")
