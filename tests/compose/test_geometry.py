"""The cut of a step into micro-batches."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

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


@given(st.integers(1, 64), st.integers(1, 64), st.integers(1, 16), st.integers(1, 256))
def test_the_optimisation_problem_is_the_same_on_any_hardware_or_refused_with_the_next_that_fits(
    prompts, completions, devices, fits
):
    sequences = prompts * completions
    if sequences % devices:
        with pytest.raises(RunError) as caught:
            derive(prompts, completions, devices, fits)
        hint = caught.value.hint
        more, fewer = (int(re.search(rf"{name}=(\d+)", hint)[1]) for name in ("prompts_per_step", "devices"))
        assert fewer < devices and derive(prompts, completions, fewer, fits).sequences_per_step == sequences
        assert not any(n * completions % devices == 0 for n in range(prompts, more))
        assert derive(more, completions, devices, fits).sequences_per_step == more * completions
        return
    cut = derive(prompts, completions, devices, fits)
    assert (cut.sequences_per_step, cut.devices) == (sequences, devices)
    assert cut.devices * cut.per_device_train_batch_size * cut.gradient_accumulation_steps == sequences
    share = sequences // devices
    # The largest that fits and divides: no pass more than there must be.
    assert cut.per_device_train_batch_size == max(n for n in range(1, min(fits, share) + 1) if share % n == 0)


def test_what_does_not_divide_by_the_devices_is_refused_with_a_number_that_does():
    with pytest.raises(RunError, match="do not divide by 4 devices") as caught:
        derive(3, 2, 4, 64)
    assert caught.value.hint == ("type hardware.devices=3, the experiment stays the same; or method.prompts_per_step=4")
    with pytest.raises(RunError) as caught:
        derive(7, 1, 2, 64)
    assert caught.value.hint == "type method.prompts_per_step=8, or hardware.devices=1"
