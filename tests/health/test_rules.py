"""Every health rule fires where it should and stays silent where it should not. Numbers are copied from real runs."""

from __future__ import annotations

import math
from typing import Any

import pytest

from rlexp.compose.schema import Combine, Limits, Reward, Term
from rlexp.errors import RunError
from rlexp.health.rules import RULES, judge, validate
from rlexp.health.window import Sampled, WatchedStep, WatchFacts, Window

NAN = math.nan
RATE = 2e-3
VARIED = {"correct": 0.15, "format": 0.02}


def facts(method: str = "grpo", **other: Any) -> WatchFacts:
    """Of the main job, or of a preference method on the same model."""
    terms = {"correct": Term(file=""), "format": Term(file="")}
    known = {
        "method": method,
        "online": method in ("grpo", "rloo"),
        "learning_rate": RATE,
        "beta": 0.0,
        "max_steps": 60,
        "max_completion_length": 32,
        "num_generations": 8,
        "reward": Reward(terms=terms),
        "ranges": {"correct": 1.0, "format": 1.0},
        "lowest": 0.0,
        "best": 2.0,
        "vocabulary": 384,
        "memory": 8e9,
    }
    return WatchFacts(**{**known, **other})


def sampled(**other: Any) -> Sampled:
    return Sampled(**{"groups": 8, "low": 0.0, "high": 2.0, "variances": VARIED, **other})


def step(number: int, **other: Any) -> WatchedStep:
    """A step of the main job; logged values by name, ``__`` for ``/``, and fields of ``Step`` by theirs."""
    fields = {"sampled": sampled(), "moved": 0.02, "seconds": 0.4, "memory": 1e9}
    fields |= {name: other.pop(name) for name in list(other) if name in fields}
    logs = {
        "loss": -0.0004,
        "grad_norm": 0.188,
        "learning_rate": RATE,
        "reward": 1.62,
        "reward_std": 0.51,
        "entropy": 0.077,
        "completions/clipped_ratio": 0.0,
        "num_tokens": 2000.0 * number,
    }
    if fields["sampled"] is None:
        del logs["reward"], logs["reward_std"]
    return WatchedStep(number, {**logs, **{name.replace("__", "/"): value for name, value in other.items()}}, **fields)


def window(known: WatchFacts, *groups: tuple[int, dict[str, Any]]) -> Window:
    """A window of so many steps of each kind, one kind after the other. A list is one value a step."""
    made = Window(known)
    for count, values in groups:
        for n in range(count):
            own = {name: value[n] if isinstance(value, list) else value for name, value in values.items()}
            made.add(step((made.steps[-1].number if made.steps else 0) + 1, **own))
    return made


def online(*groups: tuple[int, dict[str, Any]], **known: Any) -> Window:
    return window(facts(**known), *groups)


def pairs(*groups: tuple[int, dict[str, Any]], **known: Any) -> Window:
    """Steps of a preference method: nothing is sampled."""
    return window(facts("dpo", **known), *((n, {"sampled": None, **values}) for n, values in groups))


def hacked(watched: float, **known: Any) -> Window:
    """A trained reward that rises while a watched term falls from 0.36 to ``watched``."""
    reward = Reward(terms={"correct": Term(file="", weight=0.0), "padding": Term(file="")})
    early = {"reward": 0.35, "reward_std": 0.1, "rewards__correct__mean": 0.36, "rewards__correct__std": 0.48}
    late = {"reward": 0.95, "reward_std": 0.1, "rewards__correct__mean": watched, "rewards__correct__std": 0.2}
    return online((10, early), (12, late), reward=reward, lowest=0.0, best=1.0, **known)


def drowned() -> Window:
    """Both terms vary, and the weight of one leaves it 3% of the reward's variance."""
    reward = Reward(terms={"correct": Term(file=""), "format": Term(file="", weight=0.3)})
    return online((20, {"sampled": sampled(variances={"correct": 0.2, "format": 0.06})}), reward=reward)


def held_out(*measured: float) -> Window:
    """A trained reward that rises while the held-out one goes as said."""
    made = online((10, {"reward": 0.8, "reward_std": 0.3}), (12, {"reward": 1.8, "reward_std": 0.3}))
    made.held_out = [(5 * n, {"reward": mean}) for n, mean in enumerate(measured, 1)]
    return made


GROWS = [1e9 + 4e6 * n for n in range(55)]
DPO = {"loss": 0.29, "rewards__margins": 1.38, "rewards__accuracies": 0.875, "logps__chosen": -3.2}

