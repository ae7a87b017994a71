"""What inspect shows, as data."""

import pytest

from rlexp.errors import RunError
from rlexp.evaluate.choice import Choice, choose, conditions
from rlexp.evaluate.samples import SampledGroups, TextSpan, disagreements, grouped, summary

RANGES = {"correct": (0.0, 1.0), "format": (0.0, 1.0)}
CORRECT = [0.0, 1.0, 0.0, 0.0, 1.0, 1.0, None, 1.0]
FORMAT = [0.0, 1.0, 1.0, 0.5, 1.0, 1.0, 0.25, 1.0]
TOKENS = [8, 17, 40, 16, 17, 18, 1, 17]


def drawn(tokens=TOKENS, limit=40):
    """Two groups of four."""
    texts = ["", *(f"text {n}" for n in range(1, 8))]
    return SampledGroups(
        groups=["row 0", "row 1"],
        prompts=[(TextSpan("p"),)] * 2,
        prompt_tokens=[3, 3],
        columns=[{}, {}],
        targets=[(), ()],
        completions=texts,
        pieces=[(TextSpan(text),) for text in texts],
        tokens=list(tokens),
        truncated=[None if length is None else length >= limit for length in tokens],
        scores={"correct": CORRECT, "format": FORMAT},
        rewards=[(c or 0) + f for c, f in zip(CORRECT, FORMAT, strict=True)],
        reasons=[{} for _ in texts],
    )


@pytest.fixture(scope="module")
def run(composed):
    return composed("method.num_generations=4")


def shown(run, *where, sort=None, term=None, **changed):
    groups = grouped(run, drawn(**changed), RANGES, compared=True)
    kept = choose(groups, Choice(conditions(where), sort, term))
    return [(group.name[-1], [sample.number for sample in group.samples]) for group in kept]


@pytest.mark.parametrize(
    ("where", "sort", "term", "expected"),
    [
        ((), None, None, [("0", [1, 2, 3, 4]), ("1", [1, 2, 3, 4])]),
        ((), "worst", None, [("0", [1, 4, 3, 2]), ("1", [3, 1, 2, 4])]),
        ((), "best", None, [("1", [1, 2, 4, 3]), ("0", [2, 3, 4, 1])]),  # three at the top beat one
        ((), None, "correct", [("0", [1, 3, 4, 2]), ("1", [1, 2, 4, 3])]),  # what does not apply comes last
        ((), "disagree", None, [("0", [3, 4, 1, 2]), ("1", [1, 2, 3, 4])]),
        ((), "longest", None, [("0", [3, 2, 4, 1]), ("1", [2, 1, 4, 3])]),
        ((), "shortest", None, [("1", [3, 1, 4, 2]), ("0", [1, 4, 2, 3])]),
        (("correct<1",), None, None, [("0", [1, 3, 4])]),
        (("correct<1", "format>=0.5"), None, None, [("0", [3, 4])]),
        (("cut",), None, None, [("0", [3])]),
        (("empty=true",), None, None, [("0", [1])]),
        (("reward=2",), None, None, [("0", [2]), ("1", [1, 2, 4])]),
        (("tokens>99",), None, None, []),
    ],
)
def test_completions_are_filtered_and_sorted(run, where, sort, term, expected):
    assert shown(run, *where, sort=sort, term=term) == expected


@pytest.mark.parametrize(
    ("sort", "term", "where", "hint"),
    [
        ("wrost", None, (), "sort=worst"),
        ("longest", "correct", (), "sort=worst term=correct"),
        (None, None, ("tokens>3",), "leave it out"),
        ("shortest", None, (), "leave it out"),
        (None, None, ("cut>x",), "leave it out"),
    ],
)
def test_what_cannot_be_asked_says_what_can(run, sort, term, where, hint):
    with pytest.raises(RunError) as raised:
        shown(run, *where, sort=sort, term=term, tokens=[None] * 8)
    assert hint in str(raised.value)


def test_terms_disagree_by_their_ranges_and_silent_terms_say_nothing():
    scores = {"a": [0.0, 1.0, None], "b": [-1.0, -1.0, 0.0], "same": [3.0, 3.0, 3.0]}
    assert disagreements(scores, {"a": (0.0, 2.0), "b": None}) == [0.0, 0.5, 0.0]
    assert disagreements({}, {}) == []


def test_the_summary_counts_everything_that_was_drawn(run):
    groups = grouped(run, drawn(), RANGES, compared=True)
    said = summary(groups, compared=True)
    assert (said.prompts, said.completions, said.truncated, said.empty, said.equal) == (2, 8, 1 / 8, 1 / 8, 0.0)
    assert said.means["correct"] == pytest.approx(4 / 7) and said.means["format"] == pytest.approx(5.75 / 8)
    assert groups[0].mean == pytest.approx(0.875) and not groups[0].equal
    assert summary(grouped(run, drawn(), RANGES, compared=False), compared=False).equal is None
