"""What the smoke steps must show: every rule by table."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from rlexp.preflight.smoke import verdicts
from rlexp.preflight.smoke.facts import SmokeFacts, SmokeStep
from rlexp.verdict import Level

LOGS = {"loss": 0.0, "grad_norm": 0.2, "reward": 0.5, "completions/clipped_ratio": 0.0, "completions/mean_length": 9.0}
STEP = SmokeStep(LOGS, rewards=[0.0, 1.0, 1.0, 1.0], groups=2, unequal=1)
FACTS = SmokeFacts([STEP] * 6, True, 1e-3, True, 32, True, 1e-3, 2)
OFFLINE = SmokeFacts([SmokeStep({"loss": 0.7, "grad_norm": 1.0})] * 6, False, 1e-3, True, None, False, 1e-3, 1)


def steps(*changes: dict) -> list[SmokeStep]:
    """Six healthy steps, the last ones changed."""
    return [STEP] * (6 - len(changes)) + [replace(STEP, **change) for change in changes]


def every(**change: object) -> list[SmokeStep]:
    return [replace(STEP, **change)] * 6


def logged(**values: float) -> dict:
    return {"logs": {**LOGS, **values}}


@pytest.mark.parametrize("facts", [FACTS, OFFLINE], ids=["online", "offline"])
def test_a_healthy_smoke_passes_every_check(facts):
    assert {verdict.level for verdict in verdicts.verdicts(facts)} == {Level.passed}


def case(name: str, level: Level, said: str, facts: SmokeFacts = FACTS, **change: object) -> object:
    """One rule's verdict on facts that differ from healthy ones in what is given."""
    return pytest.param(replace(facts, **change), f"smoke.{name}", level, said, id=f"{name}: {said}")


CUT = "completions/clipped_ratio"
SILENT = every(terms={"correct": [0.0, 0.0, None, 0.0], "format": [0.0, 1.0, 1.0, 1.0], "off": [None] * 4})
ZERO, ONES = every(rewards=[0.0] * 4, unequal=0), every(rewards=[1.0] * 4, unequal=0)
BY_PROMPT = every(rewards=[-1.0, -1.0, 1.0, 1.0], unequal=0)
EXPLODING = [*OFFLINE.steps[:4], SmokeStep({"loss": 9.0}), SmokeStep({"loss": 9.0})]
FORCED = {"forced": True, "rewards": [0.0] * 4, "empty": 4}
FAILED, WARNS, PASSED, SKIPPED = Level.failed, Level.warning, Level.passed, Level.skipped


@pytest.mark.parametrize(
    ("facts", "name", "level", "said"),
    [
        case("finite", FAILED, "loss is nan at smoke step 6", steps=steps(logged(loss=math.nan))),
        case("finite", FAILED, "reward is inf at smoke step 5", steps=steps(logged(reward=math.inf), {})),
        case("finite", FAILED, "loss is nan at smoke step 1", steps=every(**logged(loss=math.nan))),
        case("finite", FAILED, "weights are no numbers", finite=False),
        case("silent_terms", WARNS, "correct is 0 on all 18 completions, off applies to none of them", steps=SILENT),
        case("silent_terms", SKIPPED, "no reward but 0", steps=ZERO),
        case("empty", FAILED, "24 of 24 completions are empty", steps=every(empty=4)),
        case("empty", WARNS, "6 of 24", steps=every(empty=1)),
        # The step that was driven to full length says nothing of what the model does.
        case("empty", PASSED, "0 of 20", steps=steps(FORCED)),
        case("truncated", FAILED, "100% of the completions were cut", steps=every(**logged(**{CUT: 1.0}))),
        case("truncated", WARNS, "60%", steps=every(**logged(**{CUT: 0.6}))),
        case("all_zero", FAILED, "all 24 rewards are 0", steps=ZERO),
        case("all_zero", FAILED, "no term of the reward applied", steps=every(rewards=[None] * 4, unequal=0)),
        case("variance", SKIPPED, "no reward", steps=ZERO),
        case("variance", FAILED, "every one of 12 groups", steps=ONES),
        case("variance", FAILED, "each of them 1:", steps=ONES),
        case("variance", FAILED, "equal rewards:", steps=BY_PROMPT),
        # One group of all is enough: a hard task is no broken one.
        case("variance", PASSED, "1 of 14 groups", steps=[*ZERO, STEP]),
        case("adapter_moved", FAILED, "moved by 2e-11 at most in 6 steps", moved=2e-11),
        case("adapter_moved", SKIPPED, "no advantage", moved=0.0, steps=ONES),
        case("adapter_moved", FAILED, "method.learning_rate=0.001", facts=OFFLINE, moved=0.0),
        case("adapter_moved", PASSED, "6e-06", moved=6e-6),
        case("signal", FAILED, "0.75 to 0 within 6 steps", steps=steps(*[{"rewards": [0.0] * 4}] * 2)),
        case("signal", PASSED, "0.75 to 0.5", steps=steps(*[{"rewards": [0.5] * 4}] * 2)),
        case("signal", FAILED, "0.7 to 9", facts=OFFLINE, steps=EXPLODING),
        case("signal", FAILED, "logged no loss", facts=OFFLINE, steps=[SmokeStep({})]),
        case("full_length", WARNS, "the peak of memory may lie higher", full=False),
    ],
)
def test_what_is_wrong_is_named_by_its_own_rule(facts, name, level, said):
    verdict = next(verdict for verdict in verdicts.verdicts(facts) if verdict.name == name)
    assert verdict.level is level and said in verdict.message


def test_a_reward_that_falls_far_beyond_its_spread_has_collapsed():
    high = replace(STEP, rewards=[2.0, 2.0, 1.0, 2.0] * 8)
    collapsed = replace(FACTS, steps=[high, high, STEP, STEP, *[replace(STEP, rewards=[0.0] * 32)] * 2])
    assert verdicts.signal(collapsed).level is Level.failed
    drifting = replace(FACTS, steps=[high, high, STEP, STEP, *[replace(STEP, rewards=[1.5] * 32)] * 2])
    assert verdicts.signal(drifting).level is Level.passed


def test_every_failure_says_what_to_type():
    broken = replace(
        FACTS, steps=every(rewards=[0.0] * 4, empty=4, unequal=0, logs={**LOGS, "completions/clipped_ratio": 1.0})
    )
    failed = [verdict for verdict in verdicts.verdicts(broken) if verdict.level is Level.failed]
    assert [verdict.name for verdict in failed] == ["smoke.empty", "smoke.truncated", "smoke.all_zero"]
    assert all("preflight.smoke=never" in (verdict.hint or "") for verdict in failed)


def test_the_summary_leaves_the_forced_step_out():
    facts = replace(FACTS, steps=[STEP, replace(STEP, forced=True, rewards=[9.0] * 4), STEP])
    assert verdicts.summary(facts)["reward"] == [0.75, 0.75]
    assert verdicts.summary(OFFLINE)["loss"] == [0.7, 0.7]


def test_a_first_loss_that_is_no_number_is_not_laid_to_the_learning_rate():
    first, later = (
        verdicts.finite(replace(FACTS, steps=every(**logged(loss=math.nan))[:1])),
        verdicts.finite(replace(FACTS, steps=steps(logged(loss=math.nan)))),
    )
    assert "rows" in first.where and "method.learning_rate=" not in first.hint
    assert "method.learning_rate=" in later.hint
