"""What several devices are not combined with, and that they leave the experiment as it is."""

import pytest

from rlexp.errors import RunError
from rlexp.record.lock import identity


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
