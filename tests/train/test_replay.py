"""What a replay notes of a conf/ that composes otherwise now."""

import pytest

from rlexp.record.finished import FinishedRun
from rlexp.train.replay import _drift


@pytest.mark.parametrize(
    ("rollout", "noted"),
    [
        ("auto", False),  # its choice follows the hardware, which a replay takes from the lock
        ("colocate", True),  # asked for then, and not by the overrides below
    ],
)
def test_what_auto_chose_on_another_machine_is_no_drift(composed, root, rollout, noted):
    model = "model=smollm2_135m"
    then = composed("hardware=h100", model, f"rollout={rollout}")
    assert then.rollout.name == "colocate"
    lock = {"overrides": ["hardware=cpu", model], "config": then.config(), "versions": {}}
    assert any("rollout.name" in note for note in _drift(FinishedRun(root, lock, {}, root))) is noted


def test_a_lock_from_before_auto_gave_reasons_composes_as_now(composed, root):
    then = composed("hardware=cpu").config()
    then["rollout"]["why"] = ""
    lock = {"overrides": [], "config": then, "versions": {}}
    assert not any("rollout" in note for note in _drift(FinishedRun(root, lock, {}, root)))
