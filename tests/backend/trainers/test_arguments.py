"""What is asked of the trainer, and what it holds."""

import pytest

from rlexp.backend.trainers.arguments import requested


def test_every_argument_of_the_config_class_is_said(composed, tmp_path):
    run = composed("hardware=cpu", "method.prompts_per_step=4", "hardware.sequences_per_device=8")
    asked = requested(run, tmp_path)
    assert set(asked) == set(run.method.all_arguments)
    assert asked["per_device_train_batch_size"] * asked["gradient_accumulation_steps"] == 32
    assert asked["steps_per_generation"] == asked["gradient_accumulation_steps"] == 4


@pytest.mark.parametrize("overrides", [[], ["method.epsilon=0.3"], ["method=rloo"]])
def test_what_trl_reads_as_epsilon_is_said_as_a_number(composed, tmp_path, overrides):
    asked = requested(composed(*overrides), tmp_path)
    assert asked["epsilon_high"] == asked["epsilon"]
