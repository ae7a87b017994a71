"""What was measured of the weights that a card is about, each task with its way of sampling once."""

from __future__ import annotations

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
        config = self.content["tasks"][self.task].get("config") or {}
        if config.get("temperature") is None or self.content["tasks"][self.task]["kind"] != "completions":
            return ""
        found = f"temperature {config['temperature']:g}" if config["temperature"] else "greedy"
        samples = config.get("samples") or 1
        return found if samples == 1 else f"{found}, {samples} samples"

    @property
    def name(self) -> str:
        """The task, and how it was sampled."""
        return f"{self.task}, {self.how}" if self.how else self.task

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
