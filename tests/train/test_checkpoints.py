"""What a checkpoint holds beside transformers' files, and what is done where the disk has no room for one."""

from __future__ import annotations

import json
import math
from types import SimpleNamespace

import pytest
import torch

from rlexp import shapes
from rlexp.errors import RunError
from rlexp.health.rules import Finding
from rlexp.health.window import Sampled, WatchedStep, WatchFacts, Window
from rlexp.record import checkpoints
from rlexp.train import checkpoints as training
from rlexp.train.job import Job
from rlexp.verdict import Level
from tests import hostile


class Trainer:
    """As much of a trainer as writing checkpoints asks for."""

    def __init__(self, run_dir, step=1, limit=2):
        self.args = SimpleNamespace(save_total_limit=limit, seed=1, optim="adamw_torch", max_steps=9, device="cpu")
        self.state = SimpleNamespace(global_step=step)
        self.model = SimpleNamespace(parameters=lambda: [torch.zeros(10, requires_grad=True)])
        self._total_train_tokens, self._tr_loss = 70, torch.tensor(0.5)
        self._metrics = {"train": {"loss": [0.25, 0.5]}, "eval": {}}
        self._output = run_dir / "checkpoints"

    def _get_output_dir(self, trial=None):
        return str(self._output)

    def _save_checkpoint(self, model, trial):
        from pathlib import Path

        folder = Path(self._get_output_dir()) / f"checkpoint-{self.state.global_step}"
        folder.mkdir(parents=True)
        (folder / "adapter_model.safetensors").write_bytes(bytes(100))
        for name in ("adapter_config.json", "trainer_state.json", "optimizer.pt"):
            (folder / name).write_text("{}")

    def _load_optimizer_and_scheduler(self, folder): ...
    def _load_rng_state(self, folder): ...


@pytest.fixture
def so_far():
    """The parts of a record at a step, as far as a checkpoint asks for them."""
    state = {
        **{
            "lengths": {"metrics.jsonl": 3},
            "sha256": {"metrics.jsonl": "0" * 64},
            "scores": {"asked": 4, "failed": 1},
            "seconds": 2.5,
        },
        **{"timings_s": {"loaded": 1.0}, "memory": {}},
        "watch": {
            "window": {"steps": [], "first": [], "held_out": [], "highest": -math.inf},
            **{"found": [], "low": math.inf, "high": -math.inf},
        },
    }
    times = SimpleNamespace(steps=[{"step": 2.0, "score": 1.0}, {"step": 1.0}], reported=1)
    return SimpleNamespace(state=lambda: state, times=times)


def made(tmp_path, so_far, said, **job):
    trainer = Trainer(tmp_path)
    return trainer, training.Checkpoints(Job(None, tmp_path, tmp_path, [], **job), trainer, so_far, said.append)


def test_it_is_whole_holds_both_states_and_the_oldest_goes(tmp_path, so_far):
    trainer, writer = made(tmp_path, so_far, [])
    for step in (1, 2, 3):
        trainer.state.global_step = step
        trainer._save_checkpoint(None, None)
    writer.wait()
    assert list(checkpoints.of(tmp_path)) == [2, 3]
    found, skipped = checkpoints.last_whole(tmp_path)
    assert found.step == 3 and not skipped and trainer._get_output_dir() == str(tmp_path / "checkpoints")
    held = writer._read(found.folder, 1)
    assert held["record"] == so_far.state()
    assert held["times"]["parts"] == ["score", "step"] and held["times"]["reported"] == 1
    other = Trainer(tmp_path)
    other._total_train_tokens, other._tr_loss, other._metrics = 0, torch.tensor(0.0), {"train": {}, "eval": {}}
    training.trainer_state.restore(other, held["trainer"])
    assert (other._total_train_tokens, float(other._tr_loss)) == (70, 0.5)
    assert other._metrics == {"train": {"loss": [0.25, 0.5]}, "eval": {}}