FIRES: list[tuple[str, str, Window, float | None]] = [
    # rule, the level it must reach, the window, its stop limit where the default never stops
    ("not_finite", "stop", online((3, {}), (1, {"grad_norm": NAN})), None),  # learning rate 10, step 3
    ("not_finite", "stop", online((1, {"moved": NAN})), None),
    ("not_finite", "stop", pairs((1, DPO), (1, {**DPO, "loss": 8.67, "grad_norm": math.inf})), None),
    ("not_finite", "warn", online((1, {"reward": NAN, "kl": NAN})), 3.0),
    ("weights_jump", "warn", online((1, {"moved": 1.9})), None),  # learning rate 0.1
    ("weights_jump", "stop", online((1, {"moved": 190.0})), None),  # learning rate 10
    ("frozen_adapter", "warn", online((2, {"moved": 2e-11})), None),  # learning rate 1e-12
    ("frozen_adapter", "stop", online((5, {"moved": 2e-11})), None),
    ("frozen_adapter", "stop", pairs((1, {"learning_rate": 0.0, "moved": 0.0}), (5, {"moved": 0.0})), None),
    ("frozen_adapter", "stop", online((5, {"moved": 0.0, "grad_norm": 0.0})), None),  # no gradient arrives
    ("frozen_adapter", "stop", pairs((5, {"moved": 0.0, "grad_norm": 0.0, "rewards__margins": 0.0})), None),
    ("truncated", "warn", online((3, {"completions__clipped_ratio": [0.73, 0.56, 0.87], "reward": 0.14})), None),
    ("truncated", "stop", online((3, {"completions__clipped_ratio": 0.97, "reward": 0.08})), None),
    ("truncated", "warn", online((3, {"completions__clipped_ratio": 1.0, "reward": 1.6})), None),  # and yet they score
    ("empty_completions", "warn", online((2, {"sampled": sampled(empty=0.3)})), None),
    ("empty_completions", "stop", online((2, {"sampled": sampled(empty=1.0)})), None),
    ("repeated_completions", "warn", online((5, {"sampled": sampled(looping=0.6)})), None),
    ("repeated_completions", "stop", online((5, {"sampled": sampled(copied=1.0)})), None),
    ("all_zero", "warn", online((3, {"sampled": sampled(high=0.0), "reward": 0.0})), None),
    ("all_zero", "stop", online((20, {"sampled": sampled(high=0.0), "reward": 0.0})), None),
    ("always_same_reward", "warn", online((3, {"sampled": sampled(low=1.0, high=1.0)})), None),
    ("always_same_reward", "stop", online((20, {"sampled": sampled(low=2.0, high=2.0)})), None),
    ("equal_rewards", "warn", online((10, {"sampled": sampled(equal=0.95)})), None),
    ("equal_rewards", "stop", online((10, {"sampled": sampled(equal=1.0)})), None),
    ("equal_rewards", "warn", online((10, {"sampled": sampled(equal=1.0, groups=1)})), None),  # one prompt a step
    ("reward_collapse", "warn", online((5, {}), (3, {"reward": 0.6})), None),
    ("reward_collapse", "stop", online((1, {"reward": 0.986}), (3, {"reward": [0.08, 0.05, 0.09]})), None),
    ("drowned_term", "warn", drowned(), None),
    ("drowned_term", "stop", drowned(), 0.97),
    ("gradient_explosion", "warn", online((4, {}), (1, {"grad_norm": 12.0})), None),
    ("gradient_explosion", "stop", online((4, {}), (1, {"grad_norm": 548.0})), None),
    ("loss_explosion", "warn", pairs((2, {"loss": 0.69}), (2, {"loss": 1.7})), None),
    ("loss_explosion", "stop", pairs((2, {"loss": 0.75}), (2, {"loss": 7.6})), None),  # sft, learning rate 10
    ("entropy_explosion", "warn", online((1, {"entropy": 0.21}), (2, {"entropy": 3.2})), None),
    ("entropy_explosion", "stop", online((1, {"entropy": 0.21}), (2, {"entropy": [5.1, 5.6]})), None),
    ("entropy_collapse", "warn", online((5, {"entropy": 0.004, "reward": 0.9})), None),
    ("entropy_collapse", "stop", online((5, {"entropy": 3e-9, "reward": 1.63})), None),  # temperature 0.01
    ("kl_spike", "warn", online((3, {"kl": [0.0, 2.96, 6.14]})), None),  # beta 0.04, learning rate 0.05
    ("kl_spike", "stop", online((3, {"kl": [2.96, 6.14, 6.87]})), None),
    ("ratio_explosion", "warn", online((5, {"clip_ratio__region_mean": 0.5})), None),
    ("ratio_explosion", "stop", online((5, {"cispo_clip_ratio": 0.95})), None),
    ("engine_mismatch", "warn", online((3, {"sampling__sampling_logp_difference__mean": 0.3})), None),
    ("engine_mismatch", "stop", online((3, {"sampling__sampling_logp_difference__mean": 2.0})), None),
    (
        "wrong_preference",
        "warn",
        pairs((1, {"rewards__margins": 0.0}), (10, {"rewards__margins": -0.5, "rewards__accuracies": 0.3})),
        None,
    ),
    (
        "wrong_preference",
        "stop",
        pairs((1, {"rewards__margins": 0.0}), (10, {"rewards__margins": -0.5, "rewards__accuracies": 0.05})),
        None,
    ),
    (
        "wrong_preference",
        "stop",
        pairs((1, {"rewards__margins": 0.0}), (10, {"rewards__margins": -0.5})),
        None,
    ),  # kto has no accuracies
    (
        "likelihood_displacement",
        "warn",
        pairs(
            (5, {"logps__chosen": -13, "logps__rejected": -20}), (10, {"logps__chosen": -30, "logps__rejected": -60})
        ),
        None,
    ),
    (
        "likelihood_displacement",
        "stop",
        pairs(
            (5, {"logps__chosen": -13, "logps__rejected": -20}), (10, {"logps__chosen": -60, "logps__rejected": -90})
        ),
        3.0,
    ),
    ("reward_hacking", "warn", hacked(0.12), None),
    ("reward_hacking", "stop", hacked(0.0), None),
    ("reward_hacking", "warn", held_out(0.82, 0.6, 0.4, 0.45), None),
    ("throughput_falling", "warn", online((12, {}), (25, {"seconds": 1.6})), None),
    ("throughput_falling", "stop", online((12, {}), (25, {"seconds": 4.0})), 8.0),
    ("memory_creeping", "warn", online((55, {"memory": GROWS}), max_steps=100_000), None),
    ("memory_creeping", "stop", online((55, {"memory": GROWS}), max_steps=100_000), 5.0),
]


