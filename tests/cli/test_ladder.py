"""From a command line to the rungs of a ladder."""

from __future__ import annotations

import pytest

from rlexp.cli.ladder import rung_overrides, validate, with_defaults
from rlexp.compose.points import CommandLine
from rlexp.errors import RunError

TERMS = ["format", "correct", "length"]


@pytest.mark.parametrize(
    ("overrides", "rung", "made"),
    [
        (["seed=1", "reward=format+correct+length"], TERMS[:1], ["seed=1", "reward=format"]),
        (["reward.terms.length.weight=2"], TERMS[:2], ["reward=format+correct"]),
        (["+reward.terms.length.params.limit=9"], TERMS[:2], ["reward=format+correct"]),
        (
            ["reward.terms.length.weight=2", "reward.terms.format.weight=3"],
            TERMS,
            ["reward.terms.length.weight=2", "reward.terms.format.weight=3", "reward=format+correct+length"],
        ),
        (["hydra.sweep.dir=multirun/x"], TERMS[:1], ["reward=format"]),
    ],
)
def test_a_rung_is_told_nothing_of_terms_it_does_not_have(overrides, rung, made):
    assert rung_overrides(overrides, TERMS, rung) == made


def test_what_is_typed_goes_before_the_short_defaults():
    typed = ["method.max_steps=5", "reward=format+correct"]
    assert with_defaults(typed) == ["held_out.samples=0", "preflight.smoke=never", *typed]


def test_the_terms_are_added_in_the_order_typed_also_by_an_experiment(root):
    assert CommandLine(root, ["reward=length+format+correct"]).choice("reward") == "length+format+correct"
    assert CommandLine(root, []).choice("reward") == "format+correct"


@pytest.mark.parametrize(
    ("overrides", "terms", "what", "hint"),
    [
        (["reward=format"], ["format"], "one term format", "reward=format+ANOTHER"),
        (["method=dpo", "dataset=arithmetic_preferences"], ["format", "correct"], "trains on no reward", "method=grpo"),
        (
            ["reward=correct+format+length", "reward.combine=gate"],
            ["correct", "format", "length"],
            "the gate's term format comes after correct",
            "reward=format+correct+length",
        ),
    ],
)
def test_a_reward_that_cannot_be_climbed_is_refused(composed, overrides, terms, what, hint):
    with pytest.raises(RunError, match=what) as caught:
        validate(composed(*overrides), terms)
    assert hint in (caught.value.hint or "")


def test_a_gate_that_comes_first_can_be_climbed(composed):
    validate(composed("reward=format+correct", "reward.combine=gate"), ["format", "correct"])
