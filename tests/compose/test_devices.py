"""What several devices are not combined with, and that they leave the experiment as it is."""

import pytest

from rlexp.errors import RunError
from rlexp.record.lock import identity


@pytest.mark.parametrize("option", ["h100x2_ddp", "h100x4_ddp", "h100x8_ddp", "h200x2_ddp", "h200x4_ddp", "h200x8_ddp"])
def test_the_options_for_several_gpus_split_the_step_of_one(composed, option):
    one, several = (composed(f"hardware={name}", "model=qwen3_4b") for name in (option[:4], option))
    count = int(option[5])
    assert several.geometry.devices == count and identity(one) == identity(several)
    assert several.geometry.sequences_per_step == one.geometry.sequences_per_step == 64
    whole = count * several.geometry.per_device_train_batch_size * several.geometry.gradient_accumulation_steps
    assert whole == 64 and several.hardware.memory_gib == one.hardware.memory_gib


def test_the_same_step_is_split_over_the_devices_and_the_identity_stays(composed):
    one, two = composed("hardware=cpu"), composed("hardware=cpu_ddp2")
    assert identity(one) == identity(two) == identity(composed("hardware=cpu", "hardware.devices=2"))
    assert two.geometry.sequences_per_step == one.geometry.sequences_per_step
    assert (two.geometry.devices, two.geometry.per_device_train_batch_size) == (2, 32)
    assert identity(composed("rollout.seed_rows=true")) == identity(one)


@pytest.mark.parametrize(
    ("typed", "where"),
    [
        (["hardware=cpu_ddp2", "method.off_policy_steps=1"], "method.off_policy_steps"),
        (["hardware=cpu_ddp2", "rollout.patches=off"], "rollout.patches"),
        (["hardware=h200x2_ddp", "model=qwen3_0_6b", "rollout=server"], "rollout=server"),
        (["rollout.seed_rows=true", "rollout.patches=off"], "rollout.seed_rows"),
        (["hardware=cpu_ddp2", "method.loss_type=bnpo"], "method.loss_type=bnpo"),
        (["hardware=cpu_ddp2", "method=kto", "dataset=arithmetic_judged"], "method.loss_type=kto"),
        (["hardware=cpu_ddp2", "method.top_entropy_quantile=0.5"], "method.top_entropy_quantile"),
    ],
)
def test_what_would_be_another_training_is_refused_with_what_to_type(composed, typed, where):
    with pytest.raises(RunError) as caught:
        composed(*typed)
    assert where in caught.value.where and caught.value.hint