@pytest.mark.parametrize(("rule", "level", "seen", "stop"), FIRES)
def test_a_rule_fires(limits, rule, level, seen, stop):
    limit = Limits(limits[rule].steps, limits[rule].warn, limits[rule].stop if stop is None else stop)
    (finding,) = judge(seen, {rule: limit})
    assert finding.to_json()["level"] == level
    assert finding.message and finding.hint and not finding.message.endswith(".")


SOLVED = {"sampled": sampled(low=2.0, equal=0.0), "reward": 2.0, "reward_std": 0.0, "entropy": 1e-4, "grad_norm": 0.0}
HEALTHY: list[tuple[str, Window]] = [
    ("the main job", online((1, {"reward": 0.986, "entropy": 0.21}), (30, {}))),
    ("its groups become equal late, at the top", online((20, {}), (40, SOLVED))),
    ("a third of its groups is equal", online((60, {"sampled": sampled(equal=0.35, copied=0.3)}))),
    ("the loss is zero: beta is 0", online((30, {"loss": 0.0}))),
    (
        "one step of rewards all equal",
        online((5, {}), (1, {"sampled": sampled(low=1.0, high=1.0, equal=1.0)}), (5, {})),
    ),
    (
        "a reward below zero whose top is zero",
        online((30, {"sampled": sampled(low=-1.0, high=0.0)}), lowest=-1, best=0),
    ),
    ("kl with one outlier of its estimator", online((30, {}), (3, {"kl": [0.17, 1.426, 0.076]}))),
    ("four passes over a batch", online((30, {"clip_ratio__region_mean": 0.119}))),
    ("vLLM in bfloat16", online((30, {"sampling__sampling_logp_difference__mean": 0.02}))),
    (
        "a sparse reward that is away for three steps",
        online((5, {"reward": 0.04, "reward_std": 0.2}), (3, {"reward": 0.0})),
    ),
    ("a watched term that falls a little", hacked(0.33)),
    ("a held-out reward that rises too", held_out(0.82, 1.1, 1.4, 1.7)),
    ("float16 skips an overflow", online((3, {}), (1, {"grad_norm": math.inf}), scales_loss=True)),
    ("a term that applies to no completion", online((3, {"rewards__json__mean": NAN}))),
    ("no variance, so no movement", online((5, {"moved": 0.0, "sampled": sampled(variances={"correct": 0.0})}))),
    ("warming up", online((9, {"learning_rate": RATE / 50, "moved": 1e-9}))),
    ("memory that is freed again", online((55, {"memory": [1e9, 1.4e9] * 27 + [1e9]}), max_steps=100_000)),
    ("memory that settles", online((5, {"memory": 1e9}), (55, {"memory": 1.3e9}), max_steps=100_000)),
    ("longer completions take longer", online((12, {}), (25, {"num_tokens": [24e3 + 8e3 * n for n in range(25)]}))),
    ("a term that is all but learned", online((30, {"sampled": sampled(variances={"correct": 0.2, "format": 0.008})}))),
    ("a standardised reward", online((30, {}), reward=Reward(terms={"a": Term(file="")}, combine=Combine.normalize))),
    (
        "dpo begins at rate 0 with no margin",
        pairs(
            (
                1,
                {
                    "loss": 0.693,
                    "learning_rate": 0.0,
                    "moved": 0.0,
                    "rewards__margins": 0.0,
                    "rewards__accuracies": 0.0,
                },
            ),
            (30, DPO),
        ),
    ),
    ("orpo begins with pairs the wrong way", pairs((10, {"rewards__margins": [-0.09 + n / 200 for n in range(10)]}))),
    ("the chosen rise, the rejected fall", pairs((15, {"logps__chosen": -3.2, "logps__rejected": -21.1, **DPO}))),
    (
        "dpo as the README runs it, chosen a little lower",
        pairs((15, {"logps__chosen": -13.4, "logps__rejected": -17.6})),
    ),
    ("a noisy loss of sft", pairs((2, {"loss": 0.05}), (30, {"loss": 0.3}))),
]


