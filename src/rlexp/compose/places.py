"""Where the files of a run are looked up: the project's own folder, a team's shared ones, what rlexp ships."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from rlexp.git import git
from rlexp.project import CONF, shipped


@dataclass(frozen=True)
class Places:
    """Where the files of a run are looked up: options in ``confs``, and what they name beside each of them.

    The first place that holds a file is the one it is taken from, so that a project's own file goes before a team's,
    and a team's before what rlexp ships.
    """

    root: Path
    """The project folder: what is made is written here."""
    confs: tuple[Path, ...]
    """The folders of options, in Hydra's order."""
    chosen: tuple[str, ...] = ()
    """The options that were composed, such as ``model/tiny``."""

    @staticmethod
    def of(root: Path) -> Places:
        """The places of a project for which nothing else is typed."""
        return Places(root, tuple(dict.fromkeys((root / CONF, shipped() / CONF))))

    @property
    def folders(self) -> tuple[Path, ...]:
        """The folders that hold rewards/, data_prep/ and models/."""
        return tuple(dict.fromkeys((self.root, *(conf.parent for conf in self.confs))))

    @property
    def own(self) -> Places:
        """Those of the project and the team, without what rlexp ships (of which its own clone is made)."""
        theirs = self.root / CONF, shipped() / CONF
        return dataclasses.replace(self, confs=(theirs[0], *(conf for conf in self.confs if conf not in theirs)))

    def path(self, file: str) -> Path:
        """A file or folder of the first place that has it; of the project where none has."""
        return self.holder(file) / file

    def holder(self, file: str) -> Path:
        """The first place that has a file; the project where none has, and for a path that leads out of it."""
        if ".." in Path(file).parts:
            return self.root
        return next((place for place in self.folders if (place / file).exists()), self.root)

    def names(self, pattern: str) -> list[str]:
        """The files of a pattern, such as ``rewards/*.py``, in every place, each from its place."""
        found = {path.relative_to(place).as_posix() for place in self.folders for path in place.glob(pattern)}
        return sorted(found)

    def groups(self) -> list[str]:
        """The config groups."""
        return sorted({path.name for conf in self.confs if conf.is_dir() for path in conf.iterdir() if path.is_dir()})

    def is_group(self, name: str) -> bool:
        """Whether a group has this name."""
        return bool(name) and any((conf / name).is_dir() for conf in self.confs)

    def option_files(self, group: str) -> dict[str, Path]:
        """Option -> file of a group."""
        files = [path for conf in reversed(self.confs) for path in (conf / group).glob("*.yaml")]
        return dict(sorted({path.stem: path for path in files}.items()))

    def option_file(self, option: str) -> Path:
        """The file of an option, such as ``model/tiny``; in the first folder of options where there is none."""
        return next(
            (f for conf in self.confs if (f := conf / f"{option}.yaml").is_file()), self.confs[0] / f"{option}.yaml"
        )

    def origins(self, files: Mapping[str, Path]) -> dict[str, str]:
        """Where the options that were composed, and other files, come from, for a lock.

        Args:
            files: name -> the file that was read.
        """
        options = {f"{CONF}/{option}.yaml": self.option_file(option) for option in self.chosen}
        origin = functools.cache(self._origin)  # git is asked once for each place
        found = {name: origin(self._around(path)) for name, path in {**options, **files}.items() if path.exists()}
        return {name: origin for name, origin in sorted(found.items()) if origin}

    def origin(self, path: Path) -> str | None:
        """Where a file comes from, for a lock: ``project``, ``rlexp 0.1.0``, or the shared folder by its name (a path
        outside of the project says nothing on another machine) and its commit; None for a file of no place."""
        return self._origin(self._around(path))

    def _around(self, path: Path) -> Path | None:
        """The place that a file lies in, the deepest: rlexp may be installed below the project, in its .venv."""
        around = [folder for folder in self.folders if path.is_relative_to(folder)]
        return max(around, key=lambda folder: len(folder.parts), default=None)

    def _origin(self, place: Path | None) -> str | None:
        if place is None:
            return None
        if place == self.root:
            return "project"
        if place == shipped():
            return f"rlexp {metadata.version('rlexp')}"
        commit = (git(place, "rev-parse", "--short=12", "HEAD") or "").strip()
        return f"shared {place.name}" + (f" at {commit}" if commit else "")


NOWHERE = Places(Path(), ())
"""The places of a run whose files nobody asks for."""
