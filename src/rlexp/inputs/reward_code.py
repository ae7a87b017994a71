"""The identity of a reward's code: what it computes, whatever its comments, spacing and cases say."""

from __future__ import annotations

import ast
import functools
import hashlib
import io
import token
import tokenize
from collections.abc import Iterator
from pathlib import Path

UNCOUNTED = {"version", "cases", "bounds", "ignores"}
"""Top-level names whose values are no part of how a completion is scored."""
EXPLAINS = "explain"
"""The function that words a score for ``inspect``; it is no part of it either."""
SCORING = {"rlexp.reward.mathematics": "reward/mathematics"}
"""Packages that a reward file may import and that decide what it scores -> their folder in rlexp."""
PACKAGE = Path(__file__).parents[1]
NEWLINE, INDENT, DEDENT = "\n", "\t", "\b"
"""The ends of statements and blocks in the list of tokens; nothing else in it reads like them."""


@functools.cache
def code_md5(text: str) -> str:
    """The md5 of what a reward file computes: its tokens without comments, docstrings, ``version``, ``cases`` and
    ``explain()``.

    Blank lines and spacing do not count either; literals count as they are written. Every version of Python gives the
    same hash.

    Raises:
        SyntaxError: the text is not Python.
    """
    uncounted = list(_uncounted(text))
    kept: list[str] = []
    open_blocks = 0
    for start, string in _tokens(text):
        inside = any(first <= start < last for first, last in uncounted)
        if string == DEDENT and open_blocks:  # a block's end stands where the next statement begins
            open_blocks -= 1
            continue
        if inside and string != DEDENT:
            open_blocks += string == INDENT
            continue
        # An empty statement, which is what a docstring leaves behind, is none.
        if string != NEWLINE or (kept and kept[-1] not in (NEWLINE, INDENT, DEDENT, ":")):
            kept.append(string)
    return hashlib.md5("\0".join(kept).encode()).hexdigest()


def scoring_md5(text: str) -> str:
    """The md5 of all that says what a reward file scores: its code, and the packages of SCORING that it imports.

    Raises:
        SyntaxError: the text is not Python.
    """
    modules = [node.module or "" for node in ast.walk(ast.parse(text)) if isinstance(node, ast.ImportFrom)]
    folders = [folder for package, folder in SCORING.items() if any(name.startswith(package) for name in modules)]
    files = [file for folder in folders for file in sorted((PACKAGE / folder).glob("*.py"))]
    codes = [code_md5(text), *(f"{file.name} {code_md5(file.read_text(encoding='utf-8'))}" for file in files)]
    return hashlib.md5("\n".join(codes).encode()).hexdigest() if files else codes[0]


def _tokens(text: str) -> Iterator[tuple[tuple[int, int], str]]:
    """(place, text) of every token that counts. Python 3.12 began to cut f-strings into tokens: here each is one."""
    opens, closes = getattr(token, "FSTRING_START", None), getattr(token, "FSTRING_END", None)
    lines, depth, began = text.split("\n"), 0, (0, 0)
    for item in tokenize.generate_tokens(io.StringIO(text).readline):
        if item.type == opens:
            began = began if depth else item.start
            depth += 1
        elif item.type == closes:
            depth -= 1
            if not depth:
                yield began, _between(lines, began, item.end)
        elif depth or item.type in (token.COMMENT, token.NL, token.ENDMARKER):
            continue
        elif item.type == token.NEWLINE or item.string == ";":
            yield item.start, NEWLINE
        else:
            yield item.start, {token.INDENT: INDENT, token.DEDENT: DEDENT}.get(item.type, item.string)


def _between(lines: list[str], start: tuple[int, int], end: tuple[int, int]) -> str:
    selected = lines[start[0] - 1 : end[0]]
    selected[-1] = selected[-1][: end[1]]
    selected[0] = selected[0][start[1] :]
    return "\n".join(selected)


def _uncounted(text: str) -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
    """(first place, place behind) of every statement that does not count; a place is a line and its character."""
    tree, lines = ast.parse(text), text.split("\n")
    read = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}
    unread = UNCOUNTED - read  # cases that score() looks at are part of how it scores
    found: list[ast.stmt] = [node for node in tree.body if assigned(node) and unread.issuperset(assigned(node))]
    if EXPLAINS not in read:
        found += [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == EXPLAINS]
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found += node.body[:1] if ast.get_docstring(node, clean=False) is not None else []

    def place(line: int, byte: int) -> tuple[int, int]:
        return line, len(lines[line - 1].encode()[:byte].decode())

    for node in found:
        assert node.end_lineno is not None and node.end_col_offset is not None
        yield place(node.lineno, node.col_offset), place(node.end_lineno, node.end_col_offset)


def assigned(node: ast.stmt) -> list[str | None]:
    """The names a statement assigns to; None for a target that is no plain name."""
    if isinstance(node, ast.Assign):
        targets = node.targets
    elif isinstance(node, ast.AnnAssign | ast.AugAssign):
        targets = [node.target]
    else:
        return []
    return [target.id if isinstance(target, ast.Name) else None for target in targets]
