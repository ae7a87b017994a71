"""The project as DVC sees it, and what DVC refuses in words."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rlexp.errors import RunError

STAGE = "run"
"""The stage that replays the pinned run."""


@contextlib.contextmanager
def repository(root: Path) -> Iterator[Any]:
    """The project as DVC sees it; what DVC refuses becomes a message with its own advice."""
    from dvc.exceptions import CyclicGraphError, DvcException, NotDvcRepoError, OverlappingOutputPathsError
    from dvc.lock import LockError
    from dvc.utils.serialize import ParseError
    from dvc.utils.strictyaml import YAMLValidationError

    try:
        from dvc.repo import Repo

        with Repo(str(root)) as repo:
            yield repo
    except DvcException as error:
        hint = "dvc status and dvc repro --dry say more"
        if isinstance(error, NotDvcRepoError):
            hint = "dvc init, and pin again"
        elif isinstance(error, LockError):
            hint = "another dvc command is at work here: wait for it, and pin again"
        elif isinstance(error, ParseError | YAMLValidationError):
            hint = "mend that file, or git checkout it, and pin again"
        elif isinstance(error, OverlappingOutputPathsError | CyclicGraphError):
            hint = "take the stage that makes the same folder out of dvc.yaml, and pin again"
        raise RunError(f"DVC refused the stage {STAGE}: {error}", where="dvc.yaml", hint=hint) from error


def makers(repo: Any, root: Path, path: str) -> list[Any]:
    """The stages that make a folder."""
    from dvc.exceptions import OutputNotFoundError

    try:
        return [out.stage for out in repo.find_outs_by_path(str(root / path))]
    except OutputNotFoundError:
        return []
