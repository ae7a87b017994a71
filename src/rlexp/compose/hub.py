"""The hub: a branch is resolved to the commit that is meant, and whether a model's files can be had is said at once.

A commit that is named is never asked for again. Without the hub, the cache of huggingface_hub on this machine answers.
"""

from __future__ import annotations

import dataclasses
import json
import os
import re
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rlexp.compose.run import Run
from rlexp.compose.schema import Invocation
from rlexp.errors import RunError, nearest

COMMIT = re.compile(r"[0-9a-f]{40}")
TOKENIZERS = ("tokenizer.json", "tokenizer.model", "vocab.json")
"""Files of which a tokenizer has one."""
WEIGHTS = (".safetensors", ".bin")
PATIENCE_S = 8.0
"""Seconds within which the hub must have answered."""


def begin(invocation: Invocation) -> None:
    """Takes over how the command was started: with ``offline`` nothing is asked of the hub by any library."""
    if invocation.offline:
        os.environ["HF_HUB_OFFLINE"] = "1"


def at_commit(run: Run) -> Run:
    """The run with the commit of its hub model in ``model.revision``, where a branch, a tag or nothing stands there.

    Raises:
        RunError: the hub does not know it, or cannot be reached and the cache does not know it either.
    """
    model = run.model
    if model.path is not None or COMMIT.fullmatch(model.revision or ""):
        return run
    commit = newest(str(model.hub_id), model.revision or "main")
    return dataclasses.replace(run, model=dataclasses.replace(model, revision=commit))


def require(run: Run) -> None:
    """Checks that a hub model's files are in the cache, or can be asked for.

    Raises:
        RunError: neither.
    """
    if run.model.path is None and not cached(run):
        ask(str(run.model.hub_id), str(run.model.revision))


def cached(run: Run) -> Path | None:
    """The folder of a hub model's commit in the cache, where it is whole: config, tokenizer, every part of the weights.

    Source: huggingface_hub keeps a folder for each commit, and never changes what is in it.
    """
    folder = cache(str(run.model.hub_id)) / "snapshots" / str(run.model.revision)
    if not (folder / "config.json").is_file() or not any((folder / name).is_file() for name in TOKENIZERS):
        return None
    for index in folder.glob("*.index.json"):
        parts = set(json.loads(index.read_text()).get("weight_map", {}).values())
        return folder if all((folder / part).is_file() for part in parts) else None
    return folder if any(any(folder.glob(f"*{end}")) for end in WEIGHTS) else None


def offline() -> bool:
    """Says whether the hub is not to be asked."""
    from huggingface_hub import constants

    # The first is read when it is imported.
    return bool(constants.HF_HUB_OFFLINE) or os.environ.get("HF_HUB_OFFLINE") == "1"


def newest(hub_id: str, revision: str, kind: str = "model") -> str:
    """The commit of a branch or a tag, from the hub or else its cache.

    Raises:
        RunError: neither knows it.
    """
    try:
        return str(ask(hub_id, revision, kind).sha)
    except Unreachable:
        known = cache(hub_id, kind) / "refs" / revision
        if known.is_file() and COMMIT.fullmatch(commit := known.read_text().strip()):
            return commit
        raise


class Unreachable(RunError):
    """The hub gave no answer; it is another matter that it does not know the model."""


def ask(hub_id: str, revision: str, kind: str = "model") -> Any:
    """What the hub says of a model or data set (``huggingface_hub.ModelInfo``, ``DatasetInfo``).

    Raises:
        Unreachable: it gave no answer within PATIENCE_S.
        RunError: it does not know it or the revision, or does not show it to this user.
    """
    import huggingface_hub

    api = huggingface_hub.HfApi()
    info = api.model_info if kind == "model" else api.dataset_info
    return answer(lambda: info(hub_id, revision=revision, timeout=5), hub_id, revision, kind)


INSTEAD = {
    "model": "a folder that has it: model.path=FOLDER, or one of models/: model=tiny",
    "dataset": "a file that holds its rows: dataset=local dataset.params.file=FILE",
}
"""What to take where the hub has no answer."""
NAMED = {"model": "model", "dataset": "data set"}


