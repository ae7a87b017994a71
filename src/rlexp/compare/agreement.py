"""The level at which two runs of one lock agree: inputs, first step, or the whole trajectory, digit for digit."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

LEVELS = ("inputs", "step", "trajectory")
"""From the least to the most: the same inputs; also every value of the first logged step; also every value of every
logged step, and the trained weights."""

DECIDING = (
    "unsloth",
    "unsloth_zoo",
    "trl",
    "transformers",
    "peft",
    "accelerate",
    "torch",
    "vllm",
    "numpy",
    "tokenizers",
)
"""Packages whose arithmetic or order a trajectory depends on."""


@dataclass(frozen=True)
class Difference:
    """The first value in which two runs differ."""

    step: int
    key: str
    expected: Any
    actual: Any

    def __str__(self) -> str:
        numbers = isinstance(self.expected, int | float) and isinstance(self.actual, int | float)
        by = f", by {abs(self.actual - self.expected):.3g}" if numbers else ""
        return f"step {self.step}: {self.key} expected {self.expected}, actual {self.actual}{by}"


@dataclass(frozen=True)
class Agreement:
    """The level two runs reach, and where they part."""

    level: str
    steps: int
    """Logged steps that were compared."""
    difference: Difference | None

    def reaches(self, level: str) -> bool:
        """Says whether this is the asked level, or more."""
        return LEVELS.index(self.level) >= LEVELS.index(level)

    def to_json(self) -> dict[str, Any]:
        """For the manifest."""
        return asdict(self)


def compare(
    expected: Sequence[str], actual: Sequence[str], weights_then: dict[str, str], weights_now: dict[str, str]
) -> Agreement:
    """Compares two trajectories whose inputs are known to be identical.

    Args:
        expected, actual: lines of metrics.jsonl; their timings are left out.
        weights_then, weights_now: output file -> md5 of the trained weights. A run that did not end has none, and its
            trajectory is compared as far as it goes.
    """
    then, now = ([learned(line) for line in lines] for lines in (expected, actual))
    for number, (one, two) in enumerate(zip(then, now, strict=False)):
        key = next((key for key in sorted({*one, *two}) if repr(one.get(key)) != repr(two.get(key))), None)
        if key:
            step = one.get("step", number + 1)
            return Agreement("step" if number else "inputs", number, Difference(step, key, one.get(key), two.get(key)))
    # The last entry sums the training up, under the number of the last step.
    steps = len({entry["step"] for entry in then[: len(now)]})
    level = "step" if steps else "inputs"
    if weights_then and len(then) != len(now):
        return Agreement(level, steps, Difference(steps + 1, "log entries", len(then), len(now)))
    for name, md5 in weights_then.items():
        if weights_now.get(name) != md5:
            return Agreement(level, steps, Difference(now[-1]["step"], name, md5, weights_now.get(name, "missing")))
    return Agreement("trajectory" if steps else "inputs", steps, None)


def learned(line: str) -> dict[str, Any]:
    """One line of metrics.jsonl without its timings."""
    return {key: value for key, value in json.loads(line).items() if key != "timing"}


def weights(outputs: dict[str, str]) -> dict[str, str]:
    """The trained weights among a manifest's outputs."""
    return {name: md5 for name, md5 in outputs.items() if name.endswith((".safetensors", ".bin"))}


def default_level(
    lock: dict[str, Any], lock_now: dict[str, Any], attempts: Sequence[dict[str, Any]] = ()
) -> tuple[str, str]:
    """The level that can be expected here, and why.

    Args:
        lock: of the run that is replayed.
        lock_now: of the replay.
        attempts: of the run that is replayed: one that went on with another number of devices says up to which level.

    The same processor with the same instructions and threads, or the same GPU, under the same versions, does the same
    arithmetic in the same order. Anything else may round otherwise, and then sampled text parts sooner or later.
    """
    other = [name for name in DECIDING if lock["versions"].get(name) != lock_now["versions"].get(name)]
    then, now = lock["machine"], lock_now["machine"]
    parts = ("gpus", "cuda") if then.get("gpus") else ("processor", "instructions", "threads")
    other += [part for part in parts if then.get(part) != now.get(part)]
    if lock["config"]["hardware"] != lock_now["config"]["hardware"]:
        other.append("hardware")
    if other:
        return "inputs", f"other {', '.join(other)} than the lock's"
    for one in attempts:
        if (level := one.get("level")) in LEVELS[:-1]:
            return level, f"the run went on with {one.get('devices')} device(s) from step {one.get('from_step')}"
    return "trajectory", "the same versions and the same kind of machine as the lock's"
