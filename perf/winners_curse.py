"""The winner's curse: what choosing the best of several checkpoints does to the number that is reported, by simulation.

Ten checkpoints, equally good or on a curve that rises and levels off; prompts of every difficulty, each sampled as
often. Two ways to choose and report:

- naive: the highest mean, reported on the rows that chose it;
- ours: the earliest within one paired standard error of it (rlexp.evaluate.statistics.checkpoint), reported on as many
  other rows. Beside it what the optimism says of the naive report, and what an ordinary bootstrap would say.

Printed in points (hundredths): how much the report overstates the checkpoint that was chosen, how good that one truly
is against the best there is, and how many of the nine steps of training after the first it leaves out.

Usage: python perf/winners_curse.py [REPETITIONS] (default 1000; three minutes)
"""

from __future__ import annotations

import helped  # isort: skip  # noqa: F401
import sys
import time
from dataclasses import dataclass, field
from importlib.metadata import version

import numpy as np

from rlexp.evaluate.statistics.checkpoint import choose
from rlexp.evaluate.statistics.intervals import Array

STEPS = 10
CURVES = {
    "ten equally good, 0.5": np.full(STEPS, 0.5),
    "rising to 0.6, level from step 6": 0.6 - 0.3 * np.clip(1 - np.arange(STEPS) / 5, 0, 1),
    "rising to the end, 0.3 to 0.6": np.linspace(0.3, 0.6, STEPS),
    "rising to 0.6, falling from step 6 to 0.5": 0.6
    - 0.3 * np.clip(1 - np.arange(STEPS) / 5, 0, 1)
    - 0.025 * np.clip(np.arange(STEPS) - 5, 0, 4),
}

COLUMNS = (
    *("checkpoints", "prompts", "rows x samples"),
    *("naive: bias", "lost", "steps saved", "ours: bias", "lost", "steps saved"),
    *("optimism says", "bootstrap says"),
)


@dataclass
class Way:
    """What a way to choose came to, a number a repetition."""

    bias: list[float] = field(default_factory=list)
    """What is reported, less how good the chosen checkpoint truly is."""
    lost: list[float] = field(default_factory=list)
    """How much better the best checkpoint truly is."""
    saved: list[int] = field(default_factory=list)
    """Steps after the chosen one."""

    def add(self, reported: float, truth: Array, chosen: int) -> None:
        self.bias.append(reported - truth[chosen])
        self.lost.append(truth.max() - truth[chosen])
        self.saved.append(STEPS - 1 - chosen)

    def cells(self) -> list[str]:
        return [points(self.bias), f"{100 * np.mean(self.lost):.1f}", f"{np.mean(self.saved):.1f}"]


def points(values: list[float]) -> str:
    """The mean in hundredths, with its simulation error."""
    return f"{100 * np.mean(values):+.2f} ± {196 * np.std(values) / np.sqrt(len(values)):.2f}"


def measured(rng: np.random.Generator, truth: Array, prompts: int, samples: int, alike: bool) -> Array:
    """Means of samples, [steps][prompts].

    Args:
        alike: prompts are of every difficulty (uniform probabilities, bent to each mean), and hard ones are hard for
            every checkpoint; otherwise all prompts are the same.
    """
    own = rng.random(prompts)[None, :] if alike else np.full((1, prompts), 0.5)
    # Of a uniform number u: u ** ((1 - mean) / mean) has that mean; of a half, the mean itself.
    chance = own ** ((1 - truth[:, None]) / truth[:, None]) if alike else np.repeat(truth[:, None], prompts, axis=1)
    return rng.binomial(samples, chance) / samples


def bootstrap(rng: np.random.Generator, table: Array, draws: int = 200) -> float:
    """What the ordinary bootstrap over prompts says of the optimism."""
    prompts = table.shape[1]
    weights = rng.multinomial(prompts, np.full(prompts, 1 / prompts), size=draws)
    means = weights @ table.T / prompts
    return float((means.max(axis=1) - table.mean(axis=1)[means.argmax(axis=1)]).mean())


def main(repetitions: int) -> None:
    rng, began = np.random.default_rng(22), time.monotonic()
    print(
        f"numpy {version('numpy')}; {STEPS} checkpoints, {repetitions} repetitions, ± 1.96 simulation errors; seed 22\n"
    )
    print(f"| {' | '.join(COLUMNS)} |\n|---|---|{'---:|' * (len(COLUMNS) - 2)}")
    for name, truth in CURVES.items():
        for alike in (False, True):
            for samples in (1, 4):
                naive, ours = Way(), Way()
                said: list[float] = []
                booted: list[float] = []
                for _ in range(repetitions):
                    table = measured(rng, truth, 128, samples, alike)
                    found = choose(dict(enumerate(table.tolist())))
                    naive.add(found.best_mean, truth, found.best)
                    ours.add(measured(rng, truth, 128, samples, alike)[found.step].mean(), truth, found.step)
                    said.append(found.optimism or 0.0)
                    booted.append(bootstrap(rng, table))
                hard = "every difficulty" if alike else "all the same"
                told = [*naive.cells(), *ours.cells(), points(said), points(booted)]
                print(f"| {name} | {hard} | 128 x {samples} | {' | '.join(told)} |", flush=True)
    print(f"{time.monotonic() - began:.0f} s", file=sys.stderr)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000)
