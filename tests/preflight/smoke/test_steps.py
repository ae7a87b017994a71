"""What torch says when it ends the smoke steps, in words that help."""

import pytest
import torch

from rlexp.preflight.smoke.steps import broke_off


@pytest.mark.parametrize(
    ("error", "rule", "hint"),
    [
        # sampling on a CPU, and the same on a GPU, where torch says less
        (RuntimeError("probability tensor contains either `inf`, `nan` or element < 0"), "smoke.finite", "0.0002"),
        (RuntimeError("CUDA error: device-side assert triggered\nSearch for"), "smoke.finite", "0.0002"),
        (
            torch.OutOfMemoryError("CUDA out of memory. Tried to allocate"),
            "smoke.memory",
            "=64 hardware.gradient_checkpointing=true",
        ),
    ],
)
def test_steps_that_torch_ends_are_a_verdict(composed, error, rule, hint):
    verdict = broke_off(composed("hardware=cpu"), error, 4)
    assert verdict.name == rule and hint in verdict.hint and "smoke step 4" in verdict.message


def test_a_fault_of_ours_is_no_verdict(composed):
    assert broke_off(composed(), RuntimeError("shapes cannot be multiplied"), 1) is None
