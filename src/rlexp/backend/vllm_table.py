"""Writes the table of vLLM's argument names that ``compose`` checks ``rollout.engine`` against.

``python -m rlexp.backend.vllm_table [FOLDER]`` rewrites ``compose/vllm_arguments.json`` from the installed vLLM, or
from its sources in FOLDER. The sources are read, not imported, so that it needs no GPU; where vLLM is installed, a test
does the same in memory and compares.
"""

from __future__ import annotations

import ast
import importlib.util
import json
import re
import sys
from pathlib import Path
from typing import Any

TABLE = Path(__file__).parents[1] / "compose" / "vllm_arguments.json"
CLASSES = {
    "engine": ("engine/arg_utils.py", "EngineArgs"),
    "compilation_config": ("config/compilation.py", "CompilationConfig"),
}
"""What takes the names -> the file and the class that declares them."""


def installed() -> Path | None:
    """The folder of the installed vLLM, which is not imported; None without one."""
    found = importlib.util.find_spec("vllm")
    return Path(found.origin).parent if found and found.origin else None


def table(folder: Path) -> dict[str, Any]:
    """The version, and the names that each of CLASSES may be given, in alphabetical order.

    Args:
        folder: vLLM's package.
    """
    version = re.search(r"""^__version__ = version = ['"]([^'"+]+)""", (folder / "_version.py").read_text(), re.M)
    return {
        "vllm": version and version[1],
        **{key: _names(folder / path, name) for key, (path, name) in CLASSES.items()},
    }


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


def text(folder: Path) -> str:
    """The table as the file holds it."""
    return json.dumps(table(folder), indent=1) + "\n"


if __name__ == "__main__":
    where = Path(sys.argv[1]) if len(sys.argv) > 1 else installed()
    if where is None:
        raise SystemExit("vLLM is not installed: name the folder of its sources")
    TABLE.write_text(text(where))
