"""The process group of a run on several devices: torch.distributed, one process (rank) a device, on one host.

They meet over a file, so that no port is open. On a CPU they talk over the loopback device by gloo: gradients, and
small objects (texts, scores, what was measured, control). On GPUs the group is NCCL's, as accelerate would make it, and
the objects go by a gloo group of their own: an object is no work for a GPU, and may be waited for long.

Every rank sees all GPUs of the run and works on the one of its number, as under torchrun: TRL, Unsloth and vLLM look it
up by LOCAL_RANK.

Source: ``torch.distributed`` (init_method ``file://``); ``accelerate.PartialState`` takes a group that is there, and
waits on the device of LOCAL_RANK; ``ExecutorWithExternalLauncher`` of vLLM and ``_torchrun_launch_info`` of
``unsloth_zoo.vllm_utils`` want all five variables.
"""

from __future__ import annotations

import os
import pickle
import socket
import sys
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

from rlexp.errors import RunError
from rlexp.reward.ranks import Alone, Ranks

T = TypeVar("T")
LONGEST_WAIT = timedelta(hours=2)
"""The time that ranks wait for another at most, which may measure held-out rows alone. A process that died or stands
still ends the run long before (``train.devices``)."""

_current: Ranks = Alone()


class Progress:
    """How far this rank came, for who watches it: a rank that lives may still wait for ever for another."""

    def __init__(self) -> None:
        self.done = 0
        """What was noted so far."""
        self.open = True
        """What takes its own time is under way: loading, compiling, the first step, what rank 0 does alone."""


progress = Progress()


def current() -> Ranks:
    """The ranks of this process's run; ``Alone`` on one device."""
    return _current


def environment(number: int, count: int, gpus: Sequence[str] = (), port: int | None = None) -> dict[str, str]:
    """The variables by which torchrun tells a process its place; transformers, accelerate, vLLM and Unsloth read them.

    Args:
        gpus: those of the run, as CUDA_VISIBLE_DEVICES names them; none on a CPU.
        port: that nobody listens on: libraries that find a group ask for none, and want it named.
    """
    local = {"LOCAL_RANK": str(number), "LOCAL_WORLD_SIZE": str(count), "MASTER_PORT": str(port or free_port())}
    threads = str(max(1, processors() // count))
    asked = {name: os.environ.get(name, threads) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS")}
    libraries = {"GLOO_SOCKET_IFNAME": os.environ.get("GLOO_SOCKET_IFNAME", "lo")} if sys.platform == "linux" else {}
    libraries["TORCH_CPP_LOG_LEVEL"] = os.environ.get("TORCH_CPP_LOG_LEVEL", "ERROR")  # or DDP's advice is printed
    if gpus:
        # Multicast over NVLink is for many large tensors; an adapter's gradients gain nothing, and it fails where a
        # machine is shared. The ranks meet on one host.
        nccl = {"NCCL_NVLS_ENABLE": "0", "NCCL_SOCKET_IFNAME": "lo"}
        libraries |= {name: os.environ.get(name, value) for name, value in nccl.items()}
        libraries["CUDA_VISIBLE_DEVICES"] = ",".join(gpus)
    return {"RANK": str(number), "WORLD_SIZE": str(count), "MASTER_ADDR": "127.0.0.1", **local, **asked, **libraries}


def free_port() -> int:
    """A port of this machine where nobody listens, another at every call."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return bound.getsockname()[1]


def processors() -> int:
    """The processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def begin(number: int, count: int, meeting: Path, cuda: bool = False) -> None:
    """Makes this process one of the ranks of a run.

    Args:
        meeting: a file that is not there yet, in a folder of this run's own.
        cuda: each trains on a GPU.
    """
    global _current
    _current = Together(number, count, meeting, cuda)


def _on_cpu(stored: Any, location: str) -> Any:
    return stored if location.startswith("cpu:") else None


class Together:
    """The ranks of a run on several devices (``reward.ranks.Ranks``)."""

    def __init__(self, number: int, count: int, meeting: Path, cuda: bool = False) -> None:
        self.number = number
        self.count = count
        self._meeting = meeting
        self._cuda = cuda
        self._objects: Any = None
        """The group by which objects go; None for that of the gradients."""

    def join(self) -> None:
        """Joins the process group; returns once every rank has."""
        import torch

        if self._cuda:
            torch.cuda.set_device(self.number)  # before a library asks for "the" device
        if not torch.distributed.is_initialized():  # by a library, from the same variables
            torch.distributed.init_process_group(
                "nccl" if self._cuda else "gloo",
                init_method=f"file://{self._meeting}",
                rank=self.number,
                world_size=self.count,
                timeout=LONGEST_WAIT,
            )
        if self._cuda:
            self._objects = torch.distributed.new_group(backend="gloo", timeout=LONGEST_WAIT)
        # transformers has the optimizer's state loaded onto "cpu:0", a place that torch does not know (map_location).
        torch.serialization.register_package(11, lambda stored: None, _on_cpu)

    def parts(self, value: T) -> list[T]:
        """The value of every rank, in their order."""
        import torch

        found: list[Any] = [None] * self.count
        torch.distributed.all_gather_object(found, value, group=self._objects)
        return found

    def from_first(self, make: Callable[[], T]) -> T:
        """What ``make`` answers on rank 0, on every rank; an error of it is raised on every rank too."""
        import torch

        told: list[Any] = [None]
        if self.number:
            torch.distributed.broadcast_object_list(told, 0, group=self._objects)
            answer, error = told[0]
            if error is not None:
                raise error
            return answer
        before, progress.open = progress.open, True
        try:
            answer = make()
        except Exception as error:
            torch.distributed.broadcast_object_list([(None, _carried(error))], 0, group=self._objects)
            raise
        finally:
            progress.open = before
            progress.done += 1
        torch.distributed.broadcast_object_list([(answer, None)], 0, group=self._objects)
        return answer

    def note(self, training: bool | None = None) -> None:
        """Notes that a step, or a batch of an evaluation, is done."""
        progress.done += 1
        if training is not None:
            progress.open = not training


def _carried(error: Exception) -> Exception:
    """An error that another process can be told."""
    if isinstance(error, RunError):
        return error
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error
