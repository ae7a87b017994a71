"""What a run that goes on with another number of devices says of itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from rlexp.backend import trainer_state
from rlexp.compose.run import Run
from rlexp.record import attempts, checkpoints, rewind
from rlexp.record.checkpoints import Checkpoint
from rlexp.record.run_folder import LOCK
from rlexp.train import other_devices
from rlexp.train.job import Job
from rlexp.train.other_devices import OtherDevices
from tests.conftest import ROOT
from tests.record.made import locked

SEEDED = "rollout.seed_rows=true"
DPO = ("method=dpo", "dataset=arithmetic_preferences")


def found(composed: Any, folder: Path, began: tuple[str, ...], now: tuple[str, ...], wrote: int, *before: Any) -> Any:
    """What is said of a run that ``wrote`` devices left a checkpoint of step 3 of, with 12 bytes of log entries."""
    for rank in range(wrote):
        (folder / checkpoints.trainer_file(rank)).touch()
    entries(folder, 12)
    lock = locked(composed(*began), *began)
    return other_devices.found(lock, composed(*now), ROOT, Checkpoint(3, folder), list(before))


def entries(folder: Path, length: int) -> None:
    (folder / rewind.RECORD).write_text(json.dumps({"lengths": {"metrics.jsonl": length}, "sha256": {}}))


def test_nothing_is_said_of_as_many_devices(composed, tmp_path):
    assert found(composed, tmp_path, ("hardware=cpu_ddp2",), ("hardware=cpu_ddp2",), 2) is None


@pytest.mark.parametrize(
    ("began", "now", "equal", "said"),
    [
        (("hardware=cpu", SEEDED), ("hardware=cpu_ddp2", SEEDED), True, "completions are the same tokens and weights"),
        (
            ("hardware=cpu",),
            ("hardware=cpu_ddp2",),
            False,
            "the completions from there are another draw, which rollout",
        ),
        (("hardware=cpu", *DPO), ("hardware=cpu_ddp2", *DPO), True, "from there weights the same numbers, but for"),
        (
            ("hardware=cpu", *DPO, "model.lora.lora_dropout=0.1"),
            ("hardware=cpu_ddp2", *DPO, "model.lora.lora_dropout=0.1"),
            False,
            "so that the dropout from there is another draw",
        ),
    ],
)
def test_the_level_and_what_is_the_same_are_said(composed, tmp_path, began, now, equal, said):
    other: OtherDevices = found(composed, tmp_path, began, now, 1)
    assert other.equal_draw is equal and other.level == "step"
    words = str(other)
    assert words.startswith(
        "1 device wrote the checkpoint of step 3, and 2 go on: level step, no trajectory; the same:"
    )
    assert said in words and ("the order of rewards" in words) is ("method=dpo" not in began)
    attempt = {"started": "", "status": "running", **json.loads(json.dumps(other.to_json()))}
    assert attempts.before({"identity": "", "attempts": [attempt], "status": "running"})[0]["devices"] == 2


def test_what_an_earlier_attempt_drew_otherwise_stays_so(composed, tmp_path):
    both = (("hardware=cpu_ddp2",), ("hardware=cpu_ddp2",))
    other = found(composed, tmp_path, *both, 1, {"equal_draw": False})
    assert not other.equal_draw and "1 device wrote the checkpoint of step 3, and 2 go on" in str(other)
    assert found(composed, tmp_path, *both, 1, {"equal_draw": True}, {}).equal_draw


def test_an_entry_that_begins_before_the_checkpoint_and_ends_behind_it_is_no_equal_step(composed, tmp_path):
    one = found(composed, tmp_path, ("hardware=cpu",), ("hardware=cpu_ddp2",), 1)
    entries(tmp_path, 0)
    lock = locked(composed("hardware=cpu"), "hardware=cpu")
    late = other_devices.found(lock, composed("hardware=cpu_ddp2"), ROOT, Checkpoint(3, tmp_path), [])
    assert late is not None and (one.level, late.level) == ("step", "inputs")


def test_the_line_that_goes_on_names_devices_that_the_lock_does_not(composed, tmp_path, monkeypatch):
    run_dir = tmp_path / "outputs/a"
    folder = run_dir / "checkpoints/checkpoint-3"
    folder.mkdir(parents=True)
    (run_dir / LOCK).touch()
    monkeypatch.setattr("rlexp.train.job.read_lock", lambda _: locked(composed("hardware=cpu"), "hardware=cpu"))
    two: Run = composed("hardware=cpu_ddp2")

    def line(run: Run, resume: Checkpoint | None) -> str:
        return Job(run, tmp_path, run_dir, [], resume=resume).resume_line()

    assert line(two, Checkpoint(3, folder)).endswith("resume=outputs/a hardware.devices=2")
    assert line(composed("hardware=cpu"), Checkpoint(3, folder)).endswith("resume=outputs/a")
    assert line(two, None).endswith("resume=outputs/a")


def test_the_losses_of_all_devices_since_the_last_entry_are_one_and_no_place_in_a_generation_is_taken():
    each: list[dict[str, Any]] = [
        {
            "held": {"_tr_loss": torch.tensor(loss), "_step": 6, "_total_train_tokens": 9},
            "gathered": {"_metrics": {"train": {"kl": [1.0]}}},
            "arguments": {"seed": 0, "optim": "adamw_torch"},
        }
        for loss in (1.0, 3.0)
    ]
    one = trainer_state.of_any_number(each)
    assert one["held"] == {"_tr_loss": torch.tensor(2.0), "_total_train_tokens": 9}
    assert one["gathered"] == each[0]["gathered"] and each[0]["held"]["_step"] == 6
    trainer_state.require(one)
