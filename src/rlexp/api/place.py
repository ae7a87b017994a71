"""The project that a call works on, and what a call must leave as it was in the process of its user."""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

from rlexp import files, project, secrets
from rlexp.errors import RunError


def project_of(root: str | os.PathLike[str] | None) -> Path:
    """The project folder: the nearest at or above ``root``, or the working directory.

    Raises:
        RunError: there is none, or no such folder.
    """
    if root is None:
        return project.find(Path.cwd())
    if not isinstance(root, str | os.PathLike):
        hint = "name the project's folder, or leave root out"
        raise RunError(f"root is {root!r:.80}, and a folder is asked for", where="root=", hint=hint)
    folder = Path(root).expanduser()
    if not folder.is_dir():
        raise RunError(
            f"there is no folder {folder}", where="root=", hint="name the project's folder, or leave root out"
        )
    return project.find(folder.resolve())


@contextlib.contextmanager
def inside(root: Path) -> Iterator[None]:
    """Works in a project folder, as a command does: relative paths mean it. The working directory is put back.

    Raises:
        RunError: what is raised within, without secrets: a notebook keeps what it shows. A full disk is one, too.
    """
    with contextlib.chdir(root):
        project.root.cache_clear()
        try:
            yield
        except RunError as error:
            _mask(error, root)
            raise
        except Exception as error:
            fault = files.disk_fault(error)
            if fault is None:
                raise
            raise fault from error
        finally:
            project.root.cache_clear()


def _mask(error: RunError, root: Path) -> None:
    secrets.learn(root)
    error.what = secrets.masked(error.what)
    error.args = (error.what,)
    error.where = error.where and secrets.masked(error.where)
    error.hint = error.hint and secrets.masked(error.hint)


@contextlib.contextmanager
def own_logging() -> Iterator[None]:
    """Puts the user's logging back: Hydra gives the root logger other handlers for every run."""
    root, before, level = logging.getLogger(), logging.getLogger().handlers[:], logging.getLogger().level
    try:
        yield
    finally:
        for handler in root.handlers:
            if handler not in before:
                handler.close()
        root.handlers[:] = before
        root.setLevel(level)


_training = threading.Lock()


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """Holds the process for one run: working directory, random numbers and the libraries' state are shared in it.

    Raises:
        RunError: another thread trains.
    """
    if not _training.acquire(blocking=False):
        raise RunError(
            "another run trains in this process",
            where="api.train",
            hint="wait for it, or train this one in a process of its own",
        )
    try:
        yield
    finally:
        _training.release()


@contextlib.contextmanager
def hidden_main() -> Iterator[None]:
    """Hides the user's script from multiprocessing, as a notebook has none: a process that a library starts (a loader
    of the data, an engine) would import it, and so do its work, again."""
    main = sys.modules["__main__"]
    file, spec = main.__dict__.pop("__file__", None), main.__spec__
    main.__spec__ = None
    try:
        yield
    finally:
        main.__spec__ = spec
        if file is not None:
            main.__file__ = file


def require_main() -> None:
    """Ends a process that multiprocessing started, and that does its parent's work again as it imports the script.

    Raises:
        SystemExit: with one message; the exception that it holds would be shown with a traceback.
    """
    if getattr(multiprocessing.current_process(), "_inheriting", False):
        error = RunError(
            "a library started a process that imports this script again, and the script would do its work there too",
            where="the script that calls rlexp.api",
            hint='put what it does into a function main(), and below: if __name__ == "__main__": main()',
        )
        raise SystemExit(f"error: {error}")
