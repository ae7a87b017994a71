"""The names of other libraries that are relied on are there, and no others are used."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rlexp.backend import vllm_table
from rlexp.backend.patches import surface
from rlexp.compose import vllm_arguments

SRC = Path(surface.__file__).parents[2]

LOOK_UP = """
import ast, importlib, inspect, json, sys, textwrap

def module_and_rest(path):
    parts = path.split(".")
    for count in range(len(parts), 0, -1):
        try:
            return importlib.import_module(".".join(parts[:count])), parts[count:]
        except ModuleNotFoundError:
            continue
    raise ModuleNotFoundError(path)

def set_on_self(cls):
    found = set()
    for base in cls.__mro__[:-1]:
        try:
            tree = ast.parse(textwrap.dedent(inspect.getsource(base)))
        except (OSError, TypeError):
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
                if isinstance(node.value, ast.Name) and node.value.id == "self":
                    found.add(node.attr)
    return found

def missing_in_class(path, names):
    holder, rest = module_and_rest(path)
    for name in rest:
        holder = getattr(holder, name)
    own = set_on_self(holder)
    return [f"{path}.{name}" for name in names if not hasattr(holder, name) and name not in own]

def missing_in_module(path, names):
    module = importlib.import_module(path)
    return [f"{path}.{name}" for name in names if not hasattr(module, name)]

def missing_in_text(path, words):
    source = inspect.getsource(importlib.import_module(path))
    return [f"{path}: {word}" for word in words if word not in source]

def answer(missing):
    print("MISSING " + json.dumps(missing))
"""

WITHOUT_UNSLOTH = """
from rlexp.backend.patches import surface
missing = []
for path, names in surface.CLASSES.items():
    missing += missing_in_class(path, names)
for path, names in surface.MODULES.items():
    missing += missing_in_module(path, names)
for path, names in surface.TEXTS.items():
    missing += missing_in_text(path, names)
assert "unsloth" not in sys.modules
answer(missing)
"""

UNSLOTH = """
from rlexp.backend.patches import one_trainer, surface
from rlexp.backend.patches.importance_ratio import UNSLOTHS_LOSS, Loss, is_rewritten, replace_loss
one_trainer.only("grpo")
import unsloth, unsloth.models.rl
unsloth.models.rl.patch_trl_rl_trainers()  # import unsloth does, on a GPU
import trl
missing = []
for path, names in surface.UNSLOTH_MODULES.items():
    missing += missing_in_module(path, names)
for path, names in surface.UNSLOTH_TEXTS.items():
    missing += missing_in_text(path, names)
