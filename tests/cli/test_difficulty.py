"""The words of ``difficulty``, and what is refused before anything is loaded."""

import pytest

from rlexp.cli.difficulty_words import Words, read_words, term_of
from rlexp.errors import RunError


def test_own_options_are_taken_and_the_rest_is_hydras():
    assert read_words(["n=4", "dataset=gcd", "at=0.5", "term=format", "rows=9", "-m"]) == Words(
        ["dataset=gcd", "-m"], 4, "format", 0.5, 9
    )
    assert read_words([]) == Words([], 8, None, 1.0, None)


@pytest.mark.parametrize(
    ("word", "what", "hint"),
    [
        ("n=0", "'0' is no number from 1 to 1024", "type n=8"),
        ("n=2000", "no number from 1 to 1024", "type n=8"),
        ("n=", "no number", "type n=8"),
        ("rows=-3", "no number", "type rows=100"),
        ("at=high", "'high' is no number", "type at=1.0"),
        ("at=nan", "'nan' is no number", "type at=1.0"),
        ("terms=format", "no option terms", "did you mean term=format?"),
        ("row=3", "no option row", "did you mean rows=3?"),
    ],
)
def test_a_word_that_is_none_is_named(word, what, hint):
    with pytest.raises(RunError, match=what) as caught:
        read_words([word])
    assert caught.value.hint == hint


@pytest.mark.parametrize(
    ("typed", "terms", "found"),
    [
        (None, ["format", "correct"], "correct"),
        (None, ["exact"], "exact"),
        ("format", ["format", "correct"], "format"),
    ],
)
def test_the_term_is_the_typed_one_or_the_one_that_is_meant(typed, terms, found):
    assert term_of(typed, terms) == found


@pytest.mark.parametrize(
    ("typed", "terms", "what", "hint"),
    [
        (None, ["format", "length"], "which of format, length", "type term=format"),
        (None, [], "no reward", "reward=format\\+correct"),
        ("corect", ["format", "correct"], "no term corect: format, correct", "type term=correct"),
    ],
)
def test_a_term_that_is_not_there_or_not_clear_is_named(typed, terms, what, hint):
    with pytest.raises(RunError, match=what) as caught:
        term_of(typed, terms)
    assert hint.replace("\\", "") in caught.value.hint