def answer(question: Callable[[], Any], hub_id: str, revision: str, kind: str, patient: bool = False) -> Any:
    """The answer of the hub, or its refusal in plain words.

    Args:
        kind: ``model`` or ``dataset``.
        patient: it may take as long as it takes, not PATIENCE_S.

    Raises:
        Unreachable, RunError: as ``ask``.
        huggingface_hub.errors.RemoteEntryNotFoundError: the commit has no such file.
    """
    from huggingface_hub import errors

    key, instead, named = "model.hub_id" if kind == "model" else kind, INSTEAD[kind], NAMED[kind]
    where = f"{key}={hub_id}, revision {revision}"
    plain = revision == "main" or COMMIT.fullmatch(revision)
    missing = f"{hub_id} is not in its cache" if plain else f"its cache does not know {hub_id} at {revision}"
    if near := nearest(hub_id, cached_ids(kind)):
        instead = f"{kind}=hub:{near}, which is in the cache" if near != hub_id else instead
    if offline():
        raise Unreachable(
            f"the hub is not asked (offline), and {missing} on this machine",
            where=where,
            hint=f"leave out HF_HUB_OFFLINE and invocation.offline, or type {instead}",
        )
    try:
        return _within(None if patient else PATIENCE_S, question)
    except errors.HFValidationError as error:
        hint = "an id of the hub is OWNER/NAME; a folder is model.path=FOLDER"
        raise RunError(f"{hub_id!r} is no id of the hub: {_first(error)}", where=where, hint=hint) from error
    except errors.RemoteEntryNotFoundError:
        raise
    except errors.GatedRepoError as error:
        hint = "accept its licence on the hub, then: hf auth login, or export HF_TOKEN=..."
        raise RunError(f"{hub_id} is shown to some users only", where=where, hint=hint) from error
    except errors.RevisionNotFoundError as error:
        hint = f"type {kind}=hub:{hub_id} for the newest, or {kind}=hub:{hub_id}@COMMIT, as the hub lists them"
        if kind == "model":
            hint = "type model.revision=COMMIT, 40 hex digits, as the hub lists them; null for the newest"
        raise RunError(f"{hub_id} has no revision {revision}", where=where, hint=hint) from error
    except errors.RepositoryNotFoundError as error:
        hint = f"look for the name on the hub; a private one needs HF_TOKEN; or type {instead}"
        raise RunError(f"the hub knows no {named} {hub_id}", where=where, hint=hint) from error
    except Exception as error:  # httpx has many, the hub's servers more
        raise Unreachable(
            f"the hub cannot be reached, and {missing} on this machine: {_first(error)}",
            where=where,
            hint=f"check the network (and HF_ENDPOINT, where you use it), or type {instead}",
        ) from error


def _within(seconds: float | None, ask: Callable[[], Any]) -> Any:
    """The answer of ``ask``, whose own time limits do not count the look-up of a name."""
    answers: list[Any] = []

    def work() -> None:
        try:
            answers.append(ask())
        except Exception as error:
            answers.append(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(seconds)
    answer = answers[0] if answers else TimeoutError(f"no answer within {seconds:g} s")
    if isinstance(answer, Exception):
        raise answer
    return answer


def cache(hub_id: str, kind: str = "model") -> Path:
    """The folder of a model or data set in the cache of huggingface_hub."""
    from huggingface_hub import constants
    from huggingface_hub.file_download import repo_folder_name

    return Path(constants.HF_HUB_CACHE) / repo_folder_name(repo_id=hub_id, repo_type=kind)


def cached_ids(kind: str) -> list[str]:
    """The ids of the models or data sets of which the cache on this machine holds files."""
    found = cache("ANY/ANY", kind).parent.glob(f"{kind}s--*--*")
    return sorted(path.name.removeprefix(f"{kind}s--").replace("--", "/", 1) for path in found)


def _first(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
