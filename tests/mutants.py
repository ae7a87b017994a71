"""``make mutants``: breaks the code in small ways and asks whether the tests notice. Not part of any test run.

A mutant is one change of one place in ``compose/``, ``record/`` or ``reward/`` (a comparison turned round, a number off
by one, a line left out). Each is made in a scratch copy of the repository, and only the test file that mirrors its
module is run on it, for at most LIMIT seconds: a failure, or no end in that time, kills the mutant. Texts are left
alone: most are messages. mutmut and cosmic-ray draw no sample by a seed, and run one set of tests for all modules.
"""

from __future__ import annotations

import argparse
import ast
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
FOLDERS = ("compose", "record", "reward")
LIMIT = 20.0
"""Seconds that the tests of one module may take."""
WANTED = 0.8
"""The share of the mutants that must be killed."""
MIRRORS = {"reward/pool/process": "reward/pool/test_pool", "reward/pool/worker": "reward/pool/test_pool"}
"""Module -> test file, where that is not the one of its own name."""
SWAPPED: dict[type, str] = {
    **{ast.Eq: "!=", ast.NotEq: "==", ast.Lt: "<=", ast.LtE: "<", ast.Gt: ">=", ast.GtE: ">"},
    **{ast.Is: "is not", ast.IsNot: "is", ast.In: "not in", ast.NotIn: "in"},
    **{ast.Add: "-", ast.Sub: "+", ast.Mult: "/", ast.Div: "*", ast.FloorDiv: "*", ast.Mod: "*", ast.Pow: "*"},
    **{ast.And: "or", ast.Or: "and"},
}
"""Operator -> what stands there instead."""

Change = tuple[int, int, str]
"""First and last byte of a file that are replaced, and by what."""


class Places(ast.NodeVisitor):
    """Every place of a module that can be changed; types, decorators and defaults of dataclasses' texts are left out.

    Args:
        source: the module's bytes.
    """

    def __init__(self, source: bytes) -> None:
        self.source = source
        self.changes: list[Change] = []
        self._lines = [0]
        for line in source.splitlines(keepends=True):
            self._lines.append(self._lines[-1] + len(line))
        self.visit(ast.parse(source))

    def span(self, node: ast.AST) -> tuple[int, int]:
        """First and last byte of a node."""
        start = self._lines[node.lineno - 1] + node.col_offset
        return start, self._lines[node.end_lineno - 1] + node.end_col_offset

    def text(self, node: ast.AST) -> str:
        """The source of a node."""
        start, end = self.span(node)
        return self.source[start:end].decode()

    def replace(self, node: ast.AST, text: str) -> None:
        """Notes that a node could be another text."""
        self.changes.append((*self.span(node), text))

    def between(self, left: ast.AST, right: ast.AST, operator: ast.AST) -> None:
        """Notes that the operator between two nodes could be another one."""
        if type(operator) in SWAPPED:
            end, start = self.span(left)[1], self.span(right)[0]
            gap = self.source[end:start].decode()  # brackets, blanks and the operator
            if "#" not in gap:
                brackets = gap[: len(gap) - len(gap.lstrip(")] \n"))].rstrip(), gap[len(gap.rstrip("( \n")) :].lstrip()
                self.changes.append((end, start, f"{brackets[0]} {SWAPPED[type(operator)]} {brackets[1]}"))

    def visit_Compare(self, node: ast.Compare) -> None:
        for left, right, operator in zip([node.left, *node.comparators], node.comparators, node.ops, strict=False):
            self.between(left, right, operator)
        self.generic_visit(node)

    def visit_BoolOp(self, node: ast.BoolOp) -> None:
        self.between(node.values[0], node.values[1], node.op)
        self.generic_visit(node)

    def visit_BinOp(self, node: ast.BinOp) -> None:
        if not any(isinstance(side, ast.JoinedStr) for side in (node.left, node.right)):
            self.between(node.left, node.right, node.op)
        self.generic_visit(node)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> None:
        if isinstance(node.op, ast.Not):
            self.replace(node, f"({self.text(node.operand)})")
        self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> None:
        if isinstance(node.value, bool):
            self.replace(node, str(not node.value))
        elif isinstance(node.value, int | float):
            self.replace(node, f"({node.value!r} + 1)")

    def visit_keyword(self, node: ast.keyword) -> None:
        if node.arg != "strict":  # of zip: it guards against mistakes of ours, and changes no answer
            self.generic_visit(node)

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        """A message: left alone, with what stands in it."""

    def visit_If(self, node: ast.If) -> None:
        self.replace(node.test, f"not ({self.text(node.test)})")
        self.generic_visit(node)

    def visit_IfExp(self, node: ast.IfExp) -> None:
        self.replace(node.test, f"not ({self.text(node.test)})")
        self.generic_visit(node)

    def visit_Return(self, node: ast.Return) -> None:
        if node.value is not None and self.text(node.value) != "None":
            self.replace(node.value, "None")
        self.generic_visit(node)

    def visit_Raise(self, node: ast.Raise) -> None:
        self.replace(node, "pass")

    def visit_Expr(self, node: ast.Expr) -> None:
        if isinstance(node.value, ast.Call):
            self.replace(node, "pass")
        self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self.visit(node.value)

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        for default in (*node.args.defaults, *node.args.kw_defaults, *node.body):
            if default is not None:
                self.visit(default)

    visit_AsyncFunctionDef = visit_FunctionDef

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        for statement in node.body:
            self.visit(statement)


