"""What is asked of the trainer, and what it holds."""

from types import SimpleNamespace

import pytest

from rlexp.build.arguments import compare, requested
from rlexp.errors import RunError


def test_every_argument_of_the_config_class_is_said(composed, tmp_path):
    run = composed("hardware=cpu", "method.prompts_per_step=4", "hardware.sequences_per_device=8")
    asked = requested(run, tmp_path)
    assert set(asked) == set(run.method.all_arguments)
    assert asked["per_device_train_batch_size"] * asked["gradient_accumulation_steps"] == 32
    assert asked["steps_per_generation"] == asked["gradient_accumulation_steps"] == 4


def test_a_difference_nobody_asked_for_is_an_error_that_names_every_argument():
    with pytest.raises(RunError, match="num_iterations=2 where 1 was asked for, epsilon_high="):
        compare({"num_iterations": 1, "epsilon_high": None}, SimpleNamespace(num_iterations=2, epsilon_high=0.28))


@pytest.mark.parametrize("overrides", [[], ["method.epsilon=0.3"], ["method=rloo"]])
def test_what_trl_reads_as_epsilon_is_said_as_a_number(composed, tmp_path, overrides):
    asked = requested(composed(*overrides), tmp_path)
    assert asked["epsilon_high"] == asked["epsilon"]


@pytest.mark.parametrize(("asked", "held"), [(0, False), (0.0, 0.04), (True, False), (None, None), (False, True)])
def test_zero_and_false_are_values_and_not_nothing(asked, held):
    differs = asked != held
    try:
        compare({"beta": asked}, SimpleNamespace(beta=held))
    except RunError:
        assert differs
    else:
        assert not differs


def test_what_was_left_open_and_known_adjustments_are_recorded():
    asked = {"generation_batch_size": None, "dataloader_pin_memory": True, "report_to": "none"}
    held = SimpleNamespace(generation_batch_size=64, dataloader_pin_memory=False, report_to=[])
    found = compare(asked, held)
    assert found["generation_batch_size"]["held"] == 64 and "left open" in found["generation_batch_size"]["reason"]
    assert "CPU" in found["dataloader_pin_memory"]["reason"]
    assert "report_to" not in found
