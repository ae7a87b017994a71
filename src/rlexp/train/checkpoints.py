"""The checkpoints of a training, and the training that goes on from one bit for bit.

A checkpoint is what transformers writes and, beside it, what it leaves out: the trainer's state between two steps
(``backend.trainer_state``) and the record's: the lengths of the files that grow, the counts of the rubric, the window
of the health rules, times and peaks. It is whole or absent (``record.checkpoints``).
"""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from transformers import TrainerCallback

from rlexp import shapes
from rlexp.backend import ranks, trainer_state
from rlexp.errors import RunError
from rlexp.preflight import facts
from rlexp.record import checkpoints
from rlexp.record.checkpoints import TRAINER as TRAINER
from rlexp.record.checkpoints import trainer_file
from rlexp.record.rewind import RECORD, rewind
from rlexp.train.job import Job
from rlexp.train.selection import Selection
from rlexp.train.so_far import SCHEMA, RunSoFar
from rlexp.whole import STATE

HELD = ("trainer", "times")
"""The keys of ``trainer_file``."""


class Checkpoints(TrainerCallback):
    """Writes the checkpoints of a trainer, and has it go on from one.

    Args:
        trainer: its ``_save_checkpoint`` is wrapped; add the callback last, behind those that begin anew.
        warn: prints one message.
        selection: says which checkpoints are kept beside the newest; None where none is chosen.
    """

    def __init__(
        self,
        job: Job,
        trainer: Any,
        so_far: RunSoFar,
        warn: Callable[[str], None],
        selection: Selection | None = None,
    ) -> None:
        self.job, self.trainer, self.so_far, self.warn, self.selection = job, trainer, so_far, warn, selection
        self.begun, self.ranks = job.resume or job.fork, ranks.current()
        self._own = trainer_file(self.ranks.number)
        self._write: Callable[..., None] = trainer._save_checkpoint
        self._beside = ThreadPoolExecutor(1, "checkpoint")
        self._finishing: Future[None] | None = None
        self._needed = 0
        self._warned = False
        self._state: dict[str, Any] = {}
        trainer._save_checkpoint = self.save
        trainer_state.resumable(trainer)
        if self.begun:
            wrote = checkpoints.devices(self.begun)
            self._state = self._read(self.begun.folder, wrote)
            if wrote != self.ranks.count:
                trainer_state.with_new_random_states(trainer, self.begun.step)
        if job.fork:
            trainer_state.with_own_settings(trainer, self._state["trainer"])
        # The state's, since max_steps is -1 in the arguments of a run of so many passes.
        if job.resume and job.resume.step >= json.loads((job.resume.folder / STATE).read_text())["max_steps"]:
            trainer_state.ends_at_once(trainer, job.resume.folder)

    def save(self, model: Any, trial: Any = None) -> None:
        """Writes the checkpoint of the step, as ``transformers.Trainer._save_checkpoint``, and drops the oldest. It is
        in its place a moment later (``wait``); where the disk has no room it is left out, and the earlier ones stay."""
        trainer, run_dir = self.trainer, self.job.run_dir
        step = trainer.state.global_step
        self.wait()
        if not self.ranks.from_first(lambda: self._has_room(step)):
            return
        if self.ranks.number:
            self._hand_in(model, trial, step)
            return
        with contextlib.ExitStack() as stack:
            partial = stack.enter_context(checkpoints.written(run_dir, step))
            folder = self._written(model, trial, partial, step)
            (folder / "README.md").unlink(missing_ok=True)  # PEFT's draft, with a path of this machine
            self._collect(folder)
            self._needed = checkpoints.size(folder)
            written = stack.pop_all()
        self._finishing = self._beside.submit(self._finish, written, self._selected())

    def _written(self, model: Any, trial: Any, home: Path, step: int) -> Path:
        """The checkpoint of this rank below a folder."""
        trainer, place = self.trainer, self.trainer._get_output_dir
        trainer._get_output_dir = lambda trial=None: str(home)
        try:
            self._write(model, trial)
        finally:
            trainer._get_output_dir = place
        self._add(home / f"checkpoint-{step}")
        return home / f"checkpoint-{step}"

    def _hand_in(self, model: Any, trial: Any, step: int) -> None:
        """Writes what rank 0 cannot know of this one (random states, rows of a generation), for it to collect."""
        own = self._written(model, trial, self.job.run_dir / "handed_in", step)
        self.ranks.parts(str(own))

    def _collect(self, folder: Path) -> None:
        """Takes what the other ranks hand in into the checkpoint."""
        for rank, own in enumerate(self.ranks.parts("")):
            for name in (trainer_file(rank), f"rng_state_{rank}.pth") if rank else ():
                shutil.move(Path(own) / name, folder / name)

    def wait(self) -> None:
        """Returns once the last checkpoint is in its place.

        Raises:
            OSError: the disk refused it.
        """
        finishing, self._finishing = self._finishing, None
        if finishing:
            finishing.result()

    def on_train_end(self, *_: Any, **__: Any) -> None:
        self.wait()

    def _finish(self, written: contextlib.ExitStack, selected: frozenset[int]) -> None:
        """Reading what was written once more and waiting for the disk would hold the training up for as long as the
        writing did: it is done beside the next step."""
        written.close()
        self._drop(selected)

    def _selected(self) -> frozenset[int]:
        return frozenset(self.selection.kept if self.selection else ())

    def _drop(self, selected: frozenset[int]) -> None:
        ring = checkpoints.newest(list(checkpoints.of(self.job.run_dir)), self.trainer.args.save_total_limit)
        checkpoints.keep(self.job.run_dir, ring | selected)

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Puts the state back, once everything that begins anew has."""
        if self.begun is None:
            return
        trainer_state.restore(self.trainer, self._state["trainer"])
        if self.job.fork:  # transformers keeps the intervals of the checkpoint's run
            state.compute_steps(args, state.max_steps)
            return
        if self.ranks.number == 0:
            rewind(self.job.run_dir, self.begun, self._state["record"]["lengths"])
        self.so_far.restore(self._state["record"], self._state["times"])
        if self.selection:
            self.selection.read()
        self._drop(self._selected())  # a kill may have come before

    def _add(self, folder: Path) -> None:
        import torch

        steps = self.so_far.times.steps
        parts = sorted({part for step in steps for part in step})
        rows = [[step.get(part, float("nan")) for part in parts] for step in steps]
        values = torch.tensor(rows, dtype=torch.float64).reshape(len(rows), len(parts))
        times = {"parts": parts, "values": values, "reported": self.so_far.times.reported}
        torch.save({"trainer": trainer_state.state(self.trainer), "times": times}, folder / self._own)
        (folder / RECORD).write_text(json.dumps(self.so_far.state()))

    def _read(self, folder: Path, wrote: int) -> dict[str, Any]:
        """What ``_add`` wrote, of a checkpoint whose every byte was checked (``checkpoints.require``).

        Args:
            wrote: the devices that wrote it.
        """
        import torch

        record = shapes.read_json(folder / RECORD, SCHEMA, "checkpoint")
        names = [self._own] if wrote == self.ranks.count else [trainer_file(rank) for rank in range(wrote or 1)]
        try:
            device = self.trainer.args.device
            each = [torch.load(folder / name, map_location=device, weights_only=True) for name in names]
            trainer, times = (dict(each[0][name]) for name in HELD)
            for one in each:
                trainer_state.require(one["trainer"])
            if wrote != self.ranks.count:
                trainer = trainer_state.of_any_number([one["trainer"] for one in each])
            times["values"] = times["values"].cpu()
            if record is None or times["values"].shape[1:] != (len(times["parts"]),):
                raise ValueError("it has another shape")
        except Exception as error:  # whatever torch meets in a file of somebody else's
            raise RunError(
                f"what the checkpoint holds of the trainer cannot be read: {str(error)[:200]}",
                where=str(folder / names[0]),
                hint="name another checkpoint, or start the run anew",
            ) from error
        return {"trainer": trainer, "times": times, "record": record}

    def _has_room(self, step: int) -> bool:
        free, needed = facts.free(self.job.run_dir), self._needed or self._guess()
        if free >= needed:
            return True
        if not self._warned:
            self.warn(
                f"step {step} leaves no checkpoint: it takes about {needed} bytes, {free} are free; those before stay, "
                "and the next is written when there is room"
            )
        self._warned = True
        return False

    def _guess(self) -> int:
        """Bytes of the first one: the trained weights, and two of the optimizer's for each in 32 bits."""
        trained = [weight for weight in self.trainer.model.parameters() if weight.requires_grad]
        return sum(weight.numel() * (weight.element_size() + 8) for weight in trained)
