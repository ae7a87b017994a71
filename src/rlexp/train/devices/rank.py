"""A rank: one of the processes that train a run on several devices. It joins the others, and does the run's work."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cloudpickle

from rlexp import command
from rlexp.backend import ranks, telemetry
from rlexp.errors import Interrupted
from rlexp.record import claim
from rlexp.train.job import Job

SET_DEATH_SIGNAL = 1
"""PR_SET_PDEATHSIG of linux/prctl.h."""
SIGN_S = 2.0
"""Seconds from one sign of life to the next."""
ALIVE, MOVED = b"", b"+"
"""The signs: it lives; and it came further, or does what takes its own time."""


@dataclass(frozen=True)
class Asked:
    """What a rank is to do: it can be pickled with cloudpickle."""

    number: int
    count: int
    meeting: Path
    work: Callable[[Job], None]
    job: Job
    claimed: bool
    """The command claimed the run folder, which the record of rank 0 takes over."""
    began: float
    """When the command began, by the monotonic clock."""
    argv: list[str]
    """What was typed."""
    cuda: bool = False
    """It trains on a GPU."""


@dataclass(frozen=True)
class Answer:
    """How the work of a rank ended."""

    error: BaseException | None = None
    facts: dict[str, Any] = field(default_factory=dict)
    """What the error holds beside its texts: the run folder, how it goes on."""


def serve(pipe: Any) -> None:
    """Does the work that comes through a pipe, and ends: what the process does."""
    telemetry.switch_off()
    if sys.platform == "linux":  # a run whose command is killed is killed with it, on every device
        ctypes.CDLL(None).prctl(SET_DEATH_SIGNAL, signal.SIGKILL)
    signal.signal(signal.SIGINT, _heard)
    signal.signal(signal.SIGTERM, _heard)
    lock = threading.Lock()
    threading.Thread(target=_live, args=(pipe, lock), daemon=True).start()
    try:
        asked: Asked = cloudpickle.loads(pipe.recv_bytes())
        answer = _answer(asked)
        with lock:
            pipe.send_bytes(cloudpickle.dumps(answer))
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)  # what libraries do at their end takes seconds, and may wait for a rank that is gone


def _heard(number: int, frame: object) -> None:
    """Ends what is under way.

    Raises:
        Interrupted: always.
    """
    raise Interrupted(number)


def _live(pipe: Any, lock: threading.Lock) -> None:
    """Gives signs of life, with how far it came: a process that stands still gives none, nor does one whose command is
    gone."""
    told = 0
    with contextlib.suppress(OSError):
        while True:
            done = ranks.progress.done
            moved, told = ranks.progress.open or done > told, done
            with lock:
                pipe.send_bytes(MOVED if moved else ALIVE)
            time.sleep(SIGN_S)


def _answer(asked: Asked) -> Answer:
    command.begin(asked.began)
    sys.argv = asked.argv
    if asked.claimed and asked.number == 0:
        claim.hand_over(asked.job.run_dir)
    try:
        ranks.begin(asked.number, asked.count, asked.meeting, asked.cuda)
        asked.work(asked.job)
    except (Exception, KeyboardInterrupt) as error:
        return Answer(error, dict(vars(error)))
    return Answer()
