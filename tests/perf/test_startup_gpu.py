"""Start-up: which runs there are, and where the time of a sampled one went."""

import argparse
from collections import Counter

import sampled
import startup_gpu

USUAL = {
    **{"pairs": 0, "warm": 1, "rollout": "auto", "engine": [], "variant": [], "samples": None},
    **dict.fromkeys(("kernels", "kept", "smoke", "cold_again"), False),
}
"""What nobody types."""


def planned(**typed):
    """(name, overrides, cold) of every start."""
    options = argparse.Namespace(**{**USUAL, **typed})
    return [(start.name, start.said, start.cold) for start in startup_gpu.planned(options)]


def test_a_setting_is_started_once_before_it_counts_as_warm():
    assert planned(kernels=True, engine=["eager", "sync"], samples="warm") == [
        *[("first", [], False), ("warm", [], False)],
        *[(name, ["rollout.enforce_eager=true"], False) for name in ("eager, first", "eager")],
        *[(name, ["rollout.engine.async_scheduling=false"], False) for name in ("sync, first", "sync")],
        ("warm, sampled", [], False),
    ]


def test_pairs_take_turns_and_every_start_of_them_is_cold():
    assert [name for name, _, _ in planned(pairs=2, smoke=True)] == [
        *["cold", startup_gpu.BY_HAND, startup_gpu.BY_HAND, "cold"],
        *["warm", "cold, with smoke"],
    ]
    assert [name for name, _, _ in planned(kept=True, smoke=True)] == ["warm", "cold, with smoke"]


def test_a_variant_has_overrides_and_variables_of_its_own():
    options = {"variant": ["off: rollout.patches=off env.THREADS=1"], "warm": 0}
    assert planned(**options) == [("off, cold", ["rollout.patches=off"], True)]
    (start,) = startup_gpu.planned(argparse.Namespace(**{**USUAL, **options, "samples": "cold"}))
    assert start.environment == {"THREADS": "1"} and start.sampled


def test_the_shares_that_the_table_is_made_for():
    def run(name, ends, step=None):
        return {"run": name, "laps": {"first_step_ends": ends}, "step_s": step}

    runs = [
        run("cold", 90.0, 3.0),
        run(startup_gpu.BY_HAND, 100.0, 6.0),
        run("warm", 45.0),
        run("cold, with smoke", 123.0),
    ]
    assert startup_gpu.judged(runs) == [
        f"cold / {startup_gpu.BY_HAND}: 0.90 (medians of 1 and 1)",
        "warm / cold: 0.50 (medians of 1 and 1)",
        f"a step: 3.00 s, {startup_gpu.BY_HAND} 6.00 s: 0.50",
        "the smoke adds 33.0 s: 5.8% of 150 steps, 570 s",
    ]
    assert startup_gpu.judged([run("cold", 90.0)]) == []


def test_the_calls_that_took_long_are_listed_outermost_first_and_those_that_only_hand_on_are_not():
    samples = Counter({("main", "load", "weights"): 2.0, ("main", "load"): 1.0, ("main", "train"): 0.05})
    assert sampled.tree(samples, least=0.5) == ["   3.0 load", "   2.0 . weights"]
    samples["main", "train"] = 0.6
    assert sampled.tree(samples, least=0.5) == ["   3.6 main", "   3.0 . load", "   2.0 . . weights", "   0.6 . train"]
