"""The attempts of a run: each start of its folder, when and how it ended, and the step it began from."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from rlexp.record import status
from rlexp.shapes import COUNT, NAME, TEXT, mapping, record

SHAPE = {
    "type": "array",
    "maxItems": 10_000,
    "items": record(
        {"started": TEXT, "status": NAME},
        {
            **{"ended": TEXT, "reason": TEXT, "from_step": COUNT, "host": TEXT, "versions": mapping(TEXT, TEXT)},
            **{"devices": COUNT, "checkpoint_devices": COUNT, "level": NAME, "agrees": TEXT},
            "equal_draw": {"type": "boolean"},
        },
    ),
}
"""The shape of ``attempts`` in a manifest."""


def before(manifest: dict[str, Any] | None) -> list[dict[str, Any]]:
    """The attempts of a manifest, that of a process that is gone as killed; none of a folder that no run has."""
    if not manifest or "identity" not in manifest:
        return []
    made = [dict(one) for one in manifest.get("attempts", [])] or [first(manifest)]
    if made[-1]["status"] == "running":
        stands, reason = status.of(manifest)
        made[-1] |= {"status": stands, **({"reason": reason} if reason else {})}
    return made


def first(manifest: dict[str, Any], from_step: int = 0) -> dict[str, Any]:
    """The attempt that a manifest speaks of at its top."""
    kept = [name for name in ("started", "ended", "status", "reason", "host") if name in manifest]
    return {"started": "", "status": "running", **{name: manifest[name] for name in kept}, "from_step": from_step}


def seconds(made: list[dict[str, Any]]) -> float | None:
    """Seconds that the attempts took together, those whose end somebody saw; None where none was seen."""
    took = [
        (datetime.fromisoformat(one["ended"]) - datetime.fromisoformat(one["started"])).total_seconds()
        for one in made
        if one.get("ended") and one.get("started")
    ]
    return sum(took) if took else None
