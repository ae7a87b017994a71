"""Python files of the team, by path: loaded from their source, held against the project, run in a process of their own.

What such a file does wrong is one message with its line: it raises, is no Python, ends its process, or never ends.
"""

from __future__ import annotations

import ast
import contextlib
import hashlib
import importlib.util
import math
import multiprocessing
import os
import subprocess
import sys
import time
from collections.abc import Callable
from multiprocessing import connection
from pathlib import Path
from types import ModuleType
from typing import Any

from rlexp.errors import RunError
from rlexp.files import disk_fault
from rlexp.inputs.raised import format_error, line_of

LINGER_S = 10.0
"""Seconds that a process has to end by itself once it has answered."""
LOOK_S = 0.5
"""Seconds between two looks whether a process is still there, whose pipe something that it started may hold open."""
PROGRAM = (
    "import sys; from multiprocessing.connection import Connection; pipe = Connection({pipe});"
    " sys.path[:] = pipe.recv(); from rlexp.inputs.script import answer; answer(pipe)"
)
"""The program of such a process. Its sys.path is that of its parent, so that the same imports find the same files."""


def load_script(script: Path) -> ModuleType:
    """The module of a Python file, from its source as it stands now: byte code of an earlier one is never taken."""
    # Dataclasses and pickle look a class's module up by its name, which no other file may share.
    name = f"{script.parent.name}.{script.stem}@{hashlib.md5(str(script).encode()).hexdigest()[:8]}"
    module = ModuleType(name)
    module.__file__ = str(script)
    sys.modules[name] = module
    exec(compile(script.read_bytes(), str(script), "exec", dont_inherit=True), module.__dict__)
    return module


class Ended(Exception):
    """A process ended before it answered; the message says how."""


def run_script(script: Path, file: str, function: Callable[..., Any], *arguments: Any) -> Any:
    """Calls ``function(script, *arguments)`` in a process of its own: it may import torch or transformers, which must
    not happen here before Unsloth is imported.

    Args:
        file: the script, from the project folder.

    Raises:
        RunError: the script refused, raised, or ended its process.
    """
    try:
        return in_process(script, file, None, function, script, *arguments)
    except Ended as error:
        raise RunError(
            f"{file} {error} before it answered", where=file, hint="it must answer, not end the process"
        ) from error


def in_process(script: Path, file: str, patience: float | None, function: Callable[..., Any], *arguments: Any) -> Any:
    """The answer of ``function(*arguments)`` from a process of its own, which ends with it.

    It is a new interpreter that knows nothing of this one: neither a fork, which would copy threads, nor
    multiprocessing's spawn, which imports the main module again and so needs a guard in every script.

    Args:
        script: the file of the team that it runs.
        file: how that is shown, from the project folder.
        patience: seconds it may take; None for as long as it takes.

    Raises:
        RunError: it raised; anything but a RunError becomes one, with the line of the script.
        Ended: its process ended without an answer.
        TimeoutError: it took longer.
    """
    pipe, other_end = multiprocessing.Pipe()
    command = [sys.executable, "-c", PROGRAM.format(pipe=other_end.fileno())]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, pass_fds=(other_end.fileno(),))
    other_end.close()
    try:
        with contextlib.suppress(OSError):  # it has ended already: seen below
            pipe.send(sys.path)
            pipe.send((script, file, function, arguments))
        answered, answer = _received(pipe, process, patience)
    except BaseException:  # out of patience, or Ctrl-C
        process.kill()
        raise
    finally:
        pipe.close()
        try:
            process.wait(LINGER_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    if not answered:
        code = process.returncode
        raise Ended(f"ended its process (exit code {code})" if code >= 0 else f"was killed by signal {-code}")
    if isinstance(answer, RunError):
        raise answer
    return answer


def _received(
    pipe: connection.Connection, process: subprocess.Popen[bytes], patience: float | None
) -> tuple[bool, Any]:
    """(whether it answered, its answer); waits until it does, or has ended.

    Raises:
        TimeoutError: it took longer than ``patience`` seconds.
    """
    end = math.inf if patience is None else time.monotonic() + patience
    while not pipe.poll(max(0.0, min(LOOK_S, end - time.monotonic()))):
        if process.poll() is not None and not pipe.poll(0):
            return False, None
        if time.monotonic() >= end:
            raise TimeoutError
    try:
        return True, pipe.recv()
    except (EOFError, OSError):
        return False, None


def answer(pipe: connection.Connection) -> None:
    """The life of such a process: receives (script, file, function, arguments), and sends an answer or a RunError."""
    os.set_inheritable(pipe.fileno(), False)
    script, file, function, arguments = pipe.recv()
    try:
        found: Any = function(*arguments)
    except RunError as error:
        found = error
    except BaseException as error:  # SystemExit too: it would look like success
        hint = f"pip install {error.name}" if isinstance(error, ModuleNotFoundError) and error.name else None
        raised = RunError(f"{file} raised {format_error(error)}", line_of(script, file, error), hint)
        found = disk_fault(error) or raised
    pipe.send(found)


def refuse_project_imports(tree: ast.Module, root: Path, file: str, what: str) -> None:
    """Refuses a file that imports another one of the project, which could change unseen.

    Args:
        what: what the file is, for the message: ``reward``.

    Raises:
        RunError: it does; the message names the line.
    """
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = ["." * node.level + (node.module or "")]
        else:
            continue
        for name in names:
            if name.startswith(".") or _of_project(name.partition(".")[0], root, (root / file).parent):
                raise RunError(
                    f"the {what} imports {name}, another file of the project: a lock holds the {what}'s own file only",
                    where=f"{file}:{node.lineno}",
                    hint=f"put that code into {file} itself, or into an installed package",
                )


def _of_project(name: str, root: Path, folder: Path) -> bool:
    own = [root / name, root / f"{name}.py", folder / f"{name}.py"]
    if name == "rlexp" or not any(path.exists() for path in own):
        return False
    # wandb/ is a folder of runs, and rewards/json.py no rival of json: Python would import the installed one.
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        spec = None
    return spec is None or spec.origin is None or Path(spec.origin) in {*own, root / name / "__init__.py"}
