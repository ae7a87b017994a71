"""Python files of the team, by path: loaded from their source, or run in a process of their own."""

from __future__ import annotations

import ast
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any


def load_script(script: Path) -> ModuleType:
    """The module of a Python file, from its source as it stands now: byte code of an earlier one is never taken."""
    module = ModuleType(f"{script.parent.name}.{script.stem}")
    module.__file__ = str(script)
    exec(compile(script.read_bytes(), str(script), "exec", dont_inherit=True), module.__dict__)
    return module


@dataclass(frozen=True)
class Parameter:
    """A parameter of a script's function, as its source states it."""

    annotation: str
    """Its type as it is written; empty without one."""
    required: bool


def parameters(script: Path, name: str) -> dict[str, Parameter] | None:
    """The parameters of a function of a script, read from its source and not run.

    Returns:
        None where there is no such function, where it takes any (``**``), or where the source cannot be read: running
        it says why.
    """
    try:
        body = ast.parse(script.read_bytes()).body
    except (OSError, SyntaxError, ValueError):
        return None
    function = next((node for node in body if isinstance(node, ast.FunctionDef) and node.name == name), None)
    if function is None or function.args.kwarg:
        return None
    named = [*function.args.posonlyargs, *function.args.args]
    free = len(named) - len(function.args.defaults)
    found = {item.arg: Parameter(_text(item.annotation), n < free) for n, item in enumerate(named)}
    for item, default in zip(function.args.kwonlyargs, function.args.kw_defaults, strict=True):
        found[item.arg] = Parameter(_text(item.annotation), default is None)
    return found


def _text(annotation: ast.expr | None) -> str:
    return ast.unparse(annotation) if annotation else ""


def run_in_subprocess(function: Any, *arguments: Any) -> None:
    """Calls ``function(*arguments)`` in a process of its own; what it raises is raised here."""
    with ProcessPoolExecutor(max_workers=1, mp_context=multiprocessing.get_context("spawn")) as pool:
        pool.submit(function, *arguments).result()
