"""The choice of a checkpoint by what was measured on the way: which are kept for it, and which one it is at the end.

What is kept follows from SELECTION alone, line by line, never from what the disk held in between: a run that was killed
and went on keeps and chooses the same.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from rlexp import files
from rlexp.chosen import SELECTION, lines
from rlexp.compose.schema_eval import HELD_OUT
from rlexp.errors import RunError
from rlexp.evaluate import disagreement
from rlexp.evaluate.measure import Measured
from rlexp.evaluate.statistics.checkpoint import Chosen, choose
from rlexp.evaluate.statistics.estimate import Estimate, estimate
from rlexp.record import best_link
from rlexp.whole import fault, of

DECIMALS = 4
"""Of seconds."""


class Selection:
    """The measured steps of a run.

    Args:
        keep: checkpoints that are kept for their mean (``held_out.keep``).
        began: the step that training began with: 0, or that of a fork. It has no checkpoint of its own.
        warn: prints one message.
        task: what is measured.
    """

    def __init__(self, run_dir: Path, keep: int, began: int, warn: Callable[[str], None], task: str = HELD_OUT) -> None:
        self.task = self._of = task
        self.run_dir = run_dir
        self.keep = keep
        self.began = began
        self.warn = warn
        self.metric = ""
        self.values: dict[int, list[float | None]] = {}
        """Step -> one value a row."""
        self.kept: set[int] = set()
        """Steps whose checkpoints are kept for the choice."""
        self.seconds = 0.0
        """What measuring took."""

    def read(self) -> None:
        """Goes on with what an earlier attempt measured."""
        for line in lines(self.run_dir):
            self.metric, self.values[line["step"]] = line["metric"], line["values"]
            self._of = line["task"]
            self.kept = set(line["kept"])
            self.seconds += line["timing"]["seconds"]

    def note(self, step: int, found: Measured, seconds: float) -> bool:
        """Takes a measurement to the others, and says whether the step's checkpoint is to be kept."""
        before = self._of, self.metric, len(next(iter(self.values.values()), []))
        if self.values and before != (self.task, found.metric, len(found.values)):
            self.warn(f"rows, metric or task of {SELECTION} are others now: the choice begins anew at step {step}")
            self.values, self.kept, self.seconds = {}, set(), 0.0
            (self.run_dir / SELECTION).unlink(missing_ok=True)
        self.metric, self._of = found.metric, self.task
        self.values[step] = found.values
        self.seconds += seconds
        now = self._chosen({*self.kept, step, self.began})
        if step != self.began:
            means = {one: mean for one in {*self.kept, step} if (mean := _estimate(self.values[one]).mean) is not None}
            highest = sorted(means, key=lambda one: (-means[one], one))[: self.keep]
            self.kept = {*highest, *([now[0]] if now else [])} - {self.began}
        line = {
            "step": step,
            "began": self.began,
            "metric": found.metric,
            "task": self.task,
            "values": found.values,
            "kept": sorted(self.kept),
            "chosen": now[0] if now else None,
            "timing": {"seconds": round(seconds, DECIMALS)},
        }
        files.append(self.run_dir / SELECTION, json.dumps(line))
        return step in self.kept

    def end(self, done: int, left: Path, seconds: float, logged: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
        """Chooses, for the manifest, and has the link ``best`` lead there; None where nothing can be chosen.

        Args:
            done: the last step that was trained.
            left: the weights of that step, as the run leaves them.
            seconds: what the run took so far.
            logged: the entries of ``metrics.jsonl``.
        """
        there = {step: folder for step, folder in of(self.run_dir).items() if step in self.kept and not fault(folder)}
        now = self._chosen({*there, self.began, done}, said=True)
        if now is None:
            return None
        step, rule = now
        if step in there or step == done != self.began:
            best_link.point(self.run_dir, there.get(step, left))
        why = rule.why
        if step != rule.step:
            why = f"step {step} is what is kept of the steps within one paired standard error of the best; {why}"
        estimates = {one: _estimate(values) for one, values in sorted(self.values.items())}
        measured = [
            {"step": one, "mean": of_step.mean, "standard_error": of_step.error}
            for one, of_step in estimates.items()
            if of_step.mean is not None
        ]
        parted = disagreement.sentence(logged, self.values, step, self.metric)
        return {
            "metric": self.metric,
            "task": self.task,
            "rows": len(self.values[step]),
            "began": self.began,
            "step": step,
            "best": rule.best,
            "candidates": list(rule.candidates),
            "measured": measured,
            "optimism": rule.optimism,
            "why": why,
            "cost": {"seconds": round(self.seconds, DECIMALS), "share": round(self.seconds / seconds, DECIMALS)},
            **({"disagreement": parted} if parted else {}),
        }

    def folder(self, step: int) -> Path:
        """The checkpoint of a chosen step."""
        return of(self.run_dir)[step]

    def _chosen(self, available: Collection[int], said: bool = False) -> tuple[int, Chosen] | None:
        """(step, what the rule says of all measured steps): the rule's own, or where that one is not available, the
        earliest that is as good; None where the rule cannot compare.

        Args:
            said: a warning says why it cannot.
        """
        try:
            rule = choose(self.values)
            good = [step for step in rule.candidates if step in available]
            others = {step: values for step, values in self.values.items() if step in available}
            return (good[0] if good else choose(others).step), rule
        except RunError as error:
            if said and self.values:
                self.warn(f"no checkpoint was chosen: {error.what}; {error.hint}")
            return None


def _estimate(values: Sequence[float | None]) -> Estimate:
    return estimate([[value] for value in values])
