"""The parts of a run's record that grow while it trains: what a checkpoint keeps of them, and how they are put back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rlexp.backend import peak_memory
from rlexp.health.watch import Watch
from rlexp.record.rewind import digests, lengths
from rlexp.record.run_folder import Record
from rlexp.reward.rubric import Rubric
from rlexp.shapes import COUNT, NAME, SHA256, TEXT, mapping
from rlexp.train.step_time import StepTime


def exactly(**values: dict[str, Any]) -> dict[str, Any]:
    """The schema of a mapping with these keys and no others."""
    return {"type": "object", "properties": values, "required": list(values), "additionalProperties": False}


def several(items: dict[str, Any], most: int) -> dict[str, Any]:
    """The schema of a list."""
    return {"type": "array", "items": items, "maxItems": most}


NUMBER, OR_NONE = {"type": "number"}, {"type": ["number", "null"]}
NUMBERS = mapping(NUMBER)
SHARES = dict.fromkeys(("low", "high", "equal", "empty", "copied", "looping"), NUMBER)
SAMPLED = exactly(groups=COUNT, **SHARES, variances=NUMBERS, ranges=NUMBERS)
STEP = exactly(
    number=COUNT,
    logs=NUMBERS,
    sampled={"anyOf": [SAMPLED, {"type": "null"}]},
    **dict.fromkeys(("moved", "seconds", "memory"), OR_NONE),
)
MEASURED = {"type": "array", "prefixItems": [COUNT, NUMBERS], "minItems": 2, "maxItems": 2}
FINDING = exactly(rule=NAME, level={"enum": ["warn", "stop"]}, step=COUNT, value=NUMBER, said=TEXT, hint=TEXT)
SCHEMA = exactly(
    lengths=mapping(COUNT, NAME),
    sha256=mapping(SHA256, NAME),
    scores=exactly(asked=COUNT, failed=COUNT),
    seconds=NUMBER,
    timings_s=mapping(NUMBER, NAME),
    memory=mapping(COUNT, {"enum": ["reserved", "allocated"]}),
    watch=exactly(
        window=exactly(
            steps=several(STEP, 1000), first=several(STEP, 1000), held_out=several(MEASURED, 10_000), highest=NUMBER
        ),
        found=several(FINDING, 1000),
        low=NUMBER,
        high=NUMBER,
    ),
)
"""The shape of what ``RunSoFar.state`` answers."""


@dataclass(frozen=True)
class RunSoFar:
    """The parts of a run's record that grow while it trains."""

    record: Record
    rubric: Rubric
    watch: Watch
    times: StepTime

    def state(self) -> dict[str, Any]:
        """The values now, as JSON."""
        return {
            "lengths": lengths(self.record.run_dir),
            "sha256": digests(self.record.run_dir),
            "scores": {"asked": self.rubric.scored, "failed": self.rubric.failed},
            "seconds": self.record.seconds(),
            "timings_s": dict(self.record.content["timings_s"]),
            "memory": peak_memory.peaks(),
            "watch": self.watch.state(),
        }

    def restore(self, state: dict[str, Any], times: dict[str, Any]) -> None:
        """Goes on from ``state``.

        Args:
            times: of the steps, as ``checkpoints.TRAINER`` holds them.
        """
        self.rubric.scored, self.rubric.failed = state["scores"]["asked"], state["scores"]["failed"]
        self.record.carry(state["timings_s"], state["seconds"])
        peak_memory.carry(state["memory"])
        self.watch.restore(state["watch"])
        steps = [dict(zip(times["parts"], row, strict=True)) for row in times["values"].tolist()]
        self.times.restore([{part: s for part, s in step.items() if s == s} for step in steps], times["reported"])
