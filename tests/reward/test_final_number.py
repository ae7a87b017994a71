"""The last number with the unit behind it, beside the number and the unit that are wanted."""

import pytest

from rlexp.inputs.script import load_script
from tests.conftest import ROOT

PAID = [
    ("12 km", "12"),
    ("12 km", "so 12 kilometers"),
    ("12 km", r"$12 \text{ km}$"),
    ("12 km", "It is 12 in total, of those that we saw."),
    ("12 km", "12 and done"),
    ("12 km", "**12** km"),
    ("12", "12 m"),
    ("12 mph", "12 miles an hour"),
    (r"12 \text{ ft}^2", "12 square feet"),
    (r"12\text{ cm}^2", "12 cm²"),
    (r"12\%", "12 percent"),
    (r"90^\circ", "90 degrees"),
    (r"90^\circ", r"$90^{\circ}$"),
    ("$12.00", "It costs $12."),
    ("$12.00", "It costs 12 dollars"),
    ("12 apples", "12 apples"),
    ("12 apples", "12 of them"),
]
UNPAID = [
    ("12 km", "12 m"),
    ("12 km", r"$12 \text{ m}$"),
    ("12 km", "12 km/h"),
    ("12 km", "12-mile walk"),
    (r"12 \text{ ft}^2", "12 feet"),
    (r"12\%", "12 km"),
    ("$12.00", "It costs 12 euros"),
    ("12 apples", "12 km"),
    ("2 hours", "2 minutes."),
]


@pytest.mark.parametrize(("gold", "completion"), PAID)
def test_the_same_unit_or_none_is_right(gold, completion):
    assert load_script(ROOT / "rewards/final_number.py").score([completion], [gold]) == [1.0]


@pytest.mark.parametrize(("gold", "completion"), UNPAID)
def test_another_unit_is_wrong(gold, completion):
    assert load_script(ROOT / "rewards/final_number.py").score([completion], [gold]) == [0.0]
