"""What a sweep is refused for before its first point starts, and what a job leaves behind."""

import gc
import weakref

import pytest

from rlexp.compose.points import CommandLine
from rlexp.errors import RunError
from rlexp.train.job import Job
from rlexp.train.one_job import attempt
from rlexp.train.sweeping.sweep import one_loader

H100 = ("hardware=h100", "model=qwen3_4b")


def test_points_with_and_without_unsloth_are_no_sweep_of_one_process(composed, project):
    colocate, unsloth = (composed(*H100, f"rollout={name}") for name in ("colocate", "unsloth"))
    own, basic = (CommandLine(project, ["seed=0,1", *more], True) for more in ([], ["hydra/launcher=basic"]))
    one_loader(basic, [colocate, colocate])
    one_loader(basic, [unsloth, composed(*H100, "rollout=server")])
    one_loader(own, [colocate, unsloth])
    with pytest.raises(RunError, match="one process") as caught:
        one_loader(basic, [colocate, unsloth])
    assert "two commands" in (caught.value.hint or "")


def test_what_a_job_made_is_gone_before_the_next_one(composed, tmp_path):
    class Trainer:
        pass

    left = []

    def work(job):
        trainer = Trainer()
        trainer.callback = trainer  # as a trainer and its callbacks
        left.append(weakref.ref(trainer))

    gc.disable()
    try:
        attempt(work, Job(composed("hardware=cpu"), tmp_path, tmp_path, []))
    finally:
        gc.enable()
    assert left[0]() is None
