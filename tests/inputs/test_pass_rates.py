"""Pass rates: counted, in a histogram, between two bounds."""

import pytest

from rlexp.inputs.pass_rates import Rate, all_equal, between, histogram, in_words, rate_of


@pytest.mark.parametrize(
    ("scores", "at", "known", "share"),
    [
        ([1.0, 0.0, 1.0, 0.5], 1.0, 4, 0.5),
        ([1.0, 0.0, 1.0, 0.5], 0.5, 4, 0.75),
        ([None, 0.0, 1.0, None], 1.0, 2, 0.5),
        ([None, None], 1.0, 0, None),
    ],
)
def test_a_rate_is_the_share_of_the_scores_that_are_high_enough(scores, at, known, share):
    found = rate_of(scores, at)
    assert (found.known, found.share) == (known, share)


@pytest.mark.parametrize("n", [1, 3, 7, 8, 10, 16, 100])
def test_every_rate_lies_in_the_part_that_says_so(n):
    for passed in range(n + 1):
        share = Rate(n, passed).share
        (part,) = [part for part in histogram([share]) if part.rows]
        assert part.low == share == part.high if passed in (0, n) else part.low < share <= part.high, (passed, part)


def test_a_histogram_has_none_right_ten_parts_and_every_one_right():
    parts = histogram([0.0, 0.1, 0.125, 0.7, 0.95, 1.0, 1.0, None])
    assert [part.name for part in parts][:2] + [part.name for part in parts][-2:] == ["0", "(0, 0.1]", "(0.9, 1)", "1"]
    assert [part.rows for part in parts] == [1, 1, 1, 0, 0, 0, 0, 1, 0, 0, 1, 2]
    assert in_words([0.0, 0.1, None]) == "0: 1, (0, 0.1]: 1" and in_words([None]) == "no row has a rate"


def test_the_bounds_belong_to_what_lies_between_and_unknown_rates_do_not():
    rates = [0.0, 0.1, None, 0.5, 0.9, 1.0]
    assert between(rates, 0.1, 0.9) == (1, 3, 4) and between(rates, 0.0, 1.0) == (0, 1, 3, 4, 5)
    assert between(rates, 0.2, 0.3) == () and all_equal(rates) == 2
