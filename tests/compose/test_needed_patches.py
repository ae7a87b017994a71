"""What a run cannot do without a patch is refused by the patch's name."""

import pytest

from rlexp.errors import RunError

GPU = ("hardware=h100", "model=qwen3_0_6b")


@pytest.mark.parametrize(
    ("typed", "patch", "hint"),
    [
        (("method.off_policy_steps=1",), "off_policy", "method.off_policy_steps=0"),
        (
            (*GPU, "rollout=unsloth", "rollout.engine.async_scheduling=false"),
            "engine_class",
            "leave rollout.engine out",
        ),
        ((*GPU, "rollout=colocate", "rollout.engine.async_scheduling=false"), "shared_engine", "leave rollout.engine"),
        ((*GPU, "rollout=colocate", "rollout.enforce_eager=true"), "shared_engine", "rollout.enforce_eager=false"),
        ((*GPU, "rollout=unsloth", "rollout.compiled=false"), "engine_class", "leave out rollout.compiled"),
        ((*GPU, "rollout=colocate"), "shared_engine", "preflight.smoke=never"),
        ((*GPU, "rollout=server"), "shared_engine", "preflight.smoke=never"),
        (("method.beta=0.04",), "base_reference", "preflight.smoke=never"),
        (("method=dpo", "dataset=arithmetic_preferences"), "base_reference", "preflight.smoke=never"),
        (
            ("method=orpo", "dataset=arithmetic_preferences", "hardware.sequences_per_device=8"),
            "orpo_tokens",
            "hardware.sequences_per_device=16",
        ),
    ],
)
def test_a_run_that_needs_a_patch_is_refused_without(composed, typed, patch, hint):
    composed(*typed)
    with pytest.raises(RunError, match=f"the patch {patch} is needed") as caught:
        composed(*typed, "rollout.patches=off")
    assert (caught.value.where or "").startswith("rollout.patches, ")
    assert hint in (caught.value.hint or "") and "rollout.patches=on" in (caught.value.hint or "")


@pytest.mark.parametrize(
    "typed",
    [
        (),
        (*GPU, "rollout=unsloth"),
        (*GPU, "rollout=unsloth", "rollout.enforce_eager=true"),
        (*GPU, "rollout=colocate", "preflight.smoke=never"),
        (*GPU, "rollout=server", "preflight.smoke=never", "rollout.engine.async_scheduling=false"),
        ("method.beta=0.04", "preflight.smoke=never"),
        ("method.beta=0.04", "model.full_finetuning=true"),
        ("method=orpo", "dataset=arithmetic_preferences"),
    ],
)
def test_everything_else_trains_without_as_the_same_problem(composed, typed):
    with_patches, without = composed(*typed), composed(*typed, "rollout.patches=off")
    assert with_patches.rollout.patches and not without.rollout.patches
    assert with_patches.experiment() == without.experiment()
