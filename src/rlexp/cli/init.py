"""``init``: makes a project: options, a reward with its cases, a data set, git, DVC and a workflow for its CI."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import shlex
import shutil
from importlib import metadata
from pathlib import Path

from rlexp import files, project
from rlexp.cli.answer import FORMAT, Answer
from rlexp.cli.arguments import Parser
from rlexp.errors import RunError
from rlexp.git import git
from rlexp.inputs import reward_source, reward_versions

STARTER = Path(__file__).parents[1] / "starter"
CHOICES = {"dataset: arithmetic ": "dataset: sums ", "reward: format+correct ": "reward: format+exact "}
"""Choices of the shipped conf/config.yaml -> those of a new project."""
PLACES = {"gitignore": ".gitignore", "github/rlexp.yml": ".github/workflows/rlexp.yml"}
"""Files of the starter that lie elsewhere in a project."""
REWARD = "rewards/exact.py"
SHIPPED = ("constraints.txt", "requirements-unsloth.txt", "SKILL.md")
"""Files of rlexp's own: versions that were tested together, and what coding agents must know."""
USUAL = ("README.md", ".gitignore")
"""Files that a repository has from its first day: they are left as they are."""


def command(arguments: list[str], here: Path) -> Answer:
    """``init FOLDER``: makes a project in a new folder, or in one that holds none of its files yet.

    Raises:
        RunError: the folder holds files that would be written, or cannot be made.
    """
    parser = Parser("init", "Makes a project that trains at once: options, a reward, a data set, git, DVC, a workflow.")
    parser.add_argument("folder", help="a new folder, or . for this one")
    named = parser.parse_args(arguments).folder
    folder = Path(os.path.abspath(here / named))
    made = contents(folder.name)
    try:
        kept = _refuse(folder, made)
        written = [name for name in made if name not in kept]
        _write(folder, {name: made[name] for name in written})
        _repository(folder)
    except OSError as error:
        raise files.disk_fault(error) or RunError(
            f"the folder cannot be made: {error.strerror or error}", where=str(folder), hint="name another folder"
        ) from error
    typed = shlex.quote(os.path.relpath(folder, here))

    def show() -> None:
        print(f"made {typed}: {', '.join(written)}")
        for name in kept:
            if name in USUAL:
                print(f"note: {name} was there and is kept; what rlexp would write: {STARTER / _source(name)}")
        print(f"next: {f'cd {typed}, then ' if typed != '.' else ''}rlexp plan, and rlexp, which trains")

    return Answer(lambda: {"format": FORMAT, "folder": str(named), "made": written, "kept": kept}, show)


def contents(name: str) -> dict[str, str]:
    """Path -> text of every file of a new project.

    Args:
        name: that of its folder.
    """
    config = (project.shipped() / project.MARK).read_text(encoding="utf-8")
    for shipped, own in CHOICES.items():
        if shipped not in config:
            raise ValueError(f"{project.MARK} does not choose {shipped}")
        config = config.replace(shipped, own)
    found = {project.MARK.as_posix(): config}
    for path in sorted(path for path in STARTER.rglob("*") if path.is_file() and "__pycache__" not in path.parts):
        source = path.relative_to(STARTER).as_posix()
        text = path.read_text(encoding="utf-8")
        if source in ("README.md", "requirements.txt"):
            text = text.replace("{name}", name).replace("{requirement}", _requirement())
        found[PLACES.get(source, source)] = text
    for file in SHIPPED:
        found[file] = (project.shipped() / file).read_text(encoding="utf-8")
    return found


def _source(name: str) -> str:
    return next((source for source, place in PLACES.items() if place == name), name)


def _requirement() -> str:
    """What pip installs to have this rlexp: the commit that it was installed from, or its version."""
    text = metadata.distribution("rlexp").read_text("direct_url.json")
    origin = json.loads(text) if text else {}
    if commit := origin.get("vcs_info", {}).get("commit_id"):
        return f"rlexp[cpu] @ git+{origin['url']}@{commit}"
    return f"rlexp[cpu]=={metadata.version('rlexp')}"


def _refuse(folder: Path, made: dict[str, str]) -> list[str]:
    """Those of the files that are there already: the usual ones, and what an ``init`` that was stopped has written.

    Raises:
        RunError: another file is in the way, or the folder is a file, or the project is whole already.
    """
    above = next(path for path in (folder, *folder.parents) if path.exists())
    if not above.is_dir():
        raise RunError(f"{above} is no folder", where=str(folder), hint="name another folder: rlexp init FOLDER")
    there = [name for name in made if (folder / name).exists() or (folder / name).is_symlink()]
    other = [name for name in there if name not in USUAL and _text(folder / name) != made[name]]
    whole = len(there) == len(made) and (folder / ".dvc/config").is_file()
    if other or whole:
        taken = other or there
        raise RunError(
            f"{', '.join(taken)} {'is' if len(taken) == 1 else 'are'} there already; nothing was written",
            where=str(folder),
            hint=f"name another folder: rlexp init {shlex.quote(f'{folder.name}_2')}",
        )
    return there


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError):
        return None


def _write(folder: Path, made: dict[str, str]) -> None:
    """Writes the files, each whole or not at all; stopped in between, the same command writes the others."""
    for name, text in made.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        with files.whole_file(folder / name) as partial:
            partial.write_text(text, encoding="utf-8")


def _repository(folder: Path) -> None:
    """Records the reward's version, and makes a git repository, unless the folder lies in one, and DVC's folder."""
    from dvc.repo import Repo

    reward_versions.record(folder, [reward_source.read(folder, REWARD)])
    if git(folder, "rev-parse", "--is-inside-work-tree") is None and shutil.which("git"):
        git(folder, "init", "-q")
    top = git(folder, "rev-parse", "--show-toplevel")
    if (folder / ".dvc/config").is_file():
        return
    shutil.rmtree(folder / ".dvc", ignore_errors=True)  # of an init that was stopped
    inside = top is not None and Path(top.strip()).resolve() != folder.resolve()
    logging.getLogger("dvc").setLevel(logging.WARNING)
    with (
        contextlib.closing(Repo.init(str(folder), no_scm=top is None, subdir=inside)) as made,
        made.config.edit("repo") as config,
    ):
        config["core"]["analytics"] = False
    git(folder, "add", ".dvc/config")
