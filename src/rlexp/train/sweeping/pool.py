"""The workers of a sweep: points are given to whoever is free, and one that dies costs only its point."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import subprocess
import sys
from collections import Counter, deque
from collections.abc import Sequence
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

import cloudpickle
from hydra.core.singleton import Singleton
from hydra.core.utils import JobReturn, JobStatus
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf, open_dict

from rlexp import command
from rlexp.compose.schema import Device, VllmMode
from rlexp.compose.sweep import folders_of
from rlexp.console import RunConsole
from rlexp.errors import Interrupted
from rlexp.nvidia import visible
from rlexp.train.sweeping.aside import aside
from rlexp.train.sweeping.point import ANOTHER, FAULT, unforeseen
from rlexp.train.sweeping.worker import Answer, Asked

PROGRAM = (
    "import sys; from multiprocessing.connection import Connection; pipe = Connection({pipe});"
    " sys.path[:] = pipe.recv(); from rlexp.train.sweeping.worker import serve; serve(pipe)"
)
"""The program of a worker. Its sys.path is that of its parent, so that the same imports find the same files."""
TRIES = 2
"""How often a point is begun whose process dies."""


class Worker:
    """A process, and the point that it is at.

    Args:
        gpu: the number of its GPU; None on a CPU.
        log: takes what it prints; None for the terminal.
    """

    def __init__(self, gpu: str | None, log: Path | None) -> None:
        self.gpu, self.log = gpu, log
        self.point: Asked | None = None
        self.pipe, other = multiprocessing.Pipe()
        own = {} if gpu is None else {"CUDA_VISIBLE_DEVICES": gpu}
        with contextlib.ExitStack() as stack:
            said = stack.enter_context(log.open("ab")) if log else None
            self.process = subprocess.Popen(
                [sys.executable, "-c", PROGRAM.format(pipe=other.fileno())],
                env={**os.environ, **own},
                pass_fds=(other.fileno(),),
                stdout=said,
                stderr=said,
            )
        other.close()
        self.pipe.send(sys.path)

    def give(self, asked: Asked) -> None:
        """Has it run a point."""
        self.point = asked
        with contextlib.suppress(OSError):  # it died meanwhile, which its pipe says
            self.pipe.send_bytes(cloudpickle.dumps(asked))  # the schemas are classes made at run time

    def answer(self) -> Answer | None:
        """How the point ended; None where the process did."""
        try:
            return self.pipe.recv()
        except (EOFError, OSError):
            return None

    def close(self) -> str:
        """Ends the process, which says how it ended: ``was ended by SIGKILL``."""
        self.pipe.close()
        code = self.process.wait()
        return f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"


def run(
    points: Sequence[Sequence[str]],
    first: int,
    number: int | None,
    hydra_context: HydraContext,
    task_function: TaskFunction,
    config: DictConfig,
) -> list[JobReturn]:
    """Runs points, as many at once as there are workers.

    Args:
        points: the overrides of each.
        first: the number of the first one.
        number: of workers; None for one a GPU, one on a CPU.
        config: what the points have in common.

    Returns:
        What each returned, in their order; what is no failure of the point itself raises when it is read.

    Raises:
        Interrupted: a signal ended the sweep; points that were under way ended as theirs do.
    """
    state = Singleton.get_state()
    asked = [
        Asked(place, list(overrides), config, hydra_context, task_function, state, command.began(), sys.argv)
        for place, overrides in enumerate(points, first)
    ]
    places = _places(config, number, len(points))
    folder = Path(config.hydra.sweep.dir)
    logs = [folder / f"worker-{place}.log" if len(places) > 1 else None for place in range(len(places))]
    pool = Pool(list(zip(places, logs, strict=True)), asked)
    pool.run()
    if pool.ended:
        raise pool.ended
    lost = Answer(FAULT, JobStatus.COMPLETED)
    return [_return(one, pool.done.get(one.number, lost)) for one in asked]


class Pool:
    """The workers of a sweep, and the points that wait for one.

    Args:
        places: (GPU, log) of each worker that may be.
        points: in their order.
    """

    def __init__(self, places: list[tuple[str | None, Path | None]], points: Sequence[Asked]) -> None:
        self.places = places
        self.waiting = deque(points)
        self.workers: list[Worker] = []
        self.tried: Counter[int] = Counter()
        self.done: dict[int, Answer] = {}
        self.ended: Interrupted | None = None
        """The signal that ended the sweep."""
        self.console = RunConsole()

    def run(self) -> None:
        """Runs the points; after a signal those that are under way only."""
        try:
            while True:
                try:
                    if not self._hand_out():
                        return
                    at_work: dict[Any, Worker] = {one.pipe: one for one in self.workers if one.point}
                    for pipe in wait(list(at_work)):
                        self._take(at_work[pipe])
                except KeyboardInterrupt as error:
                    self.ended = self.ended or (error if isinstance(error, Interrupted) else Interrupted())
                    if self.ended.exit_code != 130:  # Ctrl-C goes to the whole group by itself
                        for worker in self.workers:
                            worker.process.terminate()
        finally:
            for worker in self.workers:
                worker.close()

    def _hand_out(self) -> bool:
        """Gives waiting points to workers that are free; says whether any is at work."""
        while self.waiting and self.ended is None and (worker := self._free()):
            point = self.waiting.popleft()
            self.tried[point.number] += 1
            typed = " ".join(word for word in point.overrides if not word.startswith("hydra."))
            self.console.print(f"point {point.number}: {typed}", markup=False)
            worker.give(point)
        return any(worker.point for worker in self.workers)

    def _free(self) -> Worker | None:
        found = next((worker for worker in self.workers if worker.point is None), None)
        if found is None and self.places:
            found = Worker(*self.places.pop(0))
            self.workers.append(found)
        return found

    def _take(self, worker: Worker) -> None:
        """Takes the end of a point, or of its process."""
        point, answer = worker.point, worker.answer()
        assert point
        worker.point = None
        if answer and answer.interrupted:
            self.ended = self.ended or Interrupted(answer.interrupted - 128)
        if answer and answer.returned == ANOTHER:
            self._drop(worker)
            self.tried[point.number] -= 1
            self.waiting.appendleft(point)
            return
        if answer is None or unforeseen(answer.returned):
            how = self._drop(worker)
            if self.tried[point.number] < TRIES and self.ended is None:
                self.console.warn(f"point {point.number}: its process {how}; it is begun again")
                _aside(point)
                self.waiting.appendleft(point)
                return
        if answer:
            self.done[point.number] = answer

    def _drop(self, worker: Worker) -> str:
        """Ends a worker, whose place is free again; says how it ended."""
        self.workers.remove(worker)
        self.places.append((worker.gpu, worker.log))
        return worker.close()


def workers(config: DictConfig, number: int | None, points: int) -> int:
    """How many points are run at once.

    Args:
        config: what the points have in common.
        number: that was asked for.
    """
    return len(_places(config, number, points))


def _places(config: DictConfig, number: int | None, points: int) -> list[str | None]:
    """The GPUs of each worker: as many as a point trains on. None on a CPU, and where a point takes all (a server)."""
    cuda = OmegaConf.select(config, "hardware.device") is Device.cuda
    alone = cuda and OmegaConf.select(config, "rollout.vllm_mode") is VllmMode.server
    if not cuda or alone:
        return [None] * min(points, 1 if alone else number or 1)
    seen, each = visible(), OmegaConf.select(config, "hardware.devices") or 1
    groups = [",".join(seen[first : first + each]) for first in range(0, len(seen) - each + 1, each)]
    # Where there are too few, the first point says so.
    return list[str | None](groups[: min(points, number or len(groups))]) or [None]


def _aside(point: Asked) -> None:
    """Moves the folder of an attempt that died out of the way of the next."""
    config = point.hydra_context.config_loader.load_sweep_config(point.config, point.overrides)
    with open_dict(config):
        config.hydra.job.num, config.hydra.job.id = point.number, str(point.number)
    aside(Path(folders_of(config, True)[1]))


def _return(point: Asked, answer: Answer) -> JobReturn:
    """What Hydra is given of a point."""
    return JobReturn(overrides=point.overrides, status=answer.status, _return_value=answer.returned)
