"""A runtime in a process of its own: what it allocates is its own, and where it aborts, nothing else ends."""

from __future__ import annotations

import importlib
import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Self

from rlexp.errors import RunError
from rlexp.runtimes import serving
from rlexp.runtimes.protocol import RUNTIMES, Generated, Messages, Sampling, Spec

PROGRAM = (
    "import sys; from multiprocessing.connection import Connection; pipe = Connection({pipe});"
    " sys.path[:] = pipe.recv(); from rlexp.runtimes.host import serve; serve(pipe)"
)
"""The program of the process. Its sys.path is that of its parent, so that the same imports find the same files."""
SAID = 2000
"""Characters of what a runtime wrote that a message takes over."""
LINGER_S = 5.0
"""Seconds that it has to end by itself."""


class Died(Exception):
    """The runtime's process ended, or it could not do what was asked; the message says how, and what it wrote last."""


class Refused(Died):
    """The runtime raised an error, and its process lives."""


class Host:
    """A runtime that is loaded in a process of its own, as long as the block lasts; it has the methods of ``Runtime``.

    Args:
        limit: seconds that a call may take.

    Raises:
        Died: it cannot be loaded.
    """

    def __init__(self, spec: Spec, limit: float = 3600.0) -> None:
        self.spec = spec
        self.limit = limit
        self._log = tempfile.TemporaryFile()  # noqa: SIM115  # lives as long as the process
        self._pipe, other = multiprocessing.Pipe()
        threads = str(spec.threads)
        self._process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM.format(pipe=other.fileno())],
            env={**os.environ, "OMP_NUM_THREADS": threads, "TOKENIZERS_PARALLELISM": "false"},
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
            pass_fds=(other.fileno(),),
            process_group=0,
        )
        other.close()
        began = time.perf_counter()
        try:
            self._pipe.send(sys.path)
            self.imported_s, self.ends, self.loaded = self._call("load", spec)
        except BaseException:
            self.close()
            raise
        self.load_s = time.perf_counter() - began
        """Seconds from the start of its process to being ready; ``imported_s`` of them until its libraries were
        imported."""

    def render(self, dialogues: Sequence[Messages]) -> list[str]:
        return self._call("render", dialogues)

    def rendered(self, dialogues: Mapping[str, Messages]) -> tuple[dict[str, str], dict[str, str]]:
        """(name -> text, name -> why of those that the template refuses)."""
        try:
            return dict(zip(dialogues, self.render(list(dialogues.values())), strict=True)), {}
        except Died:
            texts, refused = {}, {}
            for name, dialogue in dialogues.items():
                try:
                    (texts[name],) = self.render([dialogue])
                except Died as error:
                    refused[name] = str(error)
            return texts, refused

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        return self._call("encode", texts)

    def decode(self, ids: Sequence[int]) -> str:
        return self._call("decode", ids)

    def generate(
        self, prompts: Sequence[Sequence[int]], sampling: Sampling, seed: int = 0, together: int = 1
    ) -> list[Generated]:
        return self._call("generate", prompts, sampling, seed, together)

    def serve(
        self,
        prompts: Sequence[Sequence[int]],
        arrivals: Sequence[float],
        sampling: Sampling,
        seed: int = 0,
        together: int = 1,
        limit: float | None = None,
    ) -> list[Generated | None]:
        """Does as ``serving.serve``, in the way of the runtime where it has one."""
        return self._call("serve", prompts, arrivals, sampling, seed, together, limit)

    def logprobs(self, ids: Sequence[int], begin: int) -> Any:
        return self._call("logprobs", ids, begin)

    def peak_gib(self) -> float:
        """The most memory that its process has held, in GiB; on a GPU, that of the device."""
        return self._call("peak_gib")

    def _call(self, method: str, *arguments: Any) -> Any:
        try:
            self._pipe.send((method, arguments))
            if not self._pipe.poll(self.limit):
                raise Died(f"{self.spec.runtime} did not answer within {self.limit:.0f} s")
            good, answer = self._pipe.recv()
        except (EOFError, OSError) as error:
            raise Died(f"{self.spec.runtime} {self._ended()}{self._said()}") from error
        if good:
            return answer
        kind, text = answer
        if kind == "RunError":
            what, where, hint = text
            raise RunError(what, where=where, hint=hint)
        if kind == "NotImplementedError":
            raise NotImplementedError(text)
        raise Refused(f"{self.spec.runtime}: {text}")

    def _ended(self) -> str:
        try:
            code = self._process.wait(LINGER_S)
        except subprocess.TimeoutExpired:
            return "closed its pipe"
        return f"ended with exit code {code}" if code >= 0 else f"was ended by {signal.Signals(-code).name}"

    def _said(self) -> str:
        self._log.seek(0)
        text = self._log.read().decode(errors="replace").strip()
        return f"; it wrote: {text[-SAID:]}" if text else ""

    def close(self) -> None:
        """Ends the process."""
        self._pipe.close()
        try:
            self._process.wait(LINGER_S)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        self._log.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def serve(pipe: Any) -> None:
    """Answers calls until the pipe is closed: what the process does."""
    runtime: Any = None
    spec: Spec | None = None
    while True:
        try:
            method, arguments = pipe.recv()
        except EOFError:
            os._exit(0)  # what libraries do at their end takes seconds, and nobody waits for it
        try:
            if method == "load":
                (spec,) = arguments
                began = time.perf_counter()
                module = importlib.import_module(RUNTIMES[spec.runtime])
                module.import_libraries()
                imported = time.perf_counter() - began
                runtime = module.load(spec)
                answer: Any = (imported, runtime.ends, runtime.loaded)
            elif method == "peak_gib":
                answer = _peak_gib(spec)
            elif method == "serve" and not hasattr(runtime, "serve"):
                answer = serving.serve(runtime, *arguments)
            else:
                answer = getattr(runtime, method)(*arguments)
            pipe.send((True, answer))
        except RunError as error:
            pipe.send((False, ("RunError", (error.what, error.where, error.hint))))
        except NotImplementedError as error:
            pipe.send((False, ("NotImplementedError", str(error))))
        except Exception as error:
            traceback.print_exc()
            pipe.send((False, (type(error).__name__, f"{type(error).__name__}: {error}")))


def _peak_gib(spec: Spec | None) -> float:
    if spec and spec.device == "cuda":
        import torch

        free, total = torch.cuda.mem_get_info()
        return max(torch.cuda.max_memory_reserved(), total - free) / 2**30
    with open("/proc/self/status") as stream:  # getrusage also counts what the parent held when it forked
        (kib,) = (int(line.split()[1]) for line in stream if line.startswith("VmHWM"))
    return kib / 2**20
