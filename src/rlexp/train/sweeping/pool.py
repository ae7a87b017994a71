"""The workers of a sweep: points are given to whoever is free, and one that dies costs only its point."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Iterator, Sequence
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
from rlexp.nvidia import gpus
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
    console = RunConsole()
    state = Singleton.get_state()
    asked = [
        Asked(place, list(overrides), config, hydra_context, task_function, state, command.began())
        for place, overrides in enumerate(points, first)
    ]
    places = _places(config, number, len(points))
    folder = Path(config.hydra.sweep.dir)
    logs = [folder / f"worker-{place}.log" if len(places) > 1 else None for place in range(len(places))]
    waiting, tried, done = deque(asked), dict.fromkeys((one.number for one in asked), 0), dict[int, JobReturn]()
    workers: list[Worker] = []
    ended: Interrupted | None = None
    with _terminated():
        try:
            while True:
                try:
                    while waiting and ended is None:
                        free = next((one for one in workers if one.point is None), None)
                        if free is None and len(workers) < len(places):
                            taken = {one.log for one in workers} if len(places) > 1 else set()
                            place = next(at for at in range(len(places)) if logs[at] not in taken or logs[at] is None)
                            free = Worker(places[place], logs[place])
                            workers.append(free)
                        if free is None:
                            break
                        one = waiting.popleft()
                        tried[one.number] += 1
                        typed = " ".join(word for word in one.overrides if not word.startswith("hydra."))
                        console.print(f"point {one.number}: {typed}", markup=False)
                        free.give(one)
                    busy: dict[Any, Worker] = {one.pipe: one for one in workers if one.point}
                    if not busy:
                        break
                    for pipe in wait(list(busy)):
                        worker = busy[pipe]
                        point, answer = worker.point, worker.answer()
                        worker.point = None
                        assert point
                        fault = answer is None or unforeseen(answer.returned)
                        if answer and answer.interrupted:
                            ended = ended or Interrupted(answer.interrupted - 128)
                        if answer and answer.returned == ANOTHER:
                            workers.remove(worker)
                            worker.close()
                            tried[point.number] -= 1
                            waiting.appendleft(point)
                            continue
                        if fault:
                            workers.remove(worker)
                            how = worker.close()
                            if tried[point.number] < TRIES and ended is None:
                                console.warn(f"point {point.number}: its process {how}; it is begun again")
                                _aside(point)
                                waiting.appendleft(point)
                                continue
                        if answer:
                            done[point.number] = _return(point, answer)
                except KeyboardInterrupt as error:
                    ended = ended or (error if isinstance(error, Interrupted) else Interrupted())
                    if ended.exit_code != 130:  # Ctrl-C goes to the whole group by itself
                        for worker in workers:
                            worker.process.terminate()
        finally:
            for worker in workers:
                worker.close()
    if ended:
        raise ended
    return [done.get(one.number) or _return(one, Answer(FAULT, JobStatus.COMPLETED)) for one in asked]


def workers(config: DictConfig, number: int | None, points: int) -> int:
    """How many points are run at once.

    Args:
        config: what the points have in common.
        number: that was asked for.
    """
    return len(_places(config, number, points))


def _places(config: DictConfig, number: int | None, points: int) -> list[str | None]:
    """The GPU of each worker; None on a CPU, and where a point takes several GPUs."""
    cuda = OmegaConf.select(config, "hardware.device") is Device.cuda
    alone = cuda and OmegaConf.select(config, "rollout.vllm_mode") is VllmMode.server
    if not cuda or alone:
        return [None] * min(points, 1 if alone else number or 1)
    seen = os.environ.get("CUDA_VISIBLE_DEVICES") or ",".join(map(str, range(len(gpus()))))
    devices = seen.split(",")
    return list[str | None](devices[: min(points, number or len(devices))])


def _aside(point: Asked) -> None:
    """Moves the folder of an attempt that died out of the way of the next."""
    config = point.hydra_context.config_loader.load_sweep_config(point.config, point.overrides)
    with open_dict(config):
        config.hydra.job.num, config.hydra.job.id = point.number, str(point.number)
    aside(Path(folders_of(config, True)[1]))


def _return(point: Asked, answer: Answer) -> JobReturn:
    """What Hydra is given of a point."""
    return JobReturn(overrides=point.overrides, status=answer.status, _return_value=answer.returned)


@contextlib.contextmanager
def _terminated() -> Iterator[None]:
    """SIGTERM raises, as Ctrl-C does, while the block lasts."""

    def heard(number: int, frame: Any) -> None:
        raise Interrupted(number)

    before = signal.signal(signal.SIGTERM, heard)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
