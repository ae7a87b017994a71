"""Losses that are taken over a pass need the whole step in one."""

import pytest

from rlexp.compose import whole_step
from rlexp.compose.geometry import Geometry
from rlexp.errors import RunError

ONE, FOUR = Geometry(64, 64, 1, 1), Geometry(64, 16, 4, 1)


@pytest.mark.parametrize(
    "arguments",
    [
        {"loss_type": "bnpo"},
        {"loss_type": ["sigmoid", "aot"]},
        {"loss_type": "kto"},
        {"loss_type": "dapo", "top_entropy_quantile": 0.5},
        {"entropy_coef": 0.1},
        {"use_adaptive_entropy": True},
    ],
)
def test_several_passes_are_refused(arguments):
    whole_step.check(arguments, ONE, 8)
    with pytest.raises(RunError) as caught:
        whole_step.check(arguments, FOUR, 8)
    assert "hardware.sequences_per_device=64, or method.prompts_per_step=2" in (caught.value.hint or "")
    with pytest.raises(RunError, match="takes 2 passes of 32") as caught:
        whole_step.check(arguments, Geometry(64, 32, 1, 2), 8)
    assert "hardware.devices=1" in (caught.value.hint or "")


@pytest.mark.parametrize(
    "arguments",
    [
        {"loss_type": "dapo"},
        {"loss_type": ["sigmoid"], "beta": 0.1},
        {"loss_type": "nll"},
        {"top_entropy_quantile": 1.0, "entropy_coef": 0.0, "use_adaptive_entropy": False},
        {},
    ],
)
def test_others_are_not(arguments):
    whole_step.check(arguments, FOUR, 8)


def test_kto_needs_two_answers_in_a_step():
    with pytest.raises(RunError, match="there is one"):
        whole_step.check({"loss_type": "kto"}, Geometry(1, 1, 1, 1), 1)
