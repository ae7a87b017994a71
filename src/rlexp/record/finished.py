"""One way to open a run: the lock and manifest of its folder, and all that can be read or loaded from them.

Every verb that takes a RUN opens it here. Imports no torch: weights are named, not loaded.
"""

from __future__ import annotations

import dataclasses
import functools
import shlex
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rlexp.chosen import LINK, best
from rlexp.compose.places import Places
from rlexp.compose.run import Run
from rlexp.errors import RunError, nearest
from rlexp.inputs import locked, locked_start, reward_source, trust
from rlexp.inputs.find import Inputs
from rlexp.inputs.locked_code import Search
from rlexp.inputs.requests import requests
from rlexp.inputs.reward_files import read_rewards
from rlexp.inputs.reward_source import RewardSource
from rlexp.inputs.start import Begun
from rlexp.inputs.trust import Code
from rlexp.record import checkpoints, completions, metrics, status, sweeps
from rlexp.record.lock import read_lock
from rlexp.record.locked_config import run_of
from rlexp.record.run_folder import LOCK, MANIFEST, SOURCES, read_manifest
from rlexp.whole import fault

FOLDERS = ("outputs", "multirun")
"""The folders where Hydra puts single runs and sweeps (conf/config.yaml)."""


@dataclass(frozen=True)
class FinishedRun:
    """A run that was locked, as its folder tells it; it may have ended in any way."""

    run_dir: Path
    lock: dict[str, Any]
    """The content of ``run.lock.yaml``."""
    manifest: dict[str, Any]
    """Empty where a lock stands alone."""
    root: Path
    """The project folder that it is opened from."""
    file: Path | None = None
    """The lock's file, where it is not ``run.lock.yaml`` of the run folder."""

    @functools.cached_property
    def run(self) -> Run:
        """The run as it was locked; keys that are newer than the lock have their defaults.

        Raises:
            RunError: the lock's config is no run of this version.
        """
        return run_of(self.lock["config"], self.root, LOCK)

    def inputs(self, run: Run | None = None, make: bool = True) -> tuple[Inputs, list[str]]:
        """The locked inputs as they are found on this machine (``locked.find``), and the notes a person should read.

        Args:
            run: the run that is trained with them, where it is not the locked one (``on_this_machine``).
            make: restore or make what is missing; False runs nothing and writes nothing.

        Raises:
            RunError: an input is not the locked one and cannot be had, or its code is not trusted (only with ``make``).
        """
        run = run or self.run
        if make:
            trust.require(self.lock_code(), Places.of(self.root))
        return locked.find(self.lock, run, self.root, self.run_dir / SOURCES, make)

    def begun(self, run: Run) -> Begun | None:
        """The weights that it began with, found by their hash, for another run that begins with the same."""
        digest = self.lock["inputs"].get("start")
        if digest is None or (run.model.start_sha256, run.model.start_merged) != (digest["sha256"], digest["merged"]):
            return None
        found = locked_start.find(Search(Places.of(self.root), self.run_dir / SOURCES), digest)
        path = self.lock["inputs"]["model"].get("path")
        return found and dataclasses.replace(found, model=path if path != run.model.path else None)

    def reward_sources(self) -> dict[str, RewardSource]:
        """The copies of its reward files that the run kept, by term, to be called.

        Raises:
            RunError: one cannot be read as a reward, or is not trusted.
        """
        return self.trusted(self.run_dir / SOURCES, kept=True)

    def trusted(self, folder: Path, kept: bool = False) -> dict[str, RewardSource]:
        """The reward files that the lock names, as they lie in a folder, to be called.

        Args:
            folder: the project folder, or one with copies.
            kept: it is the folder of copies of a run.

        Raises:
            RunError: one cannot be read as a reward, or is not trusted.
        """
        files = {name: term["file"] for name, term in self.lock["config"]["reward"]["terms"].items()}
        copies = {name: reward_source.read_copy(folder, file) for name, file in files.items()} if kept else None
        sources = copies or read_rewards(Places.of(folder), files)
        trust.require([*self.lock_code(), *(Code(source.path) for source in sources.values())], Places.of(self.root))
        return sources

    def lock_code(self) -> list[Code]:
        """The lock itself, where it has more done than code that is trusted does in this project by itself."""
        asks = requests(self.lock, self.root)
        return [Code(self.file or self.run_dir / LOCK, f"asks for {', '.join(asks)}")] if asks else []

    def metrics(self) -> list[dict[str, Any]]:
        """Every entry of ``metrics.jsonl``; none where there is no such file.

        Raises:
            RunError: it is damaged; the message names the line.
        """
        return metrics.entries(self.run_dir)

    def weights(self, step: int | str | None = None) -> Path:
        """The folder of the trained weights: what the run left at its end, else its latest checkpoint.

        Args:
            step: that of a checkpoint instead; ``best`` for the one that the run chose (``held_out.every``).

        Raises:
            RunError: there are none.
        """
        if step == LINK:
            return best(self.run_dir, f"checkpoint={LINK}", "it without checkpoint=").folder
        if step is not None and type(step) is not int:
            hint = "name the step of a checkpoint, such as 50, or best, or leave it out"
            raise RunError(f"{step!r:.80} is no step", where="step", hint=hint)
        found = checkpoints.of(self.run_dir)
        broken = self.broken_weights()
        found = {number: path for number, path in found.items() if path.name not in broken}
        if step in found:
            return found[step]
        if step is not None and (why := broken.get(f"checkpoint-{step}")):
            raise RunError(
                f"the checkpoint of step {step} is not whole: {why}",
                where=f"checkpoint={step}",
                hint=f"type checkpoint={max(found)}" if found else "the run has no whole one",
            )
        if step is not None:
            near = min(found, key=lambda other: abs(other - step), default=None)
            raise RunError(
                f"the run has no checkpoint of step {step}",
                where=f"checkpoint={step}",
                hint=f"type checkpoint={near}" if near else "it kept none (method.save_steps); leave checkpoint= out",
            )
        for name in ("adapter", "model"):
            if (self.run_dir / name).is_dir() and name not in broken:
                return self.run_dir / name
        if found:
            return found[max(found)]
        raise RunError(
            "the run left no weights: neither an adapter nor a checkpoint",
            where=str(self.run_dir),
            hint=f"its {MANIFEST} says how it ended; step=last shows what it sampled while it trained",
        )

    def broken_weights(self) -> dict[str, str]:
        """Name -> why it cannot be loaded, of what the run left at its end and of its checkpoints; whole ones are not
        named."""
        left = [self.run_dir / name for name in ("adapter", "model") if (self.run_dir / name).is_dir()]
        faults = {path.name: fault(path) for path in (*left, *checkpoints.of(self.run_dir).values())}
        return {name: why for name, why in faults.items() if why}

    def completion_steps(self) -> list[int]:
        """The steps whose completions were stored, in order."""
        return completions.steps(self.run_dir)

    def completions(self, steps: Sequence[int]) -> dict[str, list[Any]]:
        """Every stored completion of these steps, column by column, with its ``step``.

        Raises:
            RunError: there are none.
        """
        return completions.read(self.run_dir, steps)