trainer = object.__new__(trl.GRPOTrainer)
assert is_rewritten(trainer)
missing += [name for name in surface.REWRITTEN if not hasattr(trainer, name)]
names = inspect.unwrap(type(trainer).compute_loss).__globals__
before = names[UNSLOTHS_LOSS]
replace_loss(trainer, Loss, "importance_ratio")
assert names[UNSLOTHS_LOSS].loss is before
answer(missing)
"""


def missing(script: str, tmp_path: Path) -> list[str]:
    """What a script in a process of its own does not find."""
    environment = {
        **os.environ,
        "UNSLOTH_ALLOW_CPU": "1",
        "UNSLOTH_COMPILE_LOCATION": str(tmp_path),
        "TRL_EXPERIMENTAL_SILENCE": "1",
    }
    done = subprocess.run(
        [sys.executable, "-c", LOOK_UP + script], env=environment, capture_output=True, text=True, timeout=300
    )
    answers = [line.removeprefix("MISSING ") for line in done.stdout.splitlines() if line.startswith("MISSING ")]
    assert answers, done.stdout[-2000:] + done.stderr[-3000:]
    return json.loads(answers[-1])


def test_trl_transformers_and_peft_have_every_name_that_is_used(tmp_path):
    assert missing(WITHOUT_UNSLOTH, tmp_path) == []


def test_unsloth_has_every_name_that_is_used_and_its_trainer_the_loss_that_is_replaced(tmp_path):
    assert missing(UNSLOTH, tmp_path) == []


@pytest.mark.long
@pytest.mark.parametrize(
    ("planted", "named"),
    [
        ('surface.CLASSES = {"trl.GRPOTrainer": ("_step", "_gone")}', "trl.GRPOTrainer._gone"),
        ('surface.CLASSES = {}; surface.TEXTS = {"trl.trainer.dpo_trainer": ("gone()",)}', "gone()"),
    ],
)
def test_a_name_that_is_gone_is_named(tmp_path, planted, named):
    script = WITHOUT_UNSLOTH.replace("missing = []", f"{planted}\nmissing = []")
    (only,) = missing(script, tmp_path)
    assert only.endswith(named)


def test_vllm_has_every_name_that_is_used_by_the_committed_table():
    table = json.loads(vllm_table.NAMES.read_text())
    assert table["names"] == {place: list(names) for place, names in surface.VLLM.items()}
    assert table["vllm"] == vllm_arguments.names()["vllm"]


def test_the_table_is_what_the_installed_vllm_has():
    folder = vllm_table.installed()
    if folder is None:
        pytest.skip("vLLM is not installed")
    assert vllm_table.text(vllm_table.private(folder)) == vllm_table.NAMES.read_text()


def test_names_are_found_in_sources_by_their_syntax_tree(tmp_path, monkeypatch):
    (tmp_path / "_version.py").write_text("__version__ = version = '1.2.3'\n")
    source = "x = 1\ndef f(a, *, b): ...\nclass C:\n    y: int\n    def m(self):\n        self.z = 1\n"
    (tmp_path / "a.py").write_text(source)
    places = {"a.py:": ("x", "f", "gone"), "a.py:f()": ("a", "b", "c"), "a.py:C": ("y", "m", "z", "x"), "b.py:": ("x",)}
    monkeypatch.setattr(vllm_table, "VLLM", places)
    assert vllm_table.private(tmp_path) == {
        "vllm": "1.2.3",
        "names": {"a.py:": ["x", "f"], "a.py:f()": ["a", "b"], "a.py:C": ["y", "m", "z"], "b.py:": []},
    }


def modules(*folders: str) -> Iterator[tuple[Path, ast.Module]]:
    """The syntax trees of these folders or files below src/rlexp; of all of it where none is named."""
    for folder in folders or (".",):
        where = SRC / folder
        for path in sorted(where.rglob("*.py")) if where.is_dir() else [where]:
            yield path, ast.parse(path.read_text())


def of_ours() -> set[str]:
    """Every private name that rlexp defines itself."""
    names: set[str] = set()
    for _, tree in modules():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                names.add(node.name)
            elif isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Store):
                own = not isinstance(node, ast.Attribute) or ast.unparse(node.value) == "self"
                names |= {node.id if isinstance(node, ast.Name) else node.attr} if own else set()
    return names


def private_names(tree: ast.Module) -> set[str]:
    """The private names that a module uses of something else than itself, or has as text."""
    found: set[str] = set()
    parts = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in ast.walk(tree):
        if id(node) in parts:
            continue
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) not in ("self", "cls"):
            found.add(node.attr)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found |= {match[1] for match in [re.fullmatch(r"(?:\w+\.)?(_[A-Za-z]\w*)", node.value)] if match}
    return {name for name in found if name.startswith("_") and not name.startswith("__")}


def test_every_private_name_that_is_used_stands_in_the_surface():
    listed: set[str] = {*surface.REWRITTEN}
    for part in (surface.CLASSES, surface.MODULES, surface.UNSLOTH_MODULES, surface.UNSLOTH_TEXTS, surface.VLLM):
        listed |= {name for names in part.values() for name in names}
    ours = of_ours()
    for path, tree in modules("backend", "train/step_time.py", "train/checkpoints.py", "health", "evaluate"):
        unlisted = private_names(tree) - listed - ours
        assert not unlisted, f"{path.relative_to(SRC)} uses {sorted(unlisted)}: list them in patches/surface.py"


def bound_by_imports(tree: ast.Module) -> set[str]:
    """The names that a module's imports bind to something of another library, those in functions included."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for item in node.names:
                if other_library(item.name):
                    names.add(item.asname or item.name.partition(".")[0])
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and other_library(node.module or ""):
            names |= {item.asname or item.name for item in node.names}
    return names


def other_library(module: str) -> bool:
    """Whether a module is neither ours nor Python's."""
    return module.partition(".")[0] not in {"rlexp", "hydra_plugins", *sys.stdlib_module_names}


def assigned(tree: ast.Module) -> list[str]:
    """The assignments of a module to an attribute of what it imported from another library."""
    names, found = bound_by_imports(tree), []
    for node in ast.walk(tree):
        targets: list[Any] = []
        if isinstance(node, ast.Assign | ast.Delete):
            targets = [part for target in node.targets for part in getattr(target, "elts", [target])]
        elif isinstance(node, ast.AugAssign | ast.AnnAssign):
            targets = [node.target]
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in ("setattr", "delattr"):
            targets = [ast.Attribute(node.args[0], "", ast.Store())]
        for target in targets:
            root = target
            while isinstance(root, ast.Attribute | ast.Subscript):
                root = root.value
            if root is not target and isinstance(root, ast.Name) and root.id in names:
                found.append(f"{ast.unparse(node)} (line {node.lineno})")
    return found


PROGRAMS = ("gguf_process.py",)
"""Programs of a process of their own, in which nothing else runs."""


def test_only_patches_assign_to_attributes_of_other_libraries():
    for path, tree in modules():
        if path.parent.name != "patches" and path.name not in PROGRAMS:
            assert assigned(tree) == [], path.relative_to(SRC)


@pytest.mark.parametrize(
    "line",
    [
        "vllm.LLM = int",
        "vllm.a.b = 1",
        "vllm.a['b'] = 1",
        "vllm.count += 1",
        "x, vllm.LLM = 1, 2",
        "setattr(generation, 'LLM', 1)",
        "del vllm.LLM",
    ],
)
def test_an_assignment_is_found_in_functions_too(line):
    source = f"def f():\n    import vllm\n    from trl.generation import vllm_generation as generation\n    {line}\n"
    assert len(assigned(ast.parse(source))) == 1
    harmless = "import os, vllm\nfrom rlexp import files\nfound = vllm.LLM\nfound.x = 1\nos.x = files.y = 1\n"
    assert assigned(ast.parse(harmless)) == []
