"""Files of the hub at a commit: those in huggingface_hub's cache on this machine, else the hub's own."""

from __future__ import annotations

import functools
from pathlib import Path

from rlexp.compose import hub

_asked: dict[tuple[str, str | None], str] = {}


def commit_of(hub_id: str, revision: str | None, kind: str) -> str:
    """The commit of a branch or a tag, asked for once in each process; a commit is its own.

    Args:
        revision: None for the main branch.
        kind: ``model`` or ``dataset``.

    Raises:
        RunError: the hub does not know it, or cannot be reached and the cache does not know it either.
    """
    if hub.COMMIT.fullmatch(revision or ""):
        return str(revision)
    key = (str(hub.cache(hub_id, kind)), revision)
    if key not in _asked:
        _asked[key] = hub.newest(hub_id, revision or "main", kind)
    return _asked[key]


def file_of(hub_id: str, commit: str, name: str, kind: str) -> Path | None:
    """A small file of a commit, from the cache or else from the hub; None where the commit has none of that name.

    Raises:
        Unreachable: it is not in the cache, and the hub gave no answer within PATIENCE_S.
        RunError: the hub does not know the model or data set, or does not show it to this user.
    """
    import huggingface_hub
    from huggingface_hub import errors

    known = huggingface_hub.try_to_load_from_cache(hub_id, name, revision=commit, repo_type=kind)
    if known is not None:
        return Path(known) if isinstance(known, str) else None  # else it is known that there is none
    try:
        load = functools.partial(huggingface_hub.hf_hub_download, hub_id, name, revision=commit, repo_type=kind)
        return Path(hub.answer(load, hub_id, commit, kind))
    except errors.RemoteEntryNotFoundError:
        return None


def names_of(hub_id: str, commit: str, kind: str) -> set[str]:
    """The files of a commit: those in the cache where weights are among them, else as the hub lists them, once in each
    process; without the hub those in the cache."""
    folder = hub.cache(hub_id, kind) / "snapshots" / commit
    known = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    if any(name.endswith(hub.WEIGHTS) for name in known):
        return known
    try:
        return _listed(hub_id, commit, kind)
    except hub.Unreachable:
        return known


@functools.cache
def _listed(hub_id: str, commit: str, kind: str) -> set[str]:
    return {file.rfilename for file in hub.ask(hub_id, commit, kind).siblings or []}


def folder_of(hub_id: str, commit: str, patterns: list[str] | None) -> Path:
    """The folder of a data set's commit, with the files of these patterns; None for all. It takes as long as it takes.

    Raises:
        RunError: they are not in the cache, and the hub cannot be reached or does not show them to this user.
    """
    import huggingface_hub
    from huggingface_hub import errors

    get = functools.partial(
        huggingface_hub.snapshot_download, hub_id, repo_type="dataset", revision=commit, allow_patterns=patterns
    )
    if hub.offline():
        try:
            return Path(get(local_files_only=True))
        except errors.LocalEntryNotFoundError:
            pass  # said by ``answer``
    return Path(hub.answer(get, hub_id, commit, "dataset", patient=True))
