"""Facts of completions, and what a window keeps."""

import dataclasses
import math

import pytest

from rlexp.compose.schema import Combine, Reward, Term
from rlexp.health.window import FIRST, KEPT, WatchedStep, WatchFacts, Window, facts, loops, sampled
from rlexp.reward.rubric import Batch

KNOWN = WatchFacts("grpo", True, 1e-3, 0.0, 60, 32, 2, Reward(terms={"a": Term(file=""), "b": Term(file="")}))


def batch(completions, rewards, **scores):
    return Batch(1, ["p"] * len(completions), completions, {}, scores or {"a": rewards}, rewards)


@pytest.mark.parametrize(
    ("completions", "rewards", "seen"),
    [
        (["x", "y", "z", "w"], [0.0, 1.0, 0.0, 1.0], {"equal": 0.0, "copied": 0.0, "empty": 0.0}),
        (["x", "x", "z", "w"], [0.0, 0.0, 0.0, 1.0], {"equal": 0.5, "copied": 0.5}),  # one group of two is equal
        (["x", "x", "z", "z"], [1.0, 1.0, 1.0, 1.0], {"equal": 0.0, "copied": 0.0}),  # solved: nothing is wrong
        (["", " \n", "z", "w"], [0.0, 0.0, 0.0, 1.0], {"empty": 0.5, "equal": 0.5}),
        (["x", "y", "z", "w"], [None, None, 0.0, 1.0], {"low": 0.0, "high": 1.0}),  # no term applies to two of them
    ],
)
def test_shares_of_a_step(completions, rewards, seen):
    found = sampled([batch(completions, rewards)], KNOWN, highest=1.0)
    assert {name: getattr(found, name) for name in seen} == seen


def test_groups_that_differ_only_in_their_terms_are_unequal_where_terms_are_standardised():
    crossed = batch(["x", "y"], [1.0, 1.0], a=[1.0, 0.0], b=[0.0, 1.0])
    assert sampled([crossed], KNOWN, 2.0).equal == 1.0
    standardised = dataclasses.replace(KNOWN.reward, combine=Combine.normalize)
    assert sampled([crossed], dataclasses.replace(KNOWN, reward=standardised), 2.0).equal == 0.0


def test_a_step_whose_completions_no_term_applies_to_has_no_facts():
    assert sampled([batch(["x", "y"], [None, None])], KNOWN, 1.0) is None


@pytest.mark.parametrize(
    ("text", "looping"),
    [
        ("<think>31 + 27 = 58</think><answer>58</answer>", False),
        ("the the the " * 100, True),
        ("!" * 32, True),
        ("", False),
        ("| a | b |\n" + "\n".join(f"| {n * 7919 % 1000} | {n * 104729 % 1000} |" for n in range(60)), False),
    ],
)
def test_a_completion_that_repeats_itself_is_told_from_a_table(text, looping):
    assert loops(text) == looping


def test_a_window_is_bounded_and_keeps_its_beginning():
    made = Window(KNOWN)
    for number in range(1, 200):
        made.add(WatchedStep(number, {"reward": 1.0, "entropy": math.nan}))
    assert len(made.steps) == KEPT and len(made.first) == FIRST
    assert made.first[0].number == 1 and made.steps[-1].number == 199
    assert made.values("entropy") == [] and made.mean("reward", 5) == 1.0 and made.mean("reward", KEPT + 1) is None


def test_the_best_reward_so_far_is_a_mean_of_steps_before_the_last():
    made = Window(KNOWN)
    for reward in (1.0, 2.0, 3.0, 0.0, 0.0, 0.0):
        made.add(WatchedStep(1, {"reward": reward}))
    assert made.highest == 2.0


def test_the_range_of_a_reward_is_known_where_its_trained_terms_declare_theirs(composed, root):
    from rlexp.inputs import reward_source

    run = composed("reward=format+correct+length", "reward.terms.correct.weight=2", "reward.terms.length.weight=0")
    sources = {name: reward_source.read(root, term.file) for name, term in run.reward.terms.items()}
    known = facts(run, sources)
    assert (known.lowest, known.best) == (0.0, 3.0)
    undeclared = {name: dataclasses.replace(source, bounds=None) for name, source in sources.items()}
    assert facts(run, undeclared).best is None
