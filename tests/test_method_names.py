"""The facts of a method stand in one place, and nothing else asks for its name."""

import ast
from pathlib import Path

import pytest

from rlexp.backend.trainers import TRAINERS
from rlexp.compose.methods import METHODS

SRC = Path(__file__).parents[1] / "src"
REGISTRIES = {"rlexp/compose/methods.py", "rlexp/backend/trainers/__init__.py", "rlexp/backend/trl_table.py"}
"""Where a method is entered by its name."""


def names_compared(tree: ast.AST) -> list[int]:
    """Lines that compare something with the name of a method, or look a method's name up in a collection of names."""
    found = []
    for node in ast.walk(tree):
        if not isinstance(node, ast.Compare):
            continue
        sides = [node.left, *node.comparators]
        texts = {
            leaf.value
            for side in sides
            for leaf in ([side] if not isinstance(side, ast.Tuple | ast.List | ast.Set) else side.elts)
            if isinstance(leaf, ast.Constant) and isinstance(leaf.value, str)
        }
        if texts & METHODS.keys():
            found.append(node.lineno)
    return found


@pytest.mark.parametrize("text", ["run.method.name == 'dpo'", "name in ('sft', 'kto')", "'grpo' != method"])
def test_a_comparison_with_a_methods_name_is_found(text):
    assert names_compared(ast.parse(text)) == [1]


@pytest.mark.parametrize("text", ["kind == 'cpu'", "name in METHODS", "method.online"])
def test_other_comparisons_are_not(text):
    assert names_compared(ast.parse(text)) == []


def test_no_other_file_compares_a_methods_name():
    files = {path.relative_to(SRC).as_posix(): path for path in SRC.rglob("*.py")}
    assert len(files) > 100 and files.keys() >= REGISTRIES
    found = [
        f"{name}:{line}"
        for name, path in files.items()
        if name not in REGISTRIES
        for line in names_compared(ast.parse(path.read_text()))
    ]
    assert found == []


def test_every_method_has_a_trainer_and_an_option():
    options = {path.stem for path in (SRC.parent / "conf/method").glob("*.yaml")}
    assert METHODS.keys() == TRAINERS.keys() == options
