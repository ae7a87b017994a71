"""``resume=RUN`` and ``fork=RUN@STEP`` among the overrides: read before Hydra does, and printed so that bash and Hydra
read them back as they are meant."""

from __future__ import annotations

import functools
import os
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Quote, QuotedString
from hydra.errors import OverrideParseException

from rlexp.chosen import LINK
from rlexp.compose.typed_ids import PLAIN
from rlexp.errors import RunError, nearest
from rlexp.record import sweeps
from rlexp.record.claim import MANIFEST
from rlexp.record.finished import run_folders
from rlexp.record.run_folder import LOCK

RESUME, FORK, AUTO, SHA256 = "resume", "fork", "auto", "fork_sha256"


@dataclass(frozen=True)
class Asked:
    """What was typed, less ``resume=`` and ``fork=``."""

    rest: list[str]
    resume: str | None = None
    """The text behind ``resume=``, as it was typed."""
    fork: str | None = None


def key_of(override: str) -> str:
    """The key of an override: ``+model.params.a=1`` has ``model.params.a``."""
    return override.partition("=")[0].lstrip("+~")


def take(overrides: Sequence[str]) -> Asked:
    """Takes ``resume=`` and ``fork=`` out of the overrides, wherever they stand.

    Raises:
        RunError: one is typed twice or without a run, or both are.
    """
    found: dict[str, str] = {}
    for one in overrides:
        if (key := key_of(one)) not in (RESUME, FORK):
            continue
        value = one.partition("=")[2]
        if key in found:
            raise RunError(f"{key}= is typed twice", where=f"{one}", hint=f"leave one out: type {key}={found[key]}")
        if not value or one.startswith("~"):
            what = f"{key}= names a run folder"
            raise RunError(what, where=one, hint=f"type {key}=outputs/...; python -m rlexp runs lists them")
        found[key] = value
    if len(found) == 2:
        raise RunError(
            "resume= goes on in the folder of a run, and fork= begins a new one: they do not go together",
            where=" ".join(f"{key}={value}" for key, value in found.items()),
            hint=f"leave one out: type {RESUME}={found[RESUME]}",
        )
    if found.get(FORK) == "null":
        del found[FORK]
    return Asked([one for one in overrides if key_of(one) not in (RESUME, FORK)], found.get(RESUME), found.get(FORK))


def texts(raw: str) -> list[str]:
    """What a value may mean: the text that Hydra reads, and the value itself, which may hold what Hydra would cut."""
    try:
        value = OverridesParser.create().parse_overrides([f"{RESUME}={raw}"])[0].value()
    except OverrideParseException:
        return [raw]
    text = value.text if isinstance(value, QuotedString) else value
    return list(dict.fromkeys((text, raw))) if isinstance(text, str) else [raw]


def folder_of(named: Sequence[str], key: str, here: Path, root: Path) -> Path:
    """The folder of the run that one of these texts names, from where it was typed or from the project.

    Raises:
        RunError: there is none; the nearest is named.
    """
    for text in named:
        for base in (here, root):
            path = Path(os.path.abspath(base / Path(text).expanduser()))
            path = path.parent if path.is_file() else path
            if (path / MANIFEST).is_file() or (path / LOCK).is_file():
                return path
            if sweeps.holds(path):
                shown = place(path, root)
                raise sweeps.one_run(path, shown, f"{key}={named[0]}", functools.partial(_point, key, shown))
    known = [place(folder, root) for folder in run_folders(root)]
    if key == FORK and named[0] == AUTO:
        hint = "type resume=auto, or fork=RUN@STEP with the run that the new one begins from"
        raise RunError("auto goes with resume=: a fork names its run", where=f"{key}={AUTO}", hint=hint)
    for text in named:
        run, step = split(text)
        below = [Path(run if step else text), *Path(run if step else text).parents]
        if inside := next((one for one in below if (root / one / LOCK).is_file()), None):
            number = step or Path(text).name.rpartition("-")[2]
            at = f"{inside}@{number}" if number.isdecimal() or number == LINK else str(inside)
            raise RunError(
                f"{text} is no run folder: that is {inside}",
                where=f"{key}={text}",
                hint=f"type {override(RESUME, str(inside))}, which takes its last whole checkpoint; or begin a new run "
                f"from there: {override(FORK, at)}",
            )
    guess = nearest(named[0], known) or nearest(Path(named[0]).name, [Path(one).name for one in known])
    guess = next((one for one in known if one == guess or Path(one).name == guess), None)
    listed = "python -m rlexp runs lists them" if known else "train one first: python -m rlexp"
    raise RunError(
        f"there is no run at {named[0]}",
        where=f"{key}={named[0]}",
        hint=f"did you mean {override(key, guess)}? {listed}" if guess else listed,
    )


def _point(key: str, sweep: str, name: str) -> str:
    return override(key, f"{sweep}/{name}")


def split(text: str) -> tuple[str, str | None]:
    """(run, step) of ``RUN@STEP`` or ``RUN@best``, at the last ``@``; None where no step is named."""
    run, sign, step = text.rpartition("@")
    return (run, step) if sign and re.fullmatch(rf"\d{{1,12}}|{LINK}", step) else (text, None)


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


def resume_line(run_dir: Path, root: Path, *more: str) -> str:
    """The command line with which a run goes on.

    Args:
        more: overrides.
    """
    return line(override(RESUME, place(run_dir, root)), *more)
