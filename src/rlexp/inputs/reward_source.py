"""A reward file read as source: what its ``score`` wants, without importing it.

A reward may import anything (sympy, a model); ``plan`` must not pay for that, so the signature is read from the
syntax tree.
"""

from __future__ import annotations

import ast
import hashlib
import io
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rlexp.errors import RunError
from rlexp.inputs.digest import file_md5

PROVIDED = ("completions", "prompts", "completion_ids")
"""What the trainer hands to every reward; any other positional name is a column of the data set."""
UNCOUNTED = {"version", "cases"}
"""Top-level names whose values are no part of how a completion is scored."""


@dataclass(frozen=True)
class RewardSource:
    """The identity and signature of a reward file."""

    file: str
    """The Python file, from the project folder."""
    path: Path
    """Where it was read: the project's own, or the copy that a lock keeps."""
    md5: str
    """Of the whole file."""
    code_md5: str
    """Of what counts for a version (``code_md5``)."""
    version: int
    reads: tuple[str, ...]
    """The positional parameters of ``score``: what the trainer provides, and data-set columns."""
    params: tuple[str, ...]
    """Its keyword-only parameters, set by reward.terms.<name>.params."""
    required_params: tuple[str, ...]
    """Those of them without a default."""

    @property
    def columns(self) -> tuple[str, ...]:
        """The data-set columns that ``score`` reads."""
        return tuple(name for name in self.reads if name not in PROVIDED)


def read(root: Path, file: str) -> RewardSource:
    """Reads the signature of ``score`` and the version of the reward at ``root/file``.

    Raises:
        RunError: the file is missing, is not Python, or has no ``version`` or ``score``.
    """
    path = root / file
    if not path.is_file():
        present = sorted(p.relative_to(root).as_posix() for p in (root / "rewards").glob("*.py"))
        raise RunError(f"there is no reward file {file}", hint=f"one of: {', '.join(present)}")
    try:
        text = path.read_text()
        tree = ast.parse(text, filename=file)
    except SyntaxError as error:
        raise RunError(f"the reward is not valid Python: {error.msg}", where=f"{file}:{error.lineno}") from error
    score = next((n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == "score"), None)
    if score is None:
        raise RunError("the reward has no function named score", where=file, hint="def score(completions, ...): ...")
    version = next((_assigned(node) for node in tree.body if _assigns(node, "version")), None)
    if not isinstance(version, int):
        raise RunError("the reward says no version", where=file, hint="add a line: version = 1")
    positional = [arg.arg for arg in (*score.args.posonlyargs, *score.args.args)]
    keyword = [arg.arg for arg in score.args.kwonlyargs]
    required = [name for name, default in zip(keyword, score.args.kw_defaults, strict=True) if default is None]
    signature = (tuple(positional), tuple(keyword), tuple(required))
    return RewardSource(file, path, file_md5(path), code_md5(text), version, *signature)


def _assigns(node: ast.stmt, name: str) -> bool:
    return isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == name for t in node.targets)


def _assigned(node: ast.stmt) -> object:
    return node.value.value if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant) else None


def code_md5(text: str) -> str:
    """The md5 of what a reward file computes: its source without comments, docstrings, blank lines, version and cases.

    Raises:
        SyntaxError: the text is not Python.
    """
    lines = text.splitlines()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            line, column = token.start
            lines[line - 1] = lines[line - 1][:column]
    for node in _uncounted(ast.parse(text)):
        last = node.end_lineno or node.lineno
        lines[node.lineno - 1 : last] = [""] * (last - node.lineno + 1)
    code = "\n".join(line.rstrip() for line in lines if line.strip())
    return hashlib.md5(code.encode()).hexdigest()


def _uncounted(tree: ast.Module) -> Iterator[ast.stmt]:
    for node in tree.body:
        targets = (
            node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        )
        if any(isinstance(target, ast.Name) and target.id in UNCOUNTED for target in targets):
            yield node
    for parent in ast.walk(tree):
        if isinstance(parent, ast.Module | ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            first = parent.body[0]
            docstring = ast.get_docstring(parent, clean=False) is not None
            if docstring and (isinstance(parent, ast.Module) or first.lineno > parent.lineno):
                yield first
