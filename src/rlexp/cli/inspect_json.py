"""The view of ``inspect`` as JSON values (``--json``)."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any

from rlexp.evaluate.samples import Group, Summary, TextSpan


def to_json(group: Group) -> dict[str, Any]:
    """A group as JSON values: its texts as the model sees them."""
    content = dataclasses.asdict(group)
    content["prompt"] = _joined(group.prompt)
    content["targets"] = [
        {"name": target.name, "text": _joined(target.pieces), "tokens": target.tokens, "cut": target.truncated}
        for target in group.targets
    ]
    for sample in content["samples"]:
        sample["cut"] = sample.pop("truncated")
        sample["as_seen"] = "".join(piece["text"] for piece in sample.pop("pieces"))
    return content


def summary_to_json(summary: Summary) -> dict[str, Any]:
    """A summary as JSON values."""
    content = dataclasses.asdict(summary)
    return {"cut" if name == "truncated" else name: value for name, value in content.items()}


def _joined(pieces: Iterable[TextSpan]) -> str:
    return "".join(piece.text for piece in pieces)