def open(typed: str, here: Path, root: Path) -> FinishedRun:
    """The run that ``typed`` names: a run folder, its lock file, or ``pinned``.

    Args:
        typed: a path, from the folder the command was typed in or from the project folder.
        here: the folder the command was typed in.
        root: the project folder.

    Raises:
        RunError: there is no run, it holds no lock, or the lock cannot be read or was changed after it was written.
    """
    for path in (here / typed, root / typed):
        run_dir = path.parent if path.is_file() else path
        file = path if path.is_file() else path / LOCK
        if path.is_file() and zipfile.is_zipfile(path):
            hint = f"unpack it first: {shlex.join(('python', '-m', 'rlexp', 'unpack', typed))}"
            raise RunError(f"{typed} is a packed run, or another archive, and no run folder", where=typed, hint=hint)
        if file.is_file():
            return FinishedRun(run_dir, read_lock(file), read_manifest(run_dir) or {}, root, file)
    sweeps.refuse(typed, here, root)
    known = [path.relative_to(root).as_posix() for path in run_folders(root)]
    guess = next((one for one in known if f"/{typed.strip('/')}/" in f"/{one}/"), None) or nearest(typed, known)
    for folder in (root / typed, here / typed):
        if manifest := read_manifest(folder):
            going = status.of(manifest)[0] == "running"
            raise RunError(
                f"the run {typed} {'is not locked yet' if going else 'ended before it was locked'}: "
                f"{status.sentence(manifest)}",
                where=typed,
                hint="wait for its first step"
                if going
                else f"its {MANIFEST} says why; python -m rlexp runs lists others",
            )
    listed = "python -m rlexp runs lists them" if known else "train one first: python -m rlexp"
    raise RunError(
        f"there is no run at {typed} (no {LOCK})",
        where=typed,
        hint=f"did you mean {guess}? {listed}" if guess else listed,
    )


def record_around(file: Path) -> Path | None:
    """The folder of a run or a sweep that a file would lie in; None where it lies in none."""
    names = (MANIFEST, LOCK, sweeps.FILE)
    return next((one for one in file.resolve().parents if any((one / name).is_file() for name in names)), None)


def run_folders(root: Path) -> list[Path]:
    """Every folder below outputs/ and multirun/ that holds a manifest, oldest name first."""
    return sorted(path.parent for name in FOLDERS for path in (root / name).rglob(MANIFEST))
