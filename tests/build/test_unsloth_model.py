"""What is handed to Unsloth."""

import pytest

from rlexp.build.unsloth_model import decoded_at_once


@pytest.mark.parametrize(("completions", "asked"), [(8, 8), (64, 64), (256, 257), (512, 512)])
def test_all_completions_of_a_step_are_decoded_together(completions, asked):
    assert decoded_at_once(completions) == asked
