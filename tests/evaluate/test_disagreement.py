"""Training reward and held-out measure part: said where both are sure, and else not."""

import pytest

from rlexp.evaluate.disagreement import sentence

RISING = [{"step": step, "reward": 0.1 * step + 0.01 * (step % 2)} for step in range(11)]
FALLEN = {0: [0.5] * 20, 4: [1.0] * 20, 10: [0.5 + 0.01 * number for number in range(20)]}


def test_a_reward_that_rises_while_the_held_out_rows_fall_is_said():
    said = sentence(RISING, FALLEN, 4, "correct")
    assert said is not None
    assert (
        "the trained reward went on rising from step 4 to 10 while correct of the held-out rows fell by 0.405" in said
    )
    margins = [{"step": entry["step"], "rewards/margins": entry["reward"]} for entry in RISING]
    assert "the trained rewards/margins went on" in str(sentence(margins, FALLEN, 4, "correct"))


@pytest.mark.parametrize(
    ("logged", "measured", "chosen"),
    [
        ([{**entry, "reward": -entry["reward"]} for entry in RISING], FALLEN, 4),
        ([{**entry, "reward": float(entry["step"] % 2)} for entry in RISING], FALLEN, 4),
        (RISING, {**FALLEN, 10: [1.0, 0.5, *[1.0] * 18]}, 4),
        (RISING, FALLEN, 0),
        (RISING, FALLEN, 10),
        (RISING[:6], FALLEN, 4),
        ([{"step": step, "loss": 0.5} for step in range(11)], FALLEN, 4),
    ],
    ids=["falling", "level", "one row fell", "better than it began", "the last", "two entries", "no reward"],
)
def test_else_nothing_is_said(logged, measured, chosen):
    assert sentence(logged, measured, chosen, "correct") is None
