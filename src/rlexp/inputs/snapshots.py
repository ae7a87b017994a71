"""The snapshots that a run asks for: its own, or those of a mixture's parts, held against what lies on disk."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rlexp.compose.places import Places
from rlexp.compose.run import Run
from rlexp.compose.schema import Rows
from rlexp.errors import RunError, nearest
from rlexp.inputs import script_params, snapshot
from rlexp.inputs.digest import file_md5
from rlexp.project import shipped


@dataclass(frozen=True)
class Asked:
    """A snapshot that a run asks for, as it is composed."""

    rows: Rows
    key: str
    """Its key in the tree: ``dataset``, or ``dataset.parts.NAME``."""
    params: dict[str, Any]
    """Those of its script, as plain JSON values."""


def asked(run: Run) -> Asked:
    """The snapshot that a run trains on."""
    return Asked(run.dataset, "dataset", run.config()["dataset"]["params"])


def parts(run: Run) -> dict[str, Asked]:
    """Those of a mixture's parts; of one data set none."""
    config = run.config()["dataset"]["parts"]
    return {
        name: Asked(part, f"dataset.parts.{name}", config[name]["params"]) for name, part in run.dataset.parts.items()
    }


def script_of(one: Asked, root: Path, places: Places) -> Path:
    """The script that writes a snapshot that is missing.

    Raises:
        RunError: there is none, or a file that it reads is missing.
    """
    rows = one.rows
    script = places.path(f"data_prep/{rows.prepare}.py")
    if rows.prepare and rows.own_place and script.is_file():
        script_params.require_files(rows.params, root, f"{one.key}.params")
        return script
    present = sorted(
        path.parent.relative_to(root).as_posix() for path in (root / "data").glob(f"*/{snapshot.DESCRIPTION}")
    )
    guess = nearest(rows.path, present)
    if rows.prepare and not script.is_file():
        scripts = [Path(name).stem for name in places.names("data_prep/*.py")]
        guess = nearest(rows.prepare, scripts)
        raise RunError(
            f"there is no script data_prep/{rows.prepare}.py",
            where=f"{one.key}.prepare",
            hint=(f"did you mean {guess}? or " if guess else "")
            + f"write it, as {shipped() / 'data_prep/arithmetic.py'} is (one of: {', '.join(scripts)})",
        )
    if rows.prepare:
        hint = f"leave {one.key}.path out and data_prep/{rows.prepare}.py writes data/{rows.name}"
    else:
        hint = "dataset=local dataset.params.file=FILE makes a snapshot of your file"
    if present:
        hint = f"{f'did you mean {one.key}.path=' + guess if guess else 'one of: ' + ', '.join(present)}; or {hint}"
    raise RunError(f"there is no snapshot at {rows.path}", where=f"{one.key}.path", hint=hint)


def check(one: Asked, description: dict[str, Any], root: Path) -> None:
    """Holds a snapshot that is there against what is asked for, and its files against its description.

    Raises:
        RunError: it is of other parameters, files or scripts, or it was changed after it was made.
    """
    # The first: a snapshot of an older script must not be blamed for what the script was mended for.
    if one.rows.own_place:
        require_current(one, changes(one, description["source"], root))
    changed = snapshot.faults(root / one.rows.path, description)
    if changed:
        path = one.rows.path
        again = f"mv {path} {path}_edited, and the next run makes it again"
        own = "rows of your own are a data set of their own: dataset=local dataset.params.file=FILE"
        made_here = one.rows.own_place and (one.rows.prepare or "parts" in description["source"])
        raise RunError(
            f"the snapshot {path} is not what was made: {'; '.join(changed)}",
            where=f"{path}/{snapshot.DESCRIPTION}",
            hint=f"{again}; {own}" if made_here else f"put it back as it was; {own}",
        )


def changes(one: Asked, source: dict[str, Any], root: Path) -> list[str]:
    """What is another by now than when a snapshot was made: parameters, the files that were read, the script.

    Args:
        source: what the snapshot's description says of where its rows come from.
    """
    made_with = source.get("params", {})
    changed = [
        f"it was made with {key}={made_with.get(key)}, asked is {one.params.get(key)}"
        for key in sorted({*made_with, *one.params})
        if made_with.get(key) != one.params.get(key)
    ]
    changed += [
        f"{file} has changed since"
        for file, md5 in source.get("files", {}).items()
        if (root / file).is_file() and file_md5(root / file) != md5
    ]
    script = source.get("script", "")
    if source.get("script_md5") and (root / script).is_file() and file_md5(root / script) != source["script_md5"]:
        changed.append(f"it was made by another version of {script}")
    return changed


def require_current(one: Asked, changed: list[str]) -> None:
    """Refuses a snapshot that is of something else.

    Args:
        changed: what is another (``changes``).

    Raises:
        RunError: it is.
    """
    if not changed:
        return
    path = one.rows.path
    raise RunError(
        f"the snapshot {path} is of something else: {'; '.join(changed)}",
        where=f"{path}/{snapshot.DESCRIPTION}",
        hint=f"make a new one beside it: type {one.key}.name={one.rows.name}_2 as well; or mv {path} {path}_old, "
        "and the next run makes it again",
    )
