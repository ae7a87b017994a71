"""TRL's vLLM as a server: started on a GPU of its own, waited for, and ended with the run.

It starts while the libraries are imported and the model is loaded. It listens on this machine only: vLLM's development
endpoints, through which TRL sends weights, check no credentials.

Source: ``trl.scripts.vllm_serve.build_command`` for what TRL asks of a server.
"""

from __future__ import annotations

import contextlib
import functools
import http.client
import importlib.util
import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rlexp.backend import compile_cache
from rlexp.backend.engine.arguments import defaults, over
from rlexp.backend.engine.engine import LAUNCHED, free_port
from rlexp.compose.run import Run
from rlexp.compose.schema import VllmMode
from rlexp.errors import RunError
from rlexp.nvidia import gpus

LOG = "server.log"
"""The server's output, below the run folder."""
OTHERS = "rollout=colocate, or rollout=unsloth"
MOST_AT_ONCE = 1024
"""Sequences that are decoded together; more wait."""
SHOWN = 8
"""Lines of the log in a message."""
PREFIX = re.compile(r"(?:\(\w+ pid=\d+\) )?(?:[A-Z]+ [\d-]+ [\d:]+ \[[^]]*\] ?)?")
"""What vLLM puts in front of a line: process, level, time and place."""
PLACES = ("Traceback ", "  File ", "    ")
"""How the lines of a traceback begin that say where, not what."""
DYING_S = 20.0
"""Seconds that a server which no longer answers is given to log why and to end."""
END_S = 15.0
"""Seconds that ``guard`` is given to end the server."""
LAUNCHERS = (*LAUNCHED, "VLLM_ENABLE_V1_MULTIPROCESSING")
"""Environment variables of an engine in this process, to whose group the server does not belong."""


def command(run: Run, model_dir: Path | None) -> list[str]:
    """The command line of the server, ``vllm serve`` from ``serve`` on.

    Args:
        model_dir: the base model's folder; None for a hub id.
    """
    rollout = run.rollout
    options = {
        "host": "127.0.0.1",
        "port": rollout.server_port,
        "dtype": run.hardware.dtype.name,
        "max-model-len": run.model.max_seq_length,
        "max-num-seqs": min(run.geometry.sequences_per_step, MOST_AT_ONCE),
        "gpu-memory-utilization": rollout.gpu_memory_utilization,
        "seed": run.seed,
        # The probabilities that completions were sampled with, which the importance ratio needs.
        "logprobs-mode": "processed_logprobs",
        "max-logprobs": -1,
        # The model's generation_config.json must not cut completions or change how they are sampled.
        "generation-config": "vllm",
        "weight-transfer-config": json.dumps({"backend": "nccl"}),
        "uvicorn-log-level": "warning",
    }
    if model_dir is None and run.model.revision:
        options["revision"] = run.model.revision
    words = [part for name, value in options.items() for part in (f"--{name}", str(value))]
    eager = ["--enforce-eager"] if rollout.enforce_eager else []
    return ["serve", str(model_dir or run.model.hub_id), *words, *eager, *flags(over(defaults(run), rollout.engine))]


def flags(engine: dict[str, Any]) -> list[str]:
    """``rollout.engine`` as options of ``vllm serve``, where the last of two equal options counts."""
    words = []
    for name, value in engine.items():
        flag = name.replace("_", "-")
        if isinstance(value, bool):
            words.append(f"--{flag}" if value else f"--no-{flag}")
        elif isinstance(value, list):
            words += [f"--{flag}", *map(str, value)]
        elif value is not None:
            words += [f"--{flag}", json.dumps(value) if isinstance(value, dict) else str(value)]
    return words


def typed(run: Run) -> str:
    """The command as one would type it, for a server that one starts oneself."""
    model_dir = Path(run.model.path) if run.model.path else None
    return f"VLLM_SERVER_DEV_MODE=1 {shlex.join(['vllm', *command(run, model_dir)])}"


@functools.cache
def visible() -> tuple[str, ...]:
    """The GPUs of this process as CUDA_VISIBLE_DEVICES names them; read once, since a run leaves itself only one."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is not None:
        return tuple(name.strip() for name in named.split(",") if name.strip())
    return tuple(str(number) for number in range(len(gpus())))


def check(run: Run) -> None:
    """Refuses a run whose vLLM is not installed, or whose server cannot be started or, where one is named, be used.

    Raises:
        RunError: vLLM is missing, there is no GPU for it, a port is taken, or the named server is not fit.
    """
    rollout = run.rollout
    if rollout.vllm and importlib.util.find_spec("vllm") is None:
        raise RunError(
            "vLLM is not installed",
            where=f"rollout={rollout.name}" + (f" (auto: {rollout.why})" if rollout.why else ""),
            hint="pip install -c constraints-gpu.txt -e '.[gpu]', or type rollout=generate",
        )
    if rollout.vllm_mode is not VllmMode.server:
        return
    if rollout.server_url:
        _check_running(run)
        return
    if len(visible()) <= rollout.server_gpu:
        count = f"{len(visible())} GPU{'' if len(visible()) == 1 else 's'}"
        raise RunError(
            f"the server has GPU {rollout.server_gpu} to itself (the trainer has 0), and {count} can be seen",
            where="rollout.server_gpu, CUDA_VISIBLE_DEVICES",
            hint=f"type {OTHERS}; a server elsewhere: rollout.server_url=http://HOST:PORT",
        )
    for name in ("server_port", "group_port"):
        if not _is_free(getattr(rollout, name)):
            raise RunError(
                f"port {getattr(rollout, name)} is taken on this machine",
                where=f"rollout.{name}",
                hint=f"type rollout.{name}={free_port()}; a server that runs already: rollout.server_url=...",
            )


def _check_running(run: Run) -> None:
    """Refuses a named server that does not answer, takes no weights, or holds shorter sequences than the run's."""
    hint = f"start it so: {typed(run)}"
    try:
        model = _get_json(f"{run.rollout.address}/v1/models")["data"][0]
        longest = model.get("max_model_len") or run.model.max_seq_length
        _get_json(f"{run.rollout.address}/get_world_size")
    except urllib.error.HTTPError as error:
        fault = f"{run.rollout.address} answers {error.code}: it takes no weights"
        raise RunError(fault, where="rollout.server_url", hint=hint) from error
    except (OSError, http.client.HTTPException, ValueError, TypeError, LookupError, AttributeError) as error:
        fault = f"no vLLM server answers at {run.rollout.address}: {getattr(error, 'reason', error)}"
        raise RunError(fault, where="rollout.server_url", hint=hint) from error
    if longest < run.model.max_seq_length:
        raise RunError(
            f"the server holds sequences of {longest} tokens, and the run has {run.model.max_seq_length}",
            where="rollout.server_url, model.max_seq_length",
            hint=hint,
        )


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
            if _answers(f"{self.address}/health"):
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
        if self.answered and not _answers(f"{self.address}/health"):
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
    check(run)
    if run.rollout.vllm_mode is not VllmMode.server or run.rollout.server_url:
        yield None
        return
    devices = visible()
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
    arguments = [sys.executable, "-m", "vllm.entrypoints.cli.main", *command(run, model_dir)]
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


def _get_json(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=5) as answer:
        return json.load(answer)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return answer.status == 200
    except (OSError, http.client.HTTPException, ValueError):
        return False


def _is_free(port: int) -> bool:
    with socket.socket() as candidate:
        candidate.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            candidate.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
