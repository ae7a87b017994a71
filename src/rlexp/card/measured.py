"""What was measured of the weights that a card is about, each task with its way of sampling once."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rlexp.record import evaluation


@dataclass(frozen=True)
class Measured:
    """A task of an evaluation."""

    task: str
    own: str
    """The subject whose weights they are."""
    content: dict[str, Any]
    """The evaluation (``record.evaluation``)."""

    @property
    def how(self) -> str:
        """How it was sampled: ``greedy``, ``temperature 1, 4 samples``; empty of a task that samples nothing."""
        return sampled(self.content["tasks"][self.task])

    @property
    def name(self) -> str:
        """The task, and how it was sampled."""
        return f"{self.task}, {self.how}" if self.how else self.task

    @property
    def dataset(self) -> tuple[str, str]:
        """(name, type) of the data that it asks, by the hub's name where it has one; the task's own name where the
        evaluation does not say the data."""
        task = self.content["tasks"][self.task]
        name = _text(task, "config", "dataset", "name") or self.task
        return name, _text(task, "data", "source", "hub_id") or name

    @property
    def results(self) -> dict[str, dict[str, Any]]:
        """Subject -> metric -> estimate; artifacts are left out, as the gate says what they lose."""
        found = self.content["results"][self.task]
        plain = [name for name in found if "artifact" not in self.content["subjects"].get(name, {}).get("digest", {})]
        return {name: found[name] for name in sorted(plain, key=lambda name: (name != "base", name != self.own, name))}

    @property
    def claims(self) -> list[dict[str, Any]]:
        """The differences of the main metric from the weights to what they are held against."""
        shown = self.results
        return [
            one
            for one in self.content["differences"].get(self.task, [])
            if one.get("claimed") and one["other"] == self.own and one["one"] in shown
        ]

    @property
    def metric(self) -> str | None:
        """The main one."""
        return next(
            (one["metric"] for one in self.content["differences"].get(self.task, []) if one.get("claimed")), None
        )

    @property
    def is_general(self) -> bool:
        """Whether it is of the suite of what was not trained."""
        return self.task in self.content.get("general", ())

    @property
    def forgotten(self) -> list[dict[str, Any]]:
        """What the weights lost of it."""
        lost = self.content.get("forgotten") or []
        return [one for one in lost if one["task"] == self.task and one["subject"] == self.own]

    def samples(self, folder: Path) -> list[dict[str, Any]]:
        """Its samples of completions; none of another kind of task.

        Args:
            folder: of the run.
        """
        import pyarrow.parquet as pq

        file = folder / evaluation.FOLDER / self.content["samples"][self.task][self.own]["file"]
        if not file.is_file():
            return []
        table = pq.read_table(file)
        wanted = {"prompt", "completion", "truncated", "reward"}
        return table.to_pylist() if wanted <= set(table.column_names) else []


def sampled(task: dict[str, Any]) -> str:
    """How a task of an evaluation was sampled (``Measured.how``)."""
    config = task.get("config") or {}
    if config.get("temperature") is None or task["kind"] != "completions":
        return ""
    found = f"temperature {config['temperature']:g}" if config["temperature"] else "greedy"
    samples = config.get("samples") or 1
    return found if samples == 1 else f"{found}, {samples} samples"


def told(contents: Sequence[dict[str, Any]], differences: Sequence[dict[str, Any]]) -> list[str]:
    """The tasks with how they were sampled, by which the differences of a gate were found."""
    keys = ("metric", "one", "other", "mean", "low", "high")
    wanted = [[one.get(key) for key in keys] for one in differences]
    return sorted(
        {
            Measured(task, one["one"], content).name
            for content in contents
            for task, some in content["differences"].items()
            for one in some
            if task in content["tasks"] and [one[key] for key in keys] in wanted
        }
    )


def _text(content: Any, *keys: str) -> str | None:
    """What stands at keys that an evaluation need not have; None of what is no short text."""
    for key in keys:
        content = content.get(key) if isinstance(content, dict) else None
    return content if isinstance(content, str) and re.fullmatch(r"[^\x00-\x1f\x7f-\x9f]{1,200}", content) else None


def of(contents: Sequence[dict[str, Any]], name: str, subject: dict[str, Any] | None) -> list[Measured]:
    """The tasks that were measured; of several evaluations of the same samples the one with what it began with.

    Args:
        name: of the run.
        subject: the weights by hash; None where nothing says them, and the name does.
    """
    found: dict[str, Measured] = {}
    for content in contents:
        names = {one: of["digest"] for one, of in content["subjects"].items()}
        own = next((one for one, digest in names.items() if (digest == subject if subject else one == name)), None)
        if own is None:
            continue
        for task, files in content["samples"].items():
            if own not in files or own not in content["results"].get(task, {}):
                continue
            one, key = Measured(task, own, content), files[own]["file"]
            if key not in found or len(one.results) > len(found[key].results):
                found[key] = one
    return sorted(found.values(), key=lambda one: (one.is_general, one.name))
