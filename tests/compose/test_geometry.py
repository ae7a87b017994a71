"""The cut of a step into micro-batches."""

import pytest

from rlexp.compose.geometry import Geometry, derive
from rlexp.errors import RunError


@pytest.mark.parametrize(
    ("prompts", "completions", "devices", "fits", "expected"),
    [
        (8, 8, 1, 64, Geometry(64, 64, 1, 1)),  # all at once
        (8, 8, 1, 16, Geometry(64, 16, 4, 1)),  # a small GPU: four passes
        (8, 8, 8, 16, Geometry(64, 8, 1, 8)),  # eight devices share the same 64 sequences
        (8, 8, 1, 24, Geometry(64, 16, 4, 1)),  # 24 fit, but 16 is the largest that divides
        (7, 1, 1, 4, Geometry(7, 1, 7, 1)),  # a prime number of pairs
        (3, 5, 1, 64, Geometry(15, 15, 1, 1)),  # num_generations that no power of two divides
    ],
)
def test_a_step_is_cut_with_the_fewest_passes_that_fit(prompts, completions, devices, fits, expected):
    assert derive(prompts, completions, devices, fits) == expected


@pytest.mark.parametrize("devices", [1, 2, 4, 8])
@pytest.mark.parametrize("fits", [1, 3, 8, 64])
@pytest.mark.parametrize("completions", [2, 4, 6, 16])
def test_the_optimisation_problem_is_the_same_on_any_hardware(devices, fits, completions):
    cut = derive(8, completions, devices, fits)
    assert cut.devices * cut.per_device_train_batch_size * cut.gradient_accumulation_steps == 8 * completions
    assert cut.per_device_train_batch_size <= fits


def test_what_does_not_divide_by_the_devices_is_refused_with_a_number_that_does():
    with pytest.raises(RunError, match="do not divide by 4 devices") as caught:
        derive(3, 2, 4, 64)
    assert caught.value.hint == "type method.prompts_per_step=4"
