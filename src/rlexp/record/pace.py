"""How long a run will take, from runs of this project that trained the same; nothing is said where there is none.

The median step of those runs, for as many steps, with what stood around the steps: the start-up, which a point of a
sweep skips that finds its model loaded, and the held-out rows. Runs of another batch or completion length count where
no run has the same and theirs is at most NEAR times away: a step is then taken to be as long as it has tokens.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rlexp.compose.run import Run
from rlexp.record import finished, listed
from rlexp.record.listed import RunRow

NEAR = 2.0
"""How many times more, or fewer, tokens a step may have than one that is known."""
KIND = (
    *("model.name", "model.path", "model.hub_id", "model.full_finetuning", "model.load_in_4bit", "dataset.name"),
    *("method.name", "method.num_iterations", "method.off_policy_steps", "hardware.name", "hardware.device"),
    *("hardware.devices", "hardware.dtype", "hardware.gradient_checkpointing", "rollout.name"),
)
"""Keys of the config that runs share whose times are compared."""
WORK = ("method.prompts_per_step", "method.num_generations", "method.max_completion_length", "model.max_seq_length")
"""Keys that say how much a step computes, at most."""
UNKNOWN = "unknown: no run of this kind here yet"


@dataclass(frozen=True)
class Seen:
    """A run that finished, and its times in seconds."""

    folder: Path
    kind: tuple[Any, ...]
    work: tuple[Any, ...]
    """What its steps compute, and whether a reference is asked."""
    tokens: float
    """Of a step, at most."""
    step: float
    begin: float
    """The start-up, and what the steps took beside their median: the first one compiles, some are saved."""
    after: float
    """The held-out rows, and saving."""
    rows: int
    """The held-out rows."""
    warm: bool
    """It found its model loaded."""
    steps: int
    total: float


@dataclass(frozen=True)
class Pace:
    """What is expected of a run, in seconds."""

    step: float
    begin: float
    """The start-up of a run alone, or of the first point."""
    warm: float
    """That of a point that finds its model loaded."""
    after: float
    steps: int
    runs: int
    """The runs that this is from."""
    similar: bool
    """They differ in batch, length or reference; a step is scaled by its tokens."""

    def seconds(self, warm: bool = False) -> float:
        """How long it takes, whole."""
        return self.steps * self.step + (self.warm if warm else self.begin) + self.after

    @property
    def source(self) -> str:
        """Where it is from: ``from 3 runs``."""
        return f"from {self.runs} {'similar ' * self.similar}run{'s' * (self.runs != 1)}"


def seen(root: Path) -> list[Seen]:
    """The runs of a project that finished in one go, and left their times."""
    found = [_seen(listed.read(folder, root)) for folder in finished.run_folders(root)]
    return [one for one in found if one]


def expected(run: Run, steps: int, known: Sequence[Seen]) -> Pace | None:
    """What is expected of a run; None where no run of its kind is known.

    Args:
        steps: its optimizer steps, those of a smoke in front of it among them.
        known: as ``seen``.
    """
    config = run.config()
    kind, work, tokens = _kind(config), _work(config), _tokens(config)
    alike = [one for one in known if one.kind == kind]
    same = [one for one in alike if one.work == work]
    near = sorted((_far(one.tokens, tokens), one.tokens) for one in alike)
    if not alike or not (same or near[0][0] <= NEAR):
        return None
    used = same or [one for one in alike if one.tokens == near[0][1]]
    cold = [one.begin for one in used if not one.warm] or [one.begin for one in alike if not one.warm]
    warm = [one.begin for one in used if one.warm] or [one.begin for one in alike if one.warm]
    measured = [one.after / one.rows for one in used if one.rows]
    bare = statistics.median([one.after for one in used if not one.rows] or [0.0])
    rows = run.held_out.rows
    return Pace(
        step=statistics.median(one.step * (1 if same else tokens / one.tokens) for one in used),
        begin=statistics.median(cold or warm),
        warm=statistics.median(warm or cold),
        after=rows * statistics.median(measured) if rows and measured else bare,
        steps=steps,
        runs=len(used),
        similar=not same,
    )


def _seen(row: RunRow) -> Seen | None:
    manifest, times = row.manifest, row.manifest.get("timings_s", {})
    step = manifest.get("step_time_s", {}).get("step")
    lacks = not {"trained", "total"} <= times.keys() or len(manifest.get("attempts", [])) > 1 or not row.steps
    if row.status != "finished" or "verb" in manifest or not step or lacks or "fork" in manifest or not row.config:
        return None
    smoked = times["smoked"] - times.get("loaded", 0.0) if "smoked" in times else 0.0
    done = row.steps[0] if row.steps else 0
    begin = max(0.0, times["trained"] - smoked - done * step)
    rows = row.value("held_out.rows")
    tokens = _tokens(row.config)
    if not isinstance(rows, int) or not math.isfinite(begin) or not tokens:
        return None
    total = times["total"] - smoked
    after = max(0.0, times["total"] - times["trained"])
    config, warm = row.config, manifest.get("warm", False)
    return Seen(row.place, _kind(config), _work(config), tokens, step, begin, after, rows, warm, done, total)


def _far(a: float, b: float) -> float:
    return max(a / b, b / a)


def _kind(config: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(str(_at(config, key)) for key in KIND)


def _work(config: dict[str, Any]) -> tuple[Any, ...]:
    return (*(str(_at(config, key)) for key in WORK), bool(_at(config, "method.beta")))


def _tokens(config: dict[str, Any]) -> float:
    """The tokens of a step, at most; 0 where the config does not say them."""
    prompts, generations, completion, length = (_at(config, key) for key in WORK)
    numbers = [prompts, generations or 1, completion or length]
    return math.prod(numbers) if all(isinstance(one, int) and one > 0 for one in numbers) else 0


def _at(config: Any, key: str) -> Any:
    for name in key.split("."):
        config = config.get(name) if isinstance(config, dict) else None
    return config
