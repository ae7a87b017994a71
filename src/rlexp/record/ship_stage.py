"""DVC's stage that ships the pinned run: behind its replay, to the card in ``exports/pinned``.

What an export holds is computed otherwise by every machine (weights, timings, hashes). So its out is ``shipped.json``,
which is the same on all of them, and nothing of the export lies in DVC's cache.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rlexp.compose import exports as formats
from rlexp.compose import task_file, tasks
from rlexp.compose.schema import Device
from rlexp.compose.second_root import Asked
from rlexp.errors import RunError
from rlexp.record import exports
from rlexp.record.finished import FinishedRun

NAME = "ship"
PLACE = f"{exports.FOLDER}/pinned"
RECEIPT = f"{PLACE}/{exports.SHIPPED}"
DIR = f"{formats.ROOT}.dir={PLACE}"


@dataclass(frozen=True)
class Shipping:
    """What the stage does."""

    words: tuple[str, ...]
    """``export=``, ``eval=`` and options of ``benchmark``, as typed."""
    asked: tuple[str, ...]
    """Those of them that ``shipped.json`` tells."""
    files: tuple[str, ...]
    """The files of eval tasks that it reads, from the project."""


def read(overrides: Sequence[str], limits: Sequence[str], run: FinishedRun) -> Shipping | None:
    """What ``pin RUN export=...`` asks for; None without ``export=``.

    Args:
        limits: options of ``benchmark``.

    Raises:
        RunError: an override is none of these, or there is no such task or format.
    """
    rest, evals = tasks.take(overrides)
    rest, wanted = formats.take(rest)
    hint = f"type python -m rlexp pin RUN {formats.ROOT}=merged"
    if rest:
        what = "pin reads export=FORMATS and eval=TASKS, and this would not be read"
        raise RunError(what, where=" ".join(rest), hint="leave it out")
    if not wanted.names:
        if left := [*wanted.typed, *evals.typed, *limits]:
            raise RunError("this belongs to what is shipped, and nothing is", where=" ".join(left), hint=hint)
        return None
    found = formats.read(wanted, run.run.places, run.run.hardware.device is Device.cuda)
    if found.typed.dir:
        what = f"the pinned run is shipped to {PLACE}"
        raise RunError(what, where=f"{formats.ROOT}.dir={found.typed.dir}", hint="leave it out")
    named = [*tasks.read(evals, run.run)[0], *tasks.read(Asked((found.typed.task,)), run.run)[0]]
    names = [one.file for one in named] + [f"{task_file.FOLDER}/{one.suite}.yaml" for one in named if one.suite]
    files = sorted({name for name in names if name and (run.root / name).is_file()})
    asked = (*without_push(wanted.typed), DIR, *evals.typed)
    return Shipping((*wanted.typed, *evals.typed, *limits), asked, tuple(files))


def without_push(overrides: Sequence[str]) -> list[str]:
    """The overrides without ``export.push=``, which changes nothing of what is shipped."""
    return [one for one in overrides if not one.lstrip("+").startswith(f"{formats.ROOT}.push=")]


def receipt(identity: str, asked: Sequence[str]) -> dict[str, Any]:
    """What ``shipped.json`` holds.

    Args:
        asked: ``export=`` and ``eval=``, as typed.
    """
    return {"format": exports.FORMAT, "identity": identity, "asked": list(asked)}


def add(repo: Any, shipping: Shipping, run: str, deps: Sequence[str]) -> None:
    """Writes the stage.

    Args:
        run: the folder that the replay leaves.
        deps: what it reads besides the files of tasks.
    """
    command = shlex.join(["ship", run, *shipping.words, DIR])
    repo.stage.add(
        name=NAME,
        cmd=f"python -m rlexp {command}",
        deps=[*deps, *shipping.files],
        outs_persist_no_cache=[RECEIPT],
        force=True,
    )


def remove(repo: Any) -> None:
    """Takes the stage of an earlier pin away."""
    for stage in [one for one in repo.index.stages if getattr(one, "name", "") == NAME]:
        repo.remove(stage.addressing)


def write(root: Path, content: dict[str, Any]) -> Path:
    """Writes ``shipped.json`` where the stage will."""
    exports.write_json(root / RECEIPT, content)
    return root / RECEIPT
