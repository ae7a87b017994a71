"""How often the intervals of rlexp.evaluate.statistics hold the truth, by simulation: Markdown tables, pass or fail.

- Scores of 0 or 1: prompts x samples x means. The probability of each prompt is drawn from a beta distribution, from
  nearly all difficulty (correlation 0.83 of a prompt's samples) to none; and prompts that are all right or all wrong,
  whose samples are one. Asked of the interval that is used: 93-97%; of one sample a prompt with under 5 expected
  successes or failures 92.5-99%. Beside it, ungraded, what others would do there.
- The same where a few prompts are nearly always right and the others nearly never, which no interval can know of before
  one of the few is drawn: told, not asked.
- Scores that are not 0 or 1, told and not asked: rewards with bounds, lengths without.
- The paired difference: type-I error (asked: at most 6% of a nominal 5%), and how often the interval holds a difference
  of a small gain on every prompt (asked: 92.5%) and of a few prompts won outright (told, not asked).

Exits with 1 where something asked does not hold.

Usage: python perf/interval_coverage.py [REPETITIONS] (default 16000, with more prompts fewer; 2 minutes of one core)
"""

from __future__ import annotations

import helped  # isort: skip  # noqa: F401
import itertools
import sys
import time
from collections.abc import Callable, Iterator
from importlib.metadata import version

import numpy as np
from numpy.typing import NDArray

from rlexp.evaluate.statistics import intervals
from rlexp.evaluate.statistics.intervals import Array

PROMPTS, SAMPLES, MEANS = (32, 128, 512), (1, 4, 16), (0.05, 0.5, 0.95)
ALL_OR_NONE, NOISE, TWO_KINDS = 0.0, np.inf, -1.0
DIFFICULTIES = {ALL_OR_NONE: "all or none", 0.2: "0.2", 1.0: "1", 5.0: "5", 50.0: "50", NOISE: "none"}
"""Concentration (a + b) of the beta distribution -> its name in the tables; the correlation is 1 / (1 + a + b)."""
AT_ONCE = 2_000_000
"""Numbers of one array at most."""
Pair = tuple[Array, Array]
Hits = NDArray[np.bool_]


def chances(rng: np.random.Generator, size: tuple[int, int], mean: float, difficulty: float) -> Array:
    """The probability of every prompt."""
    if difficulty == ALL_OR_NONE:
        return (rng.random(size) < mean).astype(float)
    if difficulty == TWO_KINDS:
        return np.where(rng.random(size) < (mean - 0.01) / 0.89, 0.9, 0.01)
    return np.full(size, mean) if difficulty == NOISE else rng.beta(mean * difficulty, (1 - mean) * difficulty, size)


def sampled(rng: np.random.Generator, of_prompts: Array, samples: int) -> Array:
    """The mean of every prompt's samples."""
    return rng.binomial(samples, of_prompts) / samples


def asked(prompts: int, samples: int, mean: float, difficulty: float) -> tuple[float, float]:
    """The lowest and the highest coverage that passes."""
    one = samples == 1 or difficulty == ALL_OR_NONE
    return (0.925, 0.99) if one and prompts * min(mean, 1 - mean) < 5 else (0.93, 0.97)


def held(of: Pair, truth: float) -> Hits:
    # Limits that are the truth but for rounding hold it.
    return (of[0] <= truth + 1e-12) & (of[1] >= truth - 1e-12)


def others(values: Array, samples: int) -> dict[str, Pair]:
    """What others would do of scores of 0 or 1; values: [repetitions][prompts]."""
    from scipy import special, stats

    mean, prompts = values.mean(axis=1), values.shape[1]
    error = np.sqrt(values.var(axis=1, ddof=1) / prompts)
    plain = np.sqrt(mean * (1 - mean) / (prompts * samples))
    size = intervals.effective(values, np.zeros_like(mean))
    right, wrong = mean * size, (1 - mean) * size
    with np.errstate(all="ignore"):
        logit, of_logit = special.logit(mean), stats.t.ppf(0.975, prompts - 1) * error / (mean * (1 - mean))
        logits = special.expit(logit - of_logit), special.expit(logit + of_logit)
    return {
        "1.96 SE, samples as prompts": (mean - 1.96 * plain, mean + 1.96 * plain),
        "1.96 SE": (mean - 1.96 * error, mean + 1.96 * error),
        "t": intervals.student(values, 0.95)[:2],
        "logit-t": (np.nan_to_num(logits[0], nan=0.0), np.nan_to_num(logits[1], nan=1.0)),
        "Jeffreys": (
            np.where(right > 0, special.betaincinv(right + 0.5, wrong + 0.5, 0.025), 0),
            np.where(wrong > 0, special.betaincinv(right + 0.5, wrong + 0.5, 0.975), 1),
        ),
        "Clopper-Pearson": (
            special.betaincinv(np.maximum(right, 1e-12), wrong + 1, 0.025),
            special.betaincinv(right + 1, np.maximum(wrong, 1e-12), 0.975),
        ),
        "Wilson, no tail": intervals.wilson(values, 0, 1, 0.95, tail=0),
    }


