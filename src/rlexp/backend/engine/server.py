"""TRL's vLLM as a server: started on a GPU of its own, waited for, and ended with the run.

It starts while the libraries are imported and the model is loaded. It listens on this machine only: vLLM's development
endpoints, through which TRL sends weights, check no credentials.

Source: ``trl.scripts.vllm_serve.build_command`` for what TRL asks of a server.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from rlexp import nvidia, secrets
from rlexp.backend import compile_cache
from rlexp.backend.engine import server_command
from rlexp.backend.engine.engine import LAUNCHED
from rlexp.backend.engine.server_command import OTHERS, answers
from rlexp.compose.run import Run
from rlexp.compose.schema import VllmMode
from rlexp.errors import RunError

LOG = "server.log"
"""The server's output, below the run folder."""
SHOWN = 8
"""Lines of the log in a message."""
PREFIX = re.compile(r"(?:\(\w+ pid=\d+\) )?(?:[A-Z]+ [\d-]+ [\d:]+ \[[^]]*\] ?)?")
"""The prefix that vLLM puts in front of a line: process, level, time and place."""
PLACES = ("Traceback ", "  File ", "    ")
"""Beginnings of the lines of a traceback that say where, not what."""
DYING_S = 20.0
"""Seconds that a server which no longer answers is given to log why and to end."""
END_S = 15.0
"""Seconds that ``guard`` is given to end the server."""
LAUNCHERS = (*LAUNCHED, "VLLM_ENABLE_V1_MULTIPROCESSING")
"""Environment variables of an engine in this process, to whose group the server does not belong."""


class Server:
    """A server that was started.

    Args:
        log: the file that its output goes to.
        seconds: the time that it may take until it answers.
    """

    def __init__(self, arguments: list[str], environment: dict[str, str], address: str, log: Path, seconds: float):
        self.address, self.log, self.seconds = address, log, seconds
        self.began, self.answered = time.monotonic(), False
        guard = [sys.executable, "-I", str(Path(__file__).with_name("server_guard.py")), str(os.getpid())]
        with log.open("wb") as stream:
            # A process group of its own: Ctrl-C ends the run first, and the run ends the server.
            self.process = subprocess.Popen(
                [*guard, *arguments],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                process_group=0,
            )

    def wait(self) -> None:
        """Waits until it answers.

        Raises:
            RunError: it ended, or took too long.
        """
        while True:
            self.require()
            if answers(f"{self.address}/health"):
                self.answered = True
                return
            if time.monotonic() - self.began > self.seconds:
                raise RunError(
                    f"the vLLM server did not answer within {self.seconds:g} s\n{self.tail()}",
                    where=str(self.log),
                    hint=f"type rollout.server_timeout={2 * self.seconds:g}, or rollout.enforce_eager=true",
                )
            time.sleep(0.2)

    def require(self) -> None:
        """Does nothing while it runs.

        Raises:
            RunError: it has ended.
        """
        code = self.process.poll()
        if code is not None:
            by = f" ({signal.Signals(code - 128).name})" if code - 128 in set(signal.Signals) else ""
            raise RunError(
                f"the vLLM server ended with exit code {code}{by}\n{self.tail()}",
                where=str(self.log),
                hint=f"the log says why; out of memory: rollout.gpu_memory_utilization; or type {OTHERS}",
            )

    def let_end(self) -> None:
        """Lets a server that has answered and no longer does log why, and end."""
        if self.answered and not answers(f"{self.address}/health"):
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(DYING_S)

    def tail(self) -> str:
        """The last lines of its log; of a traceback only what was raised."""
        lines = [PREFIX.sub("", line) for line in self.log.read_text(errors="replace").splitlines()]
        messages = [line for line in lines if line.strip() and not line.startswith(PLACES)]
        return "\n".join(f"  | {line}" for line in messages[-SHOWN:])

    def end(self) -> None:
        """Ends it and what it started."""
        self.process.terminate()
        try:
            self.process.wait(END_S)
        except subprocess.TimeoutExpired:  # the guard is stuck itself; the server gets SIGTERM when it is gone
            self.process.kill()
            self.process.wait()
        secrets.clean_file(self.log)


@contextlib.contextmanager
def started(run: Run, model_dir: Path | None, run_dir: Path) -> Iterator[Server | None]:
    """The server of a run, starting; None where the run needs none started. It ends with the block.

    This process keeps the first GPU; call it before CUDA is in use.

    Args:
        model_dir: the base model's folder; None for a hub id.
        run_dir: the run folder, in which the log lies.

    Raises:
        RunError: it cannot be started, or had ended before an error of the block.
    """
    server_command.validate(run)
    if run.rollout.vllm_mode is not VllmMode.server or run.rollout.server_url:
        yield None
        return
    devices = nvidia.visible()
    compile_cache.keep()
    environment = {name: value for name, value in os.environ.items() if name not in LAUNCHERS}
    os.environ["CUDA_VISIBLE_DEVICES"] = devices[0]
    # Where the trainer waits for the server when they meet to exchange weights.
    os.environ["VLLM_HOST_IP"] = "127.0.0.1"
    environment |= {
        "CUDA_VISIBLE_DEVICES": devices[run.rollout.server_gpu],
        "VLLM_HOST_IP": "127.0.0.1",
        "VLLM_SERVER_DEV_MODE": "1",
    }
    arguments = [sys.executable, "-m", "vllm.entrypoints.cli.main", *server_command.command(run, model_dir)]
    server = Server(arguments, environment, run.rollout.address, run_dir / LOG, run.rollout.server_timeout)
    try:
        yield server
    except RunError:
        raise
    except Exception as error:
        server.let_end()
        try:
            server.require()
        except RunError as ended:
            raise ended from error
        raise
    finally:
        server.end()