def test_an_error_while_it_is_written_leaves_nothing_of_it(tmp_path, so_far, monkeypatch):
    trainer, writer = made(tmp_path, so_far, [])
    trainer._save_checkpoint(None, None)
    writer.wait()
    trainer.state.global_step = 2
    monkeypatch.setattr(so_far, "state", lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        trainer._save_checkpoint(None, None)
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["checkpoint-1"]
    assert trainer._get_output_dir() == str(tmp_path / "checkpoints")


def test_what_the_disk_refuses_in_the_end_is_raised_and_leaves_nothing_of_it(tmp_path, so_far, monkeypatch):
    def refused(folder, step):
        raise OSError(28, "No space left on device")

    trainer, writer = made(tmp_path, so_far, [])
    trainer._save_checkpoint(None, None)
    writer.wait()
    monkeypatch.setattr(checkpoints, "seal", refused)
    trainer.state.global_step = 2
    trainer._save_checkpoint(None, None)
    with pytest.raises(OSError, match="No space left"):
        writer.wait()
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["checkpoint-1"]


def test_where_the_disk_has_no_room_it_is_left_out_with_one_warning_until_there_is_room(tmp_path, so_far, monkeypatch):
    said: list[str] = []
    trainer, writer = made(tmp_path, so_far, said)
    free = iter([10**9, 50, 50, 10**9])
    monkeypatch.setattr(training.facts, "free", lambda folder: next(free))
    for step in (1, 2, 3, 4):
        trainer.state.global_step = step
        trainer._save_checkpoint(None, None)
    writer.wait()
    assert list(checkpoints.of(tmp_path)) == [1, 4]
    assert len(said) == 1 and said[0].startswith("step 2 leaves no checkpoint: it takes about")


def test_every_leaf_of_a_record_is_read_or_refused_in_one_message(tmp_path, so_far):
    known = WatchFacts("grpo", True, 1e-3, 0.0, 9, 32, 8, None)
    filled = Window(known)
    filled.add(WatchedStep(1, {"reward": 1.0}, Sampled(8, 0.0, 2.0, variances={"correct": 0.1}), 0.1, 2.0))
    filled.held_out.append((4, {"reward": 0.1}))
    finding = Finding("collapse", Level.warning, 3, 0.5, "it sank", "look").to_json()
    content = so_far.state()
    content["watch"] |= {"window": filled.state(), "found": [finding]}
    content = json.loads(json.dumps(content))
    file = tmp_path / training.RECORD
    refused = 0
    for path in hostile.leaves(content):
        for wrong in hostile.WRONG:
            file.write_text(json.dumps(hostile.changed(content, path, wrong)))
            try:
                read = shapes.read_json(file, training.SCHEMA, "checkpoint")
            except RunError:
                refused += 1
                continue
            Window(known).restore(read["watch"]["window"])
            list(map(Finding.of_json, read["watch"]["found"]))
    assert refused > 300


@pytest.mark.parametrize(
    "state",
    [
        {"held": {"train_dataset": []}, "gathered": {}, "arguments": {"seed": 1, "optim": "x"}},
        {"held": {}, "gathered": {"_metrics": {"train": {"loss": 1}}}, "arguments": {"seed": 1, "optim": "x"}},
        {"held": [], "gathered": {}, "arguments": {}},
        {},
    ],
)
def test_the_state_of_a_trainer_holds_nothing_else(tmp_path, so_far, state):
    _, writer = made(tmp_path, so_far, [])
    (tmp_path / training.RECORD).write_text(json.dumps(so_far.state()))
    times = {"parts": [], "values": torch.zeros(0, 0), "reported": 0}
    torch.save({"trainer": state, "times": times}, tmp_path / training.TRAINER)
    with pytest.raises(RunError, match="holds of the trainer cannot be read"):
        writer._read(tmp_path, 1)


def test_a_pickle_that_would_run_code_is_not_loaded(tmp_path, so_far):
    class Evil:
        def __reduce__(self):
            return (open, (str(tmp_path / "ran"), "w"))

    _, writer = made(tmp_path, so_far, [])
    (tmp_path / training.RECORD).write_text(json.dumps(so_far.state()))
    torch.save({"trainer": Evil(), "times": {}}, tmp_path / training.TRAINER)
    with pytest.raises(RunError, match="holds of the trainer cannot be read"):
        writer._read(tmp_path, 1)
    assert not (tmp_path / "ran").exists()


def test_a_window_and_a_finding_come_back_as_they_were():
    known = WatchFacts("grpo", True, 1e-3, 0.0, 9, 32, 8, None)
    one, other = Window(known), Window(known)
    for number in range(1, 80):
        sampled = Sampled(8, 0.0, 2.0, variances={"correct": 0.1}) if number % 2 else None
        one.add(WatchedStep(number, {"reward": number / 7, "loss": math.nan}, sampled, 0.1, 2.0, 5.0))
    one.held_out.append((4, {"reward": 0.1}))
    other.restore(json.loads(json.dumps(one.state())))
    assert json.dumps(other.state()) == json.dumps(one.state()) and other.sampled(2) == one.sampled(2)
    finding = Finding("collapse", Level.warning, 3, 0.5, "it sank", "look")
    assert Finding.of_json(json.loads(json.dumps(finding.to_json()))) == finding
