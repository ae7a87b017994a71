"""A patch of another library as a value, and the three answers that applying one can have."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from importlib import metadata
from typing import Any, Protocol


class Status(Enum):
    """The outcome of a patch for a run."""

    applied = "applied"
    not_needed = "not needed"
    """The run has no use for it, or the library does it by itself."""
    skipped = "skipped"
    """It would have been of use, and was not applied: it was switched off, or the library is not as expected."""


@dataclass(frozen=True)
class Outcome:
    """The answer of a patch, and why where it was not applied."""

    status: Status
    why: str = ""


APPLIED = Outcome(Status.applied)


def not_needed(why: str) -> Outcome:
    """The answer of a patch that this run has no use for."""
    return Outcome(Status.not_needed, why)


def skipped(why: str) -> Outcome:
    """The answer of a patch that could not be applied."""
    return Outcome(Status.skipped, why)


def put(by: Callable[..., Any], module: Any, name: str, parameters: tuple[str, ...]) -> Outcome:
    """Puts a function in the place of a module's own for the whole process, where that one takes these parameters."""
    original = getattr(module, name, None)
    if original is by:
        return APPLIED
    if original is None or tuple(inspect.signature(original).parameters) != parameters:
        return skipped(f"{module.__name__}.{name} is not there, or takes other arguments")
    setattr(module, name, by)
    return APPLIED


@dataclass(frozen=True)
class Patch:
    """A change in another library, its reason, and until when."""

    name: str
    """The name of its module."""
    target: str
    """The names of the library that are replaced, wrapped or set."""
    reason: str
    gain: str
    """The measured gain, with the file in perf/results, or that it was not measured alone."""
    upstream: str
    """The issue, pull request or source file that it concerns."""
    made_for: Mapping[str, str]
    """Package -> the beginning of the versions that it was written against."""
    expires: str
    """When it can go."""
    needed_for: str = ""
    """The thing that a run cannot do without it; empty where it only saves time or memory."""
    whole_process: bool = False
    """It stays in the process after the run that applied it."""

    def other_versions(self) -> list[str]:
        """The installed packages that are of another version than it was made for: ``trl 1.16.0 (made for 1.15)``."""
        other = []
        for package, prefix in self.made_for.items():
            try:
                version = metadata.version(package)
            except metadata.PackageNotFoundError:
                continue
            if not f"{version}.".startswith(f"{prefix}."):
                other.append(f"{package} {version} (made for {prefix})")
        return other


class PatchModule(Protocol):
    """A module of this package that holds one patch."""

    PATCH: Patch
    apply: Callable[..., Outcome]
