"""The best setting of a sweep, by simulation: what its mean overstates, what the correction leaves, how often the best
is told from the others and is not the best; and how often noise alone is claimed as the effect of a key.

A run's metric is its setting's truth, plus what its seed does to all settings, plus noise of its own; both have a
standard deviation of 1, which is the unit. Four kinds of truth: all equal; two equal and the others 3 below (where one
of two equals is taken for the best most easily); one that is 1 above all others; evenly spread over 2.

Usage: python perf/best_setting.py [REPETITIONS] (default 1000; four minutes)
"""

from __future__ import annotations

import helped  # isort: skip  # noqa: F401
import gc
import sys
import time
from importlib.metadata import version

import numpy as np

from rlexp.evaluate.statistics.effects import effects
from rlexp.evaluate.statistics.intervals import Array
from rlexp.evaluate.statistics.winner import fold, winner

SHAPES = ((2, 2), (2, 5), (8, 2), (8, 3), (8, 5), (16, 3))
"""(settings, seeds)."""
COLUMNS = ("truth", "settings x seeds", "bias", "corrected", "95% holds", "corrected holds", "told", "told wrongly")


def truths(settings: int) -> dict[str, Array]:
    """Kind -> the truth of each setting."""
    tied = np.full(settings, -3.0)
    tied[:2] = 0
    one = np.zeros(settings)
    one[0] = 1
    return {
        "all equal": np.zeros(settings),
        "two equal, others 3 below": tied,
        "one 1 above": one,
        "spread over 2": np.linspace(0, 2, settings),
    }


def row(rng: np.random.Generator, truth: Array, seeds: int, repetitions: int) -> list[str]:
    """The cells of one simulation."""
    bias, corrected, held, held_corrected, told, wrong = [], [], [], [], [], []
    for _ in range(repetitions):
        table = truth[:, None] + rng.normal(size=seeds) + rng.normal(size=(len(truth), seeds))
        settings = [dict(enumerate(values)) for values in table.tolist()]
        found = winner(settings)
        folded, own = fold(settings[found.best]), truth[found.best]
        flattered = found.optimism or 0.0
        assert folded.low is not None and folded.high is not None
        bias.append(folded.mean - own)
        corrected.append(folded.mean - flattered - own)
        held.append(folded.low <= own <= folded.high)
        held_corrected.append(folded.low - flattered <= own <= folded.high - flattered)
        told.append(found.told)
        wrong.append(found.told and own <= np.delete(truth, found.best).max())
    return [
        *(f"{np.mean(one):+.2f} ± {1.96 * np.std(one) / np.sqrt(repetitions):.2f}" for one in (bias, corrected)),
        *(f"{100 * np.mean(one):.1f}%" for one in (held, held_corrected, told, wrong)),
    ]


def claimed(rng: np.random.Generator, keys: tuple[int, ...], seeds: int, repetitions: int) -> float:
    """The share of sweeps over keys of so many values in which noise alone is claimed as an effect."""
    grid = np.array(list(np.ndindex(*keys, seeds)))
    factors = {str(place): grid[:, place].tolist() for place in range(len(keys))}
    of_seed = grid[:, -1]
    return float(
        np.mean(
            [
                any(
                    one.claimed
                    for one in effects(
                        (rng.normal(size=seeds)[of_seed] + rng.normal(size=len(grid))).tolist(),
                        factors,
                        ("seed", of_seed.tolist()) if seeds > 1 else None,
                    )
                )
                for _ in range(repetitions)
            ]
        )
    )


def main(repetitions: int) -> None:
    rng, began = np.random.default_rng(24), time.monotonic()
    gc.collect = lambda generation=2: 0  # statsmodels collects at every correction
    packages = ", ".join(f"{name} {version(name)}" for name in ("numpy", "scipy", "statsmodels"))
    print(f"{packages}; {repetitions} repetitions, ± 1.96 simulation errors; seed 24\n")
    print(f"| {' | '.join(COLUMNS)} |\n|---|---|{'---:|' * (len(COLUMNS) - 2)}")
    for settings, seeds in SHAPES:
        for name, truth in truths(settings).items():
            print(f"| {name} | {settings} x {seeds} | {' | '.join(row(rng, truth, seeds, repetitions))} |", flush=True)
    print("\n| keys, values of each | seeds | sweeps in which noise is claimed |\n|---|---:|---:|")
    for keys, seeds in (((2,), 3), ((2, 2), 1), ((2, 2), 2), ((3, 2), 3), ((4, 3, 2), 2)):
        share = claimed(rng, keys, seeds, repetitions)
        print(f"| {' x '.join(map(str, keys))} | {seeds} | {100 * share:.1f}% |", flush=True)
    print(f"{time.monotonic() - began:.0f} s", file=sys.stderr)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000)