@pytest.mark.parametrize(("name", "seen"), HEALTHY)
def test_no_rule_speaks_of_a_healthy_run(limits, name, seen):
    # After every step, and not only after the last.
    replayed = Window(seen.facts)
    replayed.held_out = seen.held_out
    for one in seen.steps:
        replayed.add(one)
        assert judge(replayed, limits) == []


def test_conf_names_every_rule_and_every_rule_is_seen_to_warn_and_to_stop(limits):
    assert set(limits) == set(RULES)
    for level in ("warn", "stop"):
        assert {rule for rule, seen, *_ in FIRES if seen == level} == set(RULES)
    assert all(rule.causes and rule.shows for rule in RULES.values())


def test_rules_with_too_few_steps_say_nothing(limits):
    assert judge(Window(facts()), limits) == []
    assert judge(online((1, {})), limits) == []


def test_a_rule_without_limits_and_an_absent_rule_never_speak():
    broken = online((1, {"grad_norm": NAN}))
    assert judge(broken, {}) == []
    assert judge(broken, {"not_finite": Limits(steps=1)}) == []


def test_where_two_rules_stop_the_cause_speaks_first(limits):
    found = judge(online((1, {}), (1, {"grad_norm": NAN, "moved": 190.0, "entropy": 5.9})), limits)
    assert [finding.rule for finding in found][:2] == ["not_finite", "weights_jump"]


def test_every_shipped_option_limits_known_rules_and_stops_no_sooner_than_it_warns(composed):
    assert composed("health=off").health.rules == {}
    for option in ("default", "strict"):
        limits = composed(f"health={option}").health.rules
        validate(limits)
        for name, limit in limits.items():
            sign = -1 if RULES[name].low_is_bad else 1
            assert limit.warn is not None and (limit.stop is None or sign * limit.stop >= sign * limit.warn)
    assert composed("health=strict").health.rules["all_zero"].stop == 8


@pytest.mark.parametrize(
    ("limits", "what", "hint"),
    [
        ({"truncatd": Limits()}, "no health rule named 'truncatd'", "health.rules.truncated"),
        ({"truncated": Limits(steps=0)}, "over 0 steps", "1 to"),
        ({"truncated": Limits(steps=999)}, "over 999 steps", "1 to"),
    ],
)
def test_a_rule_that_cannot_be_asked_is_a_mistake(limits, what, hint):
    with pytest.raises(RunError) as caught:
        validate(limits)
    assert what in caught.value.what and hint in (caught.value.hint or "")


@pytest.fixture(scope="module")
def limits(composed):
    """As they are shipped."""
    return composed().health.rules
