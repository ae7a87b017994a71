"""The card of a run: the one way to it, from Python and from the command line."""

from __future__ import annotations

from pathlib import Path

from rlexp.card import write
from rlexp.compose import hub
from rlexp.errors import RunError
from rlexp.record import exports, finished


def card(word: str, here: Path, root: Path, folder: str | None = None) -> Path:
    """Writes the card of a run to ``exports/RUN/card/``.

    Args:
        word: the run.
        folder: of the export, from the project's; None for the one that ``export RUN`` fills.

    Returns:
        The card's file.

    Raises:
        RunError: the word names no run, the notes cannot be read, or an artifact is not the one that was held against
            the run.
    """
    run = finished.open(word, here, root)
    if run.manifest.get("status") is None:
        hint = "name a run folder: python -m rlexp runs lists them"
        raise RunError("a card is written of a run with its record, and this lock stands alone", where=word, hint=hint)
    place = root / folder if folder else exports.folder_of(run.run_dir, root)
    exports.require_inside(place, root)
    named = run.lock["inputs"]["model"].get("path")
    base = root / named if named else hub.cached(run.run)
    return write.write(run, place, base)
