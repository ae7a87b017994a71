"""Start-up: which runs there are, and where the time of a sampled one went."""

import argparse
from collections import Counter

import sampled
import startup_gpu


def test_a_setting_is_started_once_before_it_counts_as_warm():
    options = argparse.Namespace(kernels=True, warm=1, engine=["eager", "sync"], samples=True, cold_again=False)
    assert startup_gpu.planned(options) == [
        *[("first", []), ("warm", [])],
        *[("eager, first", ["rollout.enforce_eager=true"]), ("eager", ["rollout.enforce_eager=true"])],
        *[(name, ["rollout.engine.async_scheduling=false"]) for name in ("sync, first", "sync")],
        ("sampled", []),
    ]


def test_the_calls_that_took_long_are_listed_outermost_first_and_those_that_only_hand_on_are_not():
    samples = Counter({("main", "load", "weights"): 2.0, ("main", "load"): 1.0, ("main", "train"): 0.05})
    assert sampled.tree(samples, least=0.5) == ["   3.0 load", "   2.0 . weights"]
    samples["main", "train"] = 0.6
    assert sampled.tree(samples, least=0.5) == ["   3.6 main", "   3.0 . load", "   2.0 . . weights", "   0.6 . train"]
