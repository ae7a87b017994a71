"""The code of a lock, found again by its hash: rewards, and the scripts that made the inputs."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rlexp.compose.places import Places
from rlexp.files import lies_inside
from rlexp.inputs import reward_source, trust
from rlexp.inputs.digest import file_md5
from rlexp.inputs.trust import Code

MISSING = "missing"


@dataclass
class Search:
    """The notes and faults of the search for locked inputs."""

    places: Places
    sources: Path
    """The folder of the files that were kept beside the lock."""
    make: bool = True
    """True where a missing input is restored from DVC's cache, or made by its script."""
    notes: list[str] = field(default_factory=list)
    """Inputs that were not where the lock says, and what was used instead."""
    faults: list[tuple[str, str, str]] = field(default_factory=list)
    """(input, expected hash, actual hash) of those that could not be found."""


def reward(search: Search, term: dict[str, Any]) -> reward_source.RewardSource | None:
    file, wanted = term["file"], term["md5"]
    first, place = search.places.holder(file), _holder(search, file, wanted)
    if place != first:
        there = first / file
        actual, ends = short(file_md5(there)) if there.is_file() else MISSING, _line_ends(there, wanted)
        if place is None:
            search.faults.append((file, short(wanted), actual + ends))
            return None
        used = "the locked copy" if place == search.sources else f"the one of {place}"
        search.notes.append(
            f"{file} is not the locked one (expected {short(wanted)}, actual {actual}){ends}: {used} is used instead"
        )
    return reward_source.read(place, file)


def _holder(search: Search, file: str, wanted: str) -> Path | None:
    """The place that has the locked version of a file: where this project has it, else what was kept beside the lock,
    else any folder that this project looks into, rlexp's own among them."""
    kept = [search.sources] if lies_inside(search.sources / file, search.sources.parent) else []
    places = (search.places.holder(file), *kept, *search.places.folders)
    held = (place for place in places if (place / file).is_file())
    return next((place for place in held if file_md5(place / file) == wanted), None)


def script(search: Search, source: dict[str, Any]) -> Path | None:
    """The script that made an input, to be run; None where it, or a file that it read, is not what it was."""
    if not source.get("script") or not source.get("script_md5"):
        return None
    root, file, wanted = search.places.root, source["script"], source["script_md5"]
    if any(not (root / f).is_file() or file_md5(root / f) != md5 for f, md5 in source.get("files", {}).items()):
        return None
    place = _holder(search, file, wanted)
    if place is None:
        return None
    trust.require([Code(place / file)], search.places)
    return place / file


def _line_ends(path: Path, wanted: str) -> str:
    """Says where only the line ends differ: git wrote them for Windows (core.autocrlf)."""
    if not path.is_file() or hashlib.md5(path.read_bytes().replace(b"\r\n", b"\n")).hexdigest() != wanted:
        return ""
    return " (only its line ends differ: git config core.autocrlf false, rm it, and git checkout it)"


def short(md5: str) -> str:
    return md5.removesuffix(".dir")[:12]