def parts(repetitions: int, prompts: int) -> Iterator[tuple[int, int]]:
    """(repetitions, prompts) of arrays that fit: all of 32 prompts, a half with 128, a quarter with 512."""
    left = int(repetitions * {32: 1, 128: 0.5, 512: 0.25}.get(prompts, 1))
    while left > 0:
        part = min(left, AT_ONCE // prompts)
        yield part, prompts
        left -= part


def binary(
    rng: np.random.Generator, prompts: int, samples: int, mean: float, difficulty: float, repetitions: int
) -> dict[str, float]:
    """Coverage of the interval that is used, and of the others."""
    found: dict[str, list[Hits]] = {}
    for size in parts(repetitions, prompts):
        values = sampled(rng, chances(rng, size, mean, difficulty), samples)
        for name, of in {"used": intervals.wilson(values, 0, 1, 0.95), **others(values, samples)}.items():
            found.setdefault(name, []).append(held(of, mean))
    return {name: float(np.concatenate(hits).mean()) for name, hits in found.items()}


def rewards(rng: np.random.Generator, size: tuple[int, int], samples: int, share: float) -> Array:
    """Prompt means of rewards in [-1, 2]: -1 without the format, 0 with it, 2 where it is right too; share is right."""
    right = rng.beta(share * 2, (1 - share) * 2, size)
    form = rng.binomial(samples, 0.5 + right / 2)
    return (2 * rng.binomial(form, right / (0.5 + right / 2)) - (samples - form)) / samples


def lengths(rng: np.random.Generator, size: tuple[int, int], samples: int, spread: float) -> Array:
    """Prompt means of log-normal lengths; half of the variance of the logarithm is the prompt's."""
    own = rng.normal(0, spread / np.sqrt(2), size)
    total = np.zeros(size)
    for _ in range(samples):
        total += np.exp(own + rng.normal(0, spread / np.sqrt(2), size))
    return total / samples


Change = Callable[[np.random.Generator, Array, float, float, float], Array]
"""(rng, probabilities, mean, difficulty, gain) -> those of the other side, whose mean is that much higher."""
CHANGES: dict[str, Change] = {
    "the same prompts are hard": lambda rng, p, mean, difficulty, gain: p + gain * (1 - p) / (1 - mean),
    "three in ten drawn anew": lambda rng, p, mean, difficulty, gain: (
        np.where(rng.random(p.shape) < 0.3, chances(rng, p.shape, mean, difficulty), p) * (1 - gain / (1 - mean))
        + gain / (1 - mean)
    ),
    "a few prompts won outright": lambda rng, p, mean, difficulty, gain: np.where(
        rng.random(p.shape) < gain / (1 - mean), 1.0, p
    ),
}


def pairs(
    rng: np.random.Generator,
    prompts: int,
    samples: int,
    mean: float,
    difficulty: float,
    change: str,
    gain: float,
    repetitions: int,
) -> dict[str, float]:
    """How often the paired interval holds the gain: the one that is used, and plain t."""
    found: dict[str, list[Hits]] = {"used": [], "t": []}
    for size in parts(repetitions, prompts):
        before = chances(rng, size, mean, difficulty)
        after = CHANGES[change](rng, before, mean, difficulty, gain)
        apart = sampled(rng, after.clip(0, 1), samples) - sampled(rng, before, samples)
        found["used"].append(held(intervals.student(apart, 0.95, 1.0)[:2], gain))
        low, high, _ = intervals.student(apart, 0.95)
        # No difference anywhere: no interval, and nothing is found.
        found["t"].append(held((np.nan_to_num(low), np.nan_to_num(high)), gain))
    return {name: float(np.concatenate(hits).mean()) for name, hits in found.items()}


def table(head: str, right: int, rows: list[list[str]]) -> str:
    return "\n".join(
        [
            head,
            "|" + "---|" * (head.count("|") - 1 - right) + "---:|" * right,
            *("| " + " | ".join(row) + " |" for row in rows),
            "",
        ]
    )


def main(repetitions: int) -> int:
    rng, began, failed = np.random.default_rng(22), time.monotonic(), 0
    packages = ", ".join(f"{name} {version(name)}" for name in ("numpy", "scipy", "statsmodels"))
    print(f"{packages}; {repetitions} repetitions with 32 prompts, a half with 128, a quarter with 512; seed 22\n")

    def verdict(coverage: float, low: float, high: float) -> str:
        nonlocal failed
        failed += not low <= coverage <= high
        return "pass" if low <= coverage <= high else "FAIL"

    print("## Scores of 0 or 1\n")
    rows: list[list[str]] = []
    worst: dict[str, tuple[int, float, float]] = {}
    names: list[str] = []
    for prompts, samples, mean in itertools.product(PROMPTS, SAMPLES, MEANS):
        for difficulty, name in DIFFICULTIES.items():
            if samples == 1 and difficulty != NOISE:
                continue  # one sample a prompt: all of these are the same
            found = binary(rng, prompts, samples, mean, difficulty, repetitions)
            low, high = asked(prompts, samples, mean, difficulty)
            names = list(found)[1:]
            for one in names:
                bad, least, most = worst.get(one, (0, 1.0, 0.0))
                worst[one] = (bad + (not low <= found[one] <= high), min(least, found[one]), max(most, found[one]))
            cells = [f"{100 * found[one]:.1f}" + ("" if low <= found[one] <= high else "*") for one in names]
            graded = verdict(found["used"], low, high)
            shape = [str(prompts), str(samples), str(mean), name if samples > 1 else "any"]
            rows.append([*shape, f"{100 * low:g}-{100 * high:g}", f"**{100 * found['used']:.1f}**", graded, *cells])
    print(
        table(
            f"| prompts | samples | mean | concentration | asked % | used % | | {' | '.join(names)} |",
            5 + len(names),
            rows,
        )
    )
    print(f"\\* outside of what is asked. Over all {len(rows)} cells:\n")
    print(
        table(
            "| interval | cells outside | lowest % | highest % |",
            3,
            [[one, str(bad), f"{100 * least:.1f}", f"{100 * most:.1f}"] for one, (bad, least, most) in worst.items()],
        )
    )

    print("## Prompts of two kinds: right with probability 0.9 or 0.01, in all 0.05\n")
    rows = []
    for prompts, samples in itertools.product(PROMPTS, SAMPLES[1:]):
        found = binary(rng, prompts, samples, 0.05, TWO_KINDS, repetitions)
        rows.append([str(prompts), str(samples), *(f"{100 * one:.1f}" for one in found.values())])
    print(table(f"| prompts | samples | used % | {' | '.join(names)} |", 3 + len(names), rows))

    print("## Scores that are not 0 or 1\n")
    rows = []
    for name, draw, settings, edges in (
        ("reward in [-1, 2], right", rewards, MEANS, (-1.0, 2.0)),
        ("length, log-normal", lengths, (0.5, 1.0), None),
    ):
        for setting in settings:
            # E: a right one has the form; the others have it as often as not.
            truth = 2 * setting - (0.5 - setting / 2) if edges else float(np.exp(setting**2 / 2))
            for prompts, samples in itertools.product(PROMPTS, SAMPLES):
                hits: dict[str, list[Hits]] = {"t": [], "wilson": []}
                for size in parts(repetitions // 4, prompts):
                    values = draw(rng, size, samples, setting)
                    hits["t"].append(held(intervals.student(values, 0.95)[:2], truth))
                    if edges:
                        hits["wilson"].append(held(intervals.wilson(values, *edges, 0.95), truth))
                t, bounded = (float(np.concatenate(hit).mean()) if hit else np.nan for hit in hits.values())
                cells = [f"**{100 * bounded:.1f}**", f"{100 * t:.1f}"] if edges else ["none", f"**{100 * t:.1f}**"]
                rows.append([f"{name} {setting}", str(prompts), str(samples), *cells])
    print(table("| score | prompts | samples | Wilson, effective sample size % | t % |", 4, rows))

    print("## The paired difference\n")
    rows = []
    for prompts, samples, mean in itertools.product(PROMPTS, SAMPLES, MEANS):
        for difficulty, change in itertools.product((1.0, 50.0), CHANGES):
            for gain in (0.0, 0.03):
                won = change.startswith("a few")
                if won and not gain:
                    continue
                found = pairs(rng, prompts, samples, mean, difficulty, change, gain, repetitions)
                used, plain = ((f"{100 * (1 - one):.1f}", f"{100 * one:.1f}")[gain > 0] for one in found.values())
                graded = "" if won else verdict(found["used"], 0.925 if gain else 0.94, 1)
                kind = "coverage" if gain else "type-I error"
                rows.append(
                    [
                        str(prompts),
                        str(samples),
                        str(mean),
                        DIFFICULTIES[difficulty],
                        change,
                        kind,
                        f"**{used}**",
                        plain,
                        graded,
                    ]
                )
    print(table("| prompts | samples | mean | concentration | difference | | used % | plain t % | |", 3, rows))
    print(f"{'everything asked holds' if not failed else f'{failed} cells fail'}")
    print(f"{time.monotonic() - began:.0f} s", file=sys.stderr)
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 16000))
