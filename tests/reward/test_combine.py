"""From scores to one reward, and the term that outweighs the others."""

import pytest

from rlexp.compose.schema import Combine, Reward, Term
from rlexp.reward.combine import dominance, total, variances, weights


def reward(combine=Combine.sum, **weighted):
    return Reward(terms={name: Term(file="", weight=w) for name, w in weighted.items()}, combine=combine, gate="a")


@pytest.mark.parametrize(
    ("combine", "a", "b", "expected"),
    [
        (Combine.sum, 1.0, 0.5, 2.0),
        (Combine.sum, 1.0, None, 1.0),  # a term that does not apply is left out
        (Combine.sum, None, None, None),  # nothing applies: no reward, and not 0
        (Combine.gate, 1.0, 0.5, 2.0),
        (Combine.gate, 0.9, 0.5, 0.9),  # the gate does not hold: the other terms do not count
        (Combine.gate, None, 0.5, None),
        (Combine.normalize, 1.0, 0.5, 2.0),  # standardised by the trainer; logged as the sum
    ],
)
def test_terms_are_combined(combine, a, b, expected):
    assert total({"a": [a], "b": [b]}, reward(combine, a=1.0, b=2.0)) == [expected]


def test_a_gate_watches_the_terms_and_trains_on_their_gated_sum():
    assert weights(reward(Combine.sum, a=1.0, b=2.0)) == [1.0, 2.0]
    assert weights(reward(Combine.gate, a=1.0, b=2.0)) == [0.0, 0.0, 1.0]


RANGES = {"a": 1.0, "b": 1.0}


@pytest.mark.parametrize(
    ("a", "b", "weight", "warned"),
    [
        ([0, 1, 0, 1], [1, 0, 0, 1], 1.0, False),  # both count
        ([0, 1, 0, 1], [1, 0, 0, 1], 0.05, True),  # b varies as much, and its weight drowns it
        ([0, 1, 0, 1], [1, 1, 1, 1], 1.0, False),  # b has been learned: it is right that a decides
        ([0, 0, 1, 1], [0, 0, 1, 1], 0.05, False),  # no variance inside a group of two
    ],
)
def test_one_term_that_drowns_the_others_is_named(a, b, weight, warned):
    found = dominance(variances({"a": a, "b": b}, 2), reward(a=1.0, b=weight), RANGES)
    if warned:
        assert found is not None and found[0] > 0.95 and found[1:] == ("a", ["b"])
    else:
        assert found is None or not found[2]


def test_standardised_terms_are_never_said_to_dominate():
    assert dominance({"a": 0.25, "b": 0.25}, reward(Combine.normalize, a=1.0, b=0.01), RANGES) is None


def test_a_variance_is_the_mean_of_those_inside_the_groups():
    assert variances({"a": [0, 2, 0, 4]}, 2) == {"a": (1 + 4) / 2}
    assert variances({"a": [0, 2, None, 4]}, 2) == {"a": 1.0}  # one score alone has none, and does not count
    assert variances({"a": [None, 2, None, 4], "b": []}, 2) == {"a": 0.0, "b": 0.0}
    assert variances({"a": [0, 2, 4, 6, 9, 9]}, 3) == {"a": pytest.approx((8 / 3 + 2) / 2)}


@pytest.mark.parametrize(
    ("spread", "weight", "span", "drowned"),
    [
        (0.25, 0.1, 1.0, ["b"]),  # 0.0025 of 0.2525
        (0.25, 0.3, 1.0, []),  # 0.0225 of 0.2725 is 8%
        (0.0484, 0.1, 1.0, ["b"]),  # a standard deviation of 0.22 of the range varies,
        (0.04, 0.1, 1.0, []),  # one of 0.2 does not
        (0.25, 0.1, 4.0, []),
        (0.25, 0.1, 0.0, []),  # no range is known
    ],
)
def test_drowned_is_what_varies_in_its_range_and_hardly_counts(spread, weight, span, drowned):
    found = dominance({"a": 0.25, "b": spread}, reward(a=1.0, b=weight), {"a": 1.0, "b": span})
    whole = 0.25 + weight**2 * spread
    assert found == (pytest.approx(0.25 / whole), "a", drowned)


def test_one_term_alone_or_none_that_varies_dominates_nothing():
    assert dominance({"a": 0.25}, reward(a=1.0, b=1.0), RANGES) is None
    assert dominance({"a": 0.25, "b": 0.1}, reward(a=1.0, b=0.0), RANGES) is None
    assert dominance({"a": 0.0, "b": 0.0}, reward(a=1.0, b=1.0), RANGES) is None
    assert dominance({"a": 0.1, "b": 0.3}, reward(a=1.0, b=1.0), {})[:2] == (pytest.approx(0.75), "b")


def test_only_terms_that_were_scored_are_summed():
    assert total({"b": [1.0, None]}, reward(a=1.0, b=2.0)) == [2.0, None]
    assert total({"a": [1.0], "b": [1.0]}, reward(Combine.gate, a=0.5, b=2.0)) == [2.5]
