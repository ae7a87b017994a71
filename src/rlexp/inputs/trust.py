"""Code that came from elsewhere (the reward copies of a run, a lock that asks for more) runs after a yes for its hash.

The yes is for bytes, never for a folder or a person, and is remembered for the user. No question is asked about what
this repository's last commit holds, about the ``rewards/`` and ``data_prep/`` of the project, of rlexp and of the
shared folders that the project or the user names, as they are now, and about what the user ran before.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from rlexp import files
from rlexp.compose.places import Places
from rlexp.errors import RunError
from rlexp.git import git

FLAG, VARIABLE = "--trust", "RLEXP_TRUST"
OWN = ("rewards", "data_prep")
"""Folders of a place whose files are the user's own."""
HASH = re.compile(r"[0-9a-f]{64}")

_typed: set[str] = set()


@dataclass(frozen=True)
class Code:
    """A file that would run, or have something run, with the user's rights."""

    path: Path
    asks: str = "would run as code"
    """What it does, for the question."""

    @property
    def sha256(self) -> str:
        """The hash of its content."""
        return hashlib.sha256(self.path.read_bytes()).hexdigest()


def accept(hashes: Iterable[str], where: str) -> None:
    """Takes the hashes that were typed for this process.

    Args:
        where: the flag or variable that holds them.

    Raises:
        RunError: one is no sha256; there is no yes to everything.
    """
    for text in hashes:
        if not HASH.fullmatch(text):
            raise RunError(
                f"{text!r} is no hash: a yes is for the content of one file, never for everything",
                where=where,
                hint=f"{f'unset {VARIABLE}' if where == VARIABLE else 'type the command without it'}: "
                "what is not trusted is named with its hash",
            )
        _typed.add(text)


def require(code: Sequence[Code], places: Places) -> None:
    """Asks about the code that is not trusted yet; on a terminal with a question, else with one message.

    Args:
        places: the folders whose files are the user's own. Those of a stranger's run are ``Places.of`` the project.

    Raises:
        RunError: nobody said yes; nothing was run.
    """
    accept(filter(None, os.environ.get(VARIABLE, "").split(",")), VARIABLE)
    unknown = [one for one in code if not _trusted(one, places)]
    if not unknown:
        return
    table = "\n".join(
        f"  {os.path.relpath(one.path, places.root)} {one.asks}, {one.path.stat().st_size} bytes, sha256 {one.sha256}"
        for one in unknown
    )
    what = f"{len(unknown)} of the run's files came from elsewhere, and nobody said yes to them\n{table}"
    if sys.stdin.isatty() and sys.stderr.isatty():
        print(f"{what}\nLook at them first. Run them with your rights? Type yes: ", end="", file=sys.stderr, flush=True)
        if sys.stdin.readline().strip() == "yes":
            remember(unknown)
            return
    hashes = ",".join(dict.fromkeys(one.sha256 for one in unknown))
    raise RunError(
        f"{what}\n  nothing was run",
        where="; ".join(str(one.path) for one in unknown),
        hint=f"look at them, then type the command again with {FLAG}={hashes} (or set {VARIABLE}={hashes})",
    )


def remember(code: Iterable[Code]) -> None:
    """Keeps the hashes as trusted by this user; where the user's folder cannot be written, nothing is kept."""
    for one in code:
        with contextlib.suppress(OSError):
            place = _store() / one.sha256
            if not place.is_file():
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_text(f"{one.path.name}\n")


def _trusted(one: Code, places: Places) -> bool:
    if _own(one, places) or (_store() / one.sha256).is_file():
        return True
    if one.sha256 in _typed:
        remember([one])
        return True
    return _tracked(one.path, places.root)


def _own(one: Code, places: Places) -> bool:
    """Says whether it is a file of the user's own folders, or has the content of one."""
    folders = [place / name for place in places.folders for name in OWN]
    if any(files.lies_inside(one.path, folder) for folder in folders):
        return True
    mine = [path for folder in folders for path in folder.glob("*.py") if files.lies_inside(path, folder)]
    return any(Code(path).sha256 == one.sha256 for path in mine)


def _tracked(path: Path, root: Path) -> bool:
    """Says whether the project's last commit holds a file with this content, wherever it lies. What is only added to
    git is not committed: nobody stood for it yet."""
    blob = (git(root, "hash-object", "--no-filters", "--", str(path.resolve())) or "").strip()
    listed = git(root, "ls-tree", "-r", "-z", "HEAD") or ""
    return bool(blob) and any(entry.split(maxsplit=3)[2] == blob for entry in listed.split("\0") if entry)


def _store() -> Path:
    return platformdirs.user_state_path("rlexp") / "trusted"
