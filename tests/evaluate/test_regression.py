"""What is called forgotten: a claim against a base whose interval lies below 0, of a task that was not trained."""

from __future__ import annotations

import pytest

from rlexp.evaluate.regression import forgotten


def difference(other="run", one="base", low=-0.3, high=-0.1, claimed=True):
    mean = None if low is None else (low + high) / 2
    return {
        "metric": "accuracy",
        "one": one,
        "other": other,
        "claimed": claimed,
        "mean": mean,
        "low": low,
        "high": high,
    }


def test_what_is_worse_than_its_base_beyond_doubt_is_forgotten():
    found = forgotten({"t": [difference()], "u": [difference()]}, ["t"], ["base"])
    assert found == [
        {"task": "t", "subject": "run", "base": "base", "metric": "accuracy", "mean": -0.2, "low": -0.3, "high": -0.1}
    ]


@pytest.mark.parametrize(
    "one",
    [
        difference(high=0.0),
        difference(low=-0.3, high=0.1),
        difference(low=0.1, high=0.3),
        difference(low=None, high=None),
        difference(claimed=False),
        difference(one="another run"),
        difference(other="another base"),
    ],
)
def test_nothing_else_is(one):
    assert forgotten({"t": [one]}, ["t"], ["base", "another base"]) == []
