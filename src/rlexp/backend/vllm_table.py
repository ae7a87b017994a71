"""Writes two tables from vLLM's sources: the argument names that ``compose`` checks ``rollout.engine`` against, and the
private names of ``patches.surface`` that are there.

``python -m rlexp.backend.vllm_table [FOLDER]`` rewrites ``compose/vllm_arguments.json`` and ``patches/vllm_names.json``
from the installed vLLM, or from its sources in FOLDER. The sources are read, not imported, so that it needs no GPU;
where vLLM is installed, tests do the same in memory and compare.
"""

from __future__ import annotations

import ast
import importlib.util
import json
import re
import sys
from pathlib import Path
from typing import Any

from rlexp.backend.patches.surface import VLLM

TABLE = Path(__file__).parents[1] / "compose" / "vllm_arguments.json"
NAMES = Path(__file__).parent / "patches" / "vllm_names.json"
CLASSES = {
    "engine": ("engine/arg_utils.py", "EngineArgs"),
    "compilation_config": ("config/compilation.py", "CompilationConfig"),
    "sampling_params": ("sampling_params.py", "SamplingParams"),
}
"""Taker of the names -> the file and the class that declares them."""


def installed() -> Path | None:
    """The folder of the installed vLLM, which is not imported; None without one."""
    spec = importlib.util.find_spec("vllm")
    return Path(spec.origin).parent if spec and spec.origin else None


def table(folder: Path) -> dict[str, Any]:
    """The version, and the names that each of CLASSES may be given, in alphabetical order.

    Args:
        folder: vLLM's package.
    """
    return {
        "vllm": _version(folder),
        **{key: _names(folder / path, name) for key, (path, name) in CLASSES.items()},
    }


def _version(folder: Path) -> str | None:
    stated = re.search(r"""^__version__ = version = ['"]([^'"+]+)""", (folder / "_version.py").read_text(), re.M)
    return stated[1] if stated else None


def _names(file: Path, name: str) -> list[str]:
    """The fields of a dataclass that its constructor takes."""
    body = next(c.body for c in ast.parse(file.read_text()).body if isinstance(c, ast.ClassDef) and c.name == name)
    return sorted(
        field.target.id
        for field in body
        if isinstance(field, ast.AnnAssign)
        and isinstance(field.target, ast.Name)
        and not field.target.id.startswith("_")
        and "init=False" not in ast.unparse(field)
    )


def private(folder: Path) -> dict[str, Any]:
    """The version, and of the names in ``surface.VLLM`` those that the sources have.

    Args:
        folder: vLLM's package.
    """
    names: dict[str, list[str]] = {}
    for place, used in VLLM.items():
        path, _, holder = place.partition(":")
        file = folder / path
        known = _defined(ast.parse(file.read_text()), holder) if file.is_file() else set()
        names[place] = [name for name in used if name in known]
    return {"vllm": _version(folder), "names": names}


def _defined(tree: ast.Module, holder: str) -> set[str]:
    """The names that a module, a class in it (with ``self.NAME = ...`` in its methods) or a function defines."""
    if not holder:
        return _bound(tree.body)
    name = holder.removesuffix("()")
    node = next((n for n in ast.walk(tree) if isinstance(n, ast.ClassDef | ast.FunctionDef) and n.name == name), None)
    if isinstance(node, ast.FunctionDef):
        return {argument.arg for argument in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)}
    if node is None:
        return set()
    own = {
        part.attr
        for part in ast.walk(node)
        if isinstance(part, ast.Attribute)
        and isinstance(part.ctx, ast.Store)
        and isinstance(part.value, ast.Name)
        and part.value.id == "self"
    }
    return own | _bound(node.body)


def _bound(body: list[ast.stmt]) -> set[str]:
    """The names that statements bind: functions, classes, and assigned names."""
    names: set[str] = set()
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        targets = node.targets if isinstance(node, ast.Assign) else []
        targets = [node.target] if isinstance(node, ast.AnnAssign) else targets
        names |= {target.id for target in targets if isinstance(target, ast.Name)}
    return names


def text(content: dict[str, Any]) -> str:
    """A table as its file holds it."""
    return json.dumps(content, indent=1) + "\n"


if __name__ == "__main__":
    where = Path(sys.argv[1]) if len(sys.argv) > 1 else installed()
    if where is None:
        raise SystemExit("vLLM is not installed: name the folder of its sources")
    TABLE.write_text(text(table(where)))
    NAMES.write_text(text(private(where)))