def candidates() -> Iterator[tuple[str, Change]]:
    """Every mutant there could be: module and change."""
    for folder in FOLDERS:
        for path in sorted((ROOT / "src/rlexp" / folder).rglob("*.py")):
            module = path.relative_to(ROOT / "src/rlexp").with_suffix("").as_posix()
            yield from ((module, change) for change in Places(path.read_bytes()).changes)


def mirror(module: str) -> str:
    """The test file of a module, from the repository."""
    folder, _, name = module.rpartition("/")
    return f"tests/{MIRRORS.get(module, f'{folder}/test_{name}')}.py"


def run(scratch: Path, test: str) -> str:
    """Runs a test file in the copy: ``passed``, ``failed``, or ``no end``."""
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "-m", "not gpu and not long", test]
    variables = {**os.environ, "PYTHONPATH": str(scratch / "src"), "PYTHONDONTWRITEBYTECODE": "1"}
    with subprocess.Popen(
        command,
        cwd=scratch,
        env=variables,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as process:
        try:
            return "passed" if process.wait(LIMIT) == 0 else "failed"
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, 9)
            return "no end"


def shown(module: str, change: Change, source: bytes) -> str:
    """A mutant as one line: where, and what became of it."""
    start, end, text = change
    line = source[:start].count(b"\n") + 1
    return f"{module}.py:{line}: {' '.join(source[start:end].decode().split())[:60]!r} -> {text[:40]!r}"


def copy(scratch: Path) -> None:
    """The files of the repository, those that git does not ignore."""
    listed = subprocess.run(
        ["git", "ls-files", "-coz", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file():
            (scratch / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, scratch / name)


def main() -> int:
    """Makes the mutants and prints what became of them, by module; 1 where too many survive."""
    parser = argparse.ArgumentParser(description="Mutation tests of compose, record and reward.")
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="modules whose name begins so, several with commas")
    asked = parser.parse_args()
    found = [(module, change) for module, change in candidates() if module.startswith(tuple(asked.only.split(",")))]
    chosen = sorted(random.Random(asked.seed).sample(found, min(asked.count, len(found))))
    print(f"{len(chosen)} of {len(found)} mutants, seed {asked.seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        scratch = Path(folder)
        copy(scratch)
        for test in sorted({mirror(module) for module, _ in chosen}):
            began = time.monotonic()
            if not (scratch / test).is_file() or run(scratch, test) != "passed":
                print(f"{test} is not there, fails, or takes more than {LIMIT:.0f} s as the code is")
                return 1
            print(f"{time.monotonic() - began:6.1f} s {test}", flush=True)
        fates: dict[str, Counter[str]] = {}
        for module, change in chosen:
            file = scratch / "src/rlexp" / f"{module}.py"
            source = file.read_bytes()
            start, end, text = change
            file.write_bytes(source[:start] + text.encode() + source[end:])
            fate = run(scratch, mirror(module))
            file.write_bytes(source)
            fates.setdefault(module, Counter())[fate] += 1
            if fate == "passed":
                print(f"survived: {shown(module, change, source)}", flush=True)
    print(f"\n{'module':28}{'mutants':>8}{'failed':>8}{'no end':>8}{'survived':>10}")
    whole: Counter[str] = sum(fates.values(), Counter())
    for module, row in [*fates.items(), ("all", whole)]:
        print(f"{module:28}{row.total():8}{row['failed']:8}{row['no end']:8}{row['passed']:10}")
    killed = 1 - whole["passed"] / whole.total()
    print(f"killed {killed:.1%} of {whole.total()} (at least {WANTED:.0%}), seed {asked.seed}")
    return 0 if killed >= WANTED else 1


if __name__ == "__main__":
    sys.exit(main())
