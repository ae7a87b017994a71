"""The value of a formula without variables: a fraction where all of it is rational, else a number of mpmath."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

from rlexp.reward.mathematics.forms import Tree, UnreadError

MOST_BITS = 100_000
"""An exact number beyond that is not computed."""
MOST_GAMMA = 1000
"""The factorial of a fraction beyond that is not computed."""
MOST_DIGITS = 6000
"""Size of the numbers that are computed with floating point, in decimal digits."""


class Size:
    """The largest number of digits on either side of the point of what was computed on the way."""

    digits = 0.0


def evaluate(tree: Tree, digits: int, size: Size | None = None) -> Any:
    """The value: a Fraction where all of it is rational, else one of mpmath with so many digits."""
    from mpmath import mp

    with mp.workdps(digits):
        return value(tree, mp, size or Size())


def value(tree: Tree, mp: Any, size: Size) -> Any:
    kind = tree[0]
    if kind == "num":
        return tree[1]
    if kind == "const":
        if tree[1] == "inf":
            raise UnreadError("infinity")
        return {"pi": mp.pi, "e": mp.e, "i": mp.j}[tree[1]] * mp.one
    if kind == "sym":
        raise UnreadError("a variable")
    parts = [value(part, mp, size) for part in tree[1:]]
    if kind in RATIONAL and all(isinstance(part, Fraction) for part in parts):
        found = RATIONAL[kind](*parts)
        if found is not None:
            bits = max(found.numerator.bit_length(), found.denominator.bit_length())
            if bits > MOST_BITS:
                raise UnreadError("too large")
            return found
    numbers = [mp.mpf(part.numerator) / part.denominator if isinstance(part, Fraction) else part for part in parts]
    found = _irrational(kind, numbers, mp)
    for number in (*numbers, found):
        if number:
            size.digits = max(size.digits, abs(mp.mag(number)) * math.log10(2))
    if size.digits > MOST_DIGITS:
        raise UnreadError("too large")
    return found


def _power(base: Fraction, exponent: Fraction) -> Fraction | None:
    """An exact power, also of a perfect square; None where it is irrational or complex."""
    if exponent.denominator > 1:
        if base < 0 or exponent.denominator > 64 or max(base.numerator, base.denominator) > 10**300:
            return None
        roots = [_root(number, exponent.denominator) for number in (base.numerator, base.denominator)]
        if None in roots:
            return None
        base, exponent = Fraction(roots[0], roots[1]), Fraction(exponent.numerator)  # type: ignore[arg-type]
    bits = max(base.numerator.bit_length(), base.denominator.bit_length())
    if bits > 1 and bits * abs(exponent) > MOST_BITS:
        raise UnreadError("too large")
    return Fraction(base ** int(exponent))


def _root(number: int, degree: int) -> int | None:
    near = round(number ** (1 / degree)) if number < 10**15 else 0
    root = math.isqrt(number) if degree == 2 else near
    return root if root**degree == number else None


def _factorial(n: Fraction) -> Fraction | None:
    if n.denominator > 1 and abs(n) < MOST_GAMMA:
        return None
    if n.denominator > 1 or not 0 <= n <= 5000:
        raise UnreadError("a factorial")
    return Fraction(math.factorial(int(n)))


def _binomial(n: Fraction, k: Fraction) -> Fraction | None:
    if max(n.denominator, k.denominator) > 1 and max(abs(n), abs(k)) < MOST_GAMMA:
        return None
    if n.denominator > 1 or k.denominator > 1 or not 0 <= n <= 20_000 or k < 0:
        raise UnreadError("a binomial coefficient")
    return Fraction(math.comb(int(n), int(k)))


RATIONAL: dict[str, Callable[..., Fraction | None]] = {
    "+": lambda a, b: a + b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b,
    "neg": lambda a: -a,
    "^": _power,
    "pct": lambda a: a / 100,
    "abs": abs,
    "floor": lambda a: Fraction(math.floor(a)),
    "ceil": lambda a: Fraction(math.ceil(a)),
    "factorial": _factorial,
    "binom": _binomial,
}


def _irrational(kind: str, numbers: list[Any], mp: Any) -> Any:
    a, *rest = numbers
    if kind in ("+", "*", "/"):
        return a + rest[0] if kind == "+" else a * rest[0] if kind == "*" else a / rest[0]
    if kind == "^":
        if a and abs(rest[0]) * abs(mp.mag(a)) * math.log10(2) > MOST_DIGITS:
            raise UnreadError("too large")
        return mp.power(a, rest[0])
    if kind in ("neg", "pct", "deg"):
        return -a if kind == "neg" else a / 100 if kind == "pct" else a * mp.pi / 180
    if kind in ("factorial", "binom"):
        if any(abs(number) > MOST_GAMMA for number in numbers):
            raise UnreadError(kind)
        return mp.factorial(a) if kind == "factorial" else mp.binomial(a, rest[0])
    if abs(a) > 10**9 or (kind in ("sinh", "cosh", "tanh") and abs(a) > 5000):
        raise UnreadError(kind)
    named = {"arcsin": "asin", "arccos": "acos", "arctan": "atan", "abs": "fabs"}
    return getattr(mp, named.get(kind, kind))(a)
