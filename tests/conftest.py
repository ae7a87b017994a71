"""What the tests share: the project folder, composing in-process, the real command line in a copy of the project."""

from __future__ import annotations

import functools
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from rlexp.compose.points import points
from rlexp.compose.run import Run

ROOT = Path(__file__).parents[1]
# What a test says yes to, or runs, is remembered for nobody.
_state = tempfile.TemporaryDirectory(prefix="rlexp-state-")
os.environ["XDG_STATE_HOME"] = _state.name
PROJECT_FOLDERS = ("conf", "rewards", "data_prep", "eval", "models/tiny")
PROJECT_FILES = (
    ".dvc/config",
    ".dvc/.gitignore",
    ".dvcignore",
    ".gitattributes",
    ".gitignore",
    "dvc.yaml",
    "dvc.lock",
    "rewards.lock.yaml",
)


UNTIL, ORDER = "RLEXP_LONG_UNTIL", "RLEXP_LONG_ORDER"
"""Variables that .ci/run sets: the seconds since the epoch after which no long test begins, since it has an hour; and
the commit, which says the order of their files, so that others come last at the next one."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if order := os.environ.get(ORDER):
        items.sort(key=lambda item: hashlib.sha256(f"{order} {item.path.name}".encode()).digest())


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("long") and time.time() > float(os.environ.get(UNTIL, "inf")):
        pytest.skip("the hour is over: make test-long runs it")


@pytest.fixture(scope="session")
def root() -> Path:
    """The project folder."""
    return ROOT


@pytest.fixture(scope="session")
def composed() -> Callable[..., Run]:
    """Composes one run from overrides, in this process; each once, as nobody changes a Run."""
    return functools.cache(lambda *overrides: points(ROOT / "conf", list(overrides), multirun=False)[0].run)


def copy_project(folder: Path) -> Path:
    """A copy of the project as a fresh clone would be, without what it makes."""
    for name in PROJECT_FOLDERS:
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in PROJECT_FILES:
        (folder / name).parent.mkdir(exist_ok=True)
        shutil.copyfile(ROOT / name, folder / name)
    return folder


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A fresh copy of the project."""
    return copy_project(tmp_path / "project")


@pytest.fixture(scope="session")
def shared_project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One copy of the project for the tests that only add run folders to it."""
    return copy_project(tmp_path_factory.mktemp("shared") / "project")


def rlexp(project: Path, *arguments: str, timeout: int = 300, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs ``python -m rlexp`` in a project folder, as a user would."""
    return subprocess.run(
        [sys.executable, "-m", "rlexp", *arguments],
        cwd=project,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=timeout,
    )


def files(folder: Path) -> set[str]:
    """Every file below a folder, by its relative path; byte code is not counted."""
    return {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file() and "__pycache__" not in p.parts}
