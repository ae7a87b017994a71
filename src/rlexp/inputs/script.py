"""Python files of the team, by path: loaded from their source, held against the project, run in a process of their own.

What such a file does wrong is one message with its line: it raises, is no Python, ends its process, or never ends.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import multiprocessing
import sys
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

    Args:
        script: the file of the team that it runs.
        file: how that is shown, from the project folder.
        patience: seconds it may take; None for as long as it takes.

    Raises:
        RunError: it raised; anything but a RunError becomes one, with the line of the script.
        Ended: its process ended without an answer.
        TimeoutError: it took longer.
    """
    context = multiprocessing.get_context("spawn")
    reader, writer = context.Pipe(duplex=False)
    process = context.Process(target=_answer, args=(writer, script, file, function, arguments))
    process.start()
    writer.close()
    try:
        if not connection.wait([reader, process.sentinel], patience):
            raise TimeoutError
        # It may have answered and ended at once.
        answered, answer = reader.recv() if reader.poll() else (None, None)
    except EOFError:
        answered, answer = None, None
    except BaseException:  # out of patience, or Ctrl-C
        process.kill()
        raise
    finally:
        reader.close()
        process.join(LINGER_S)
        process.kill()
        process.join()
    if answered is None:
        code = process.exitcode or 0
        raise Ended(f"ended its process (exit code {code})" if code >= 0 else f"was killed by signal {-code}")
    if isinstance(answer, RunError):
        raise answer
    return answer


def _answer(
    writer: connection.Connection, script: Path, file: str, function: Callable[..., Any], arguments: tuple[Any, ...]
) -> None:
    try:
        answer: tuple[bool, Any] = True, function(*arguments)
    except RunError as error:
        answer = False, error
    except BaseException as error:  # SystemExit too: it would look like success
        hint = f"pip install {error.name}" if isinstance(error, ModuleNotFoundError) and error.name else None
        raised = RunError(f"{file} raised {format_error(error)}", line_of(script, file, error), hint)
        answer = False, disk_fault(error) or raised
    writer.send(answer)


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
