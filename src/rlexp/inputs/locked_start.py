"""The weights that a locked run began with, found again by their hash.

In this order: where the lock says; the copy that the run kept, or the replay of the stage that was pinned before it; in
DVC's cache or remote. Only training that stage makes them again.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rlexp.errors import RunError
from rlexp.files import lies_inside
from rlexp.inputs import merge, start, store
from rlexp.inputs.locked_code import MISSING, Search, short
from rlexp.inputs.start import KEPT, Begun
from rlexp.whole import CHECKPOINTS

REPLAYED = "replay"
"""The folder, beside the lock of a stage that was pinned, that it is replayed into."""


def find(search: Search, digest: dict[str, Any]) -> Begun | None:
    """The start of a lock on this machine; None after a fault.

    Args:
        digest: what the lock says of it (``start.LOCKED``).
    """
    root = search.places.root
    replayed, *others = _places(search, digest)
    base = root / digest["base"]["path"] if "path" in digest["base"] else None
    for place in (replayed, *others):
        if start.is_it(place, digest):
            return Begun(place, digest, base)
    other = f"the replay of {digest['run']} left other weights on this machine" if replayed.is_dir() else ""
    beside = root / "models" / ".locked" / start.folder_hash(digest).removesuffix(".dir")
    if search.make and not beside.exists() and lies_inside(beside, root):
        store.restore(root, start.folder_hash(digest), beside)
    if start.is_it(beside, digest):
        search.notes.append(f"{other or digest['run'] + ' is not there'}: its weights are those of DVC's cache")
        return Begun(beside, digest, base)
    if other and search.make:
        raise RunError(
            f"{other}: they are not those that the next stage began with, and DVC's cache does not hold them",
            where=f"expected {short(digest['sha256'])}, {digest['run']}",
            hint="dvc pull, which brings those of the pinned chain; or train the chain anew, and pin that",
        )
    missing = f"{digest['run']} (its weights: dvc pull, or train it again)"
    search.faults.append((missing, short(digest["sha256"]), MISSING))
    return None


def _places(search: Search, digest: dict[str, Any]) -> list[Path]:
    """The folders that may hold the weights of a start: first the replay of the stage that was pinned before it."""
    step = digest["step"]
    below = f"{CHECKPOINTS}/checkpoint-{step}" if step is not None else "model" if digest["full"] else "adapter"
    kept = search.sources.parent / KEPT
    return [kept / REPLAYED / below, kept, search.places.root / digest["run"] / below]


def merge_into(base: Path, begun: Begun, place: Path) -> bool:
    """Merges a start into its base in a place; says whether that could be done."""
    try:
        merge.write(base, begun.weights, place)
    except RunError:
        return False
    return True
