"""What to type so that a run goes on: words that bash and Hydra read back as they are meant."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

from hydra.core.override_parser.types import Quote, QuotedString

from rlexp.compose.typed_ids import PLAIN

RESUME, FORK, AUTO = "resume", "fork", "auto"


def override(key: str, value: str) -> str:
    """An override of one text, in quotes where Hydra would not read it without."""
    return f"{key}={value if PLAIN.fullmatch(value) else QuotedString(value, Quote.double).with_quotes()}"


def line(*words: str) -> str:
    """A command line of rlexp for bash."""
    return shlex.join(("python", "-m", "rlexp", *words))


def place(run_dir: Path, root: Path) -> str:
    """A run folder as it is typed from the project; as a whole path where it lies outside."""
    inside = run_dir.resolve().is_relative_to(root.resolve())
    return os.path.relpath(run_dir.resolve(), root.resolve()) if inside else str(run_dir.resolve())


def resume_line(run_dir: Path, root: Path) -> str:
    """The command line with which a run goes on."""
    return line(override(RESUME, place(run_dir, root)))
