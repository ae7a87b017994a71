"""Ranges of numbers: their ends, their words, and that every number has one."""

import dataclasses
import math

import pytest

from rlexp.compose.methods import METHODS
from rlexp.compose.ranges import ARGUMENTS, Range, named, ranged, require, require_fields
from rlexp.errors import RunError
from rlexp.shapes import NAME


@pytest.mark.parametrize(
    ("allowed", "inside", "outside", "words"),
    [
        (Range(), (0, -1e9), (math.inf, math.nan), ""),
        (Range(0), (0, 1e9), (-1e-9, math.inf), "at least 0"),
        (Range(0, above=True), (1e-9,), (0, -1), "above 0"),
        (Range(0, 1), (0, 1, 0.5), (-0.1, 1.1), "from 0 to 1"),
        (Range(0, 1, above=True), (1,), (0,), "above 0 and at most 1"),
        (Range(0, 1, below=True), (0,), (1,), "at least 0 and below 1"),
        (Range(0, 2**32 - 1), (0, 2**32 - 1), (-1, 2**32), "from 0 to 4294967295"),
        (Range(1, 2**31 - 1), (1, 2**31 - 1), (0, 2**31), "at least 1"),
    ],
)
def test_what_lies_inside(allowed, inside, outside, words):
    assert all(map(allowed.holds, inside)) and not any(map(allowed.holds, outside))
    assert str(allowed) == words


@pytest.mark.parametrize(
    ("value", "allowed", "hint"),
    [
        (1.5, Range(0, 1), "type a.b=1 (from 0 to 1)"),
        (-1, Range(0, 1), "type a.b=0 (from 0 to 1)"),
        (-1, Range(0, above=True), "type a.b=NUMBER, above 0"),
        (math.nan, Range(), "type a.b=NUMBER, a finite one"),
        (math.nan, Range(0, 1), "type a.b=NUMBER, from 0 to 1"),
    ],
)
def test_the_hint_is_the_nearest_end_that_is_inside(value, allowed, hint):
    with pytest.raises(RunError) as caught:
        require(value, allowed, "a.b")
    assert caught.value.hint == hint and caught.value.what == f"a.b is {value}"


@dataclasses.dataclass
class Inner:
    share: float = ranged(0.5, Range(0, 1))
    name: str = named("a", NAME)


@dataclasses.dataclass
class Outer:
    parts: dict = dataclasses.field(default_factory=lambda: {"x": Inner()})
    rates: dict = dataclasses.field(default_factory=dict, metadata={"range": Range(0, above=True)})
    free: float = 0.0
    flag: bool = True


def test_fields_are_held_at_any_depth():
    require_fields(Outer())
    for outer, where in (
        (Outer(parts={"x": Inner(share=2)}), "parts.x.share"),
        (Outer(parts={"x": Inner(name="../x")}), "parts.x.name"),
        (Outer(rates={"grpo": 0.0}), "rates.grpo"),
        (Outer(free=math.nan), "free"),
    ):
        with pytest.raises(RunError) as caught:
            require_fields(outer)
        assert caught.value.where == where


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
def test_every_number_that_can_be_typed_has_a_range(method):
    numbers = {name for name, entry in method.arguments.items() if entry["type"] in ("int", "float")}
    assert numbers - ARGUMENTS.keys() - method.unserved.keys() == set()


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
def test_trls_defaults_are_inside(method):
    for name, entry in method.arguments.items():
        if isinstance(entry["default"], int | float) and not isinstance(entry["default"], bool):
            assert method.range_of(name).holds(entry["default"]), name
