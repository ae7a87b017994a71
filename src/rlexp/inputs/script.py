"""Python files of the team, by path: loaded from their source, or run in a process of their own."""

from __future__ import annotations

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from types import ModuleType
from typing import Any


def load_script(script: Path) -> ModuleType:
    """The module of a Python file, from its source as it stands now: byte code of an earlier one is never taken."""
    module = ModuleType(f"{script.parent.name}.{script.stem}")
    module.__file__ = str(script)
    exec(compile(script.read_bytes(), str(script), "exec", dont_inherit=True), module.__dict__)
    return module


def run_in_subprocess(function: Any, *arguments: Any) -> None:
    """Calls ``function(*arguments)`` in a process of its own; what it raises is raised here."""
    with ProcessPoolExecutor(max_workers=1, mp_context=multiprocessing.get_context("spawn")) as pool:
        pool.submit(function, *arguments).result()
