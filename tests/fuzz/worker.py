"""Types the cases of the fuzzer, in one process that is started again now and then, and judges what came of each."""

from __future__ import annotations

import contextlib
import io
import multiprocessing
import os
import shutil
import sys
import time
import traceback
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from tests.conftest import ROOT, copy_project
from tests.fuzz.cases import RUNS, Case

LIMIT = 30.0
"""Seconds that a case may take."""
LIFE = 500
"""Cases of one process."""


@dataclass(frozen=True)
class Outcome:
    """What a command line came to."""

    code: int
    said: str
    """Its standard error."""
    seconds: float
    written: tuple[str, ...]
    """Files that are new, changed or gone."""

    def fault(self, case: Case) -> str | None:
        """What is wrong with it; None for a valid plan, a table, or one message with exit code 2."""
        if self.seconds > LIMIT:
            return f"took {self.seconds:.0f} s"
        if self.written:
            return f"wrote {', '.join(self.written)}"
        if "Traceback" in self.said:
            return "a traceback: " + self.said.strip().splitlines()[-1]
        errors = sum(line.startswith("error: ") for line in self.said.splitlines())
        if self.code == 2:
            if errors != 1:
                return f"{errors} messages"
            return None if "\n  do:    " in self.said else "no do: line"
        fine = (0, 3) if case.arguments[:1] == ("replay",) else (0, 1) if case.arguments[:1] == ("doctor",) else (0,)
        return None if self.code in fine and not errors else f"exit code {self.code}"


def scratch(folder: Path) -> Path:
    """A copy of the project with two runs and the pinned one."""
    project = copy_project(folder / "project")
    for run in RUNS:
        shutil.copytree(ROOT / "tests/record/run_of_1dbe9d9", project / run)
    shutil.copytree(ROOT / "pinned", project / "pinned")
    return project


class Worker:
    """The process that types cases in a scratch project. A context manager: leaving it ends the process."""

    def __init__(self, project: Path) -> None:
        self.project = project
        self._left = 0
        self._process: multiprocessing.process.BaseProcess | None = None
        self._pipe: Connection | None = None

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()

    def type(self, case: Case) -> Outcome:
        """Puts the case's file in place, types its command line, and puts the file back."""
        file = self.project / case.file if case.file else None
        before = file.read_bytes() if file else b""
        if file:
            file.write_bytes(case.content)
        try:
            return self._typed(case)
        finally:
            if file:
                file.write_bytes(before)

    def _typed(self, case: Case) -> Outcome:
        if self._left <= 0:
            self._start()
        self._left -= 1
        assert self._pipe
        there, began = _files(self.project), time.monotonic()
        self._pipe.send(case.arguments)
        code, said = -1, ""
        with contextlib.suppress(EOFError):  # the process died
            if self._pipe.poll(LIMIT + 5):
                code, said = self._pipe.recv()
        seconds = time.monotonic() - began
        if code == -1:
            self._left = 0
        here = _files(self.project)
        return Outcome(code, said, seconds, tuple(sorted(name for name, _ in there ^ here)))

    def _start(self) -> None:
        self._stop()
        context = multiprocessing.get_context("spawn")
        self._pipe, other = context.Pipe()
        self._process = context.Process(target=_serve, args=(other, str(self.project)), daemon=True)
        self._process.start()
        self._left = LIFE

    def _stop(self) -> None:
        if self._process:
            self._process.kill()
            self._process.join()


def _files(project: Path) -> set[tuple[str, int]]:
    found = (path for path in project.rglob("*") if "__pycache__" not in path.parts)
    return {(path.relative_to(project).as_posix(), path.lstat().st_mtime_ns) for path in found if not path.is_dir()}


def _serve(pipe: Connection, project: str) -> None:
    """Types what comes through the pipe: (exit code, standard error) for each."""
    os.chdir(project)
    from rlexp.__main__ import main

    while True:
        arguments = pipe.recv()
        sys.argv = ["rlexp", *arguments]
        said, code = io.StringIO(), 0
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(said):
            try:
                main()
            except SystemExit as end:
                code = end.code if isinstance(end.code, int) else 1
            except BaseException:
                said.write(traceback.format_exc())
                code = 1
        os.chdir(project)
        pipe.send((code, said.getvalue()))
