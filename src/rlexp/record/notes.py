"""``notes.json`` of a run folder: what people say of a run. No part of its lock or manifest: nothing depends on it."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rlexp import files, shapes
from rlexp.errors import RunError, nearest, printable

FILE, FORMAT = "notes.json", 1
TAG = r"\A[\w.+@/-]{1,60}\Z"
MOST, LONGEST, NAME_LENGTH = 100, 10_000, 200
"""Tags of a run; characters of a note, and of an owner."""
SCHEMA = shapes.record(
    {"format": {"enum": [FORMAT], "description": f"the format that this version reads ({FORMAT})"}},
    {
        "tags": {
            "type": "array",
            "maxItems": MOST,
            "items": {"type": "string", "pattern": TAG, "description": "a tag of letters, digits and . _ + @ / -"},
        },
        "note": {"type": "string", "maxLength": LONGEST, "description": f"a text of at most {LONGEST} characters"},
        "owner": {"type": "string", "maxLength": NAME_LENGTH, "description": "a name"},
    },
)
"""The shape of FILE."""


@dataclass(frozen=True)
class Notes:
    """What was said of a run."""

    tags: tuple[str, ...] = ()
    note: str = ""
    owner: str = ""

    def changed(
        self, add: Sequence[str] = (), remove: Sequence[str] = (), note: str | None = None, owner: str | None = None
    ) -> Notes:
        """These with tags added and removed, and another note or owner; an empty text takes one away.

        Raises:
            RunError: a tag is none, one that is to go is not there, or a text is too long.
        """
        for tag in add:
            if not re.fullmatch(TAG, tag):
                near = re.sub(r"[^\w.+@/-]+", "-", tag).strip("-")[:60] or "baseline"
                hint = f"type --add {near}"
                raise RunError(f"{tag!r} is no tag: letters, digits and . _ + @ / -", where=f"--add {tag}", hint=hint)
        for tag in remove:
            if tag not in self.tags:
                guess = nearest(tag, self.tags)
                has = f"its tags: {', '.join(self.tags)}" if self.tags else "it has no tags"
                more = f"did you mean --remove {guess}?" if guess else f"leave out --remove {shlex.quote(tag)}:"
                hint = f"{more} {has}"
                raise RunError(f"the run has no tag {tag!r}", where=f"--remove {tag}", hint=hint)
        kept = [tag for tag in dict.fromkeys([*self.tags, *add]) if tag not in remove or tag in add]
        if len(kept) > MOST:
            raise RunError(f"a run has at most {MOST} tags", where="--add", hint="remove some: --remove TAG")
        texts = {"note": (note, LONGEST), "owner": (owner, NAME_LENGTH)}
        for name, (text, most) in texts.items():
            if text is not None and len(text) > most:
                hint = f"shorten it to {most} characters"
                raise RunError(f"the {name} has {len(text)} characters", where=f"--{name}", hint=hint)
        now = {name: printable(text).strip() for name, (text, _) in texts.items() if text is not None}
        return dataclasses.replace(self, tags=tuple(kept), **now)


def read(run_dir: Path) -> Notes:
    """What was said of a run, its texts without control characters; nothing where there is no FILE.

    Raises:
        RunError: the file cannot be read, or has another shape.
    """
    try:
        content = shapes.read_json(run_dir / FILE, SCHEMA, "notes", shown=True) or {}
    except RunError as error:
        path = shlex.quote(os.path.relpath(run_dir / FILE))
        hint = f"take it from where it came from, or remove it, since nothing depends on it: rm {path}"
        raise RunError(error.what, error.where, hint) from error
    return Notes(tuple(content.get("tags", ())), content.get("note", ""), content.get("owner", ""))


def write(run_dir: Path, notes: Notes) -> None:
    """Writes FILE, whole; none where nothing is said any more."""
    if notes == Notes():
        (run_dir / FILE).unlink(missing_ok=True)
        return
    content = {"format": FORMAT, **{name: value for name, value in dataclasses.asdict(notes).items() if value}}
    files.write_text(run_dir / FILE, json.dumps(content, indent=1, ensure_ascii=False) + "\n")
