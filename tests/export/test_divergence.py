"""llama.cpp's statistics, and how far an artifact moved along the run's way."""

import numpy as np
import pytest

from rlexp.export.gate.divergence import Divergences, top_of

VOCABULARY, TOKENS, SEQUENCES = 200, 12, 30
DRAW = np.random.default_rng(5)


def log_softmax(logits):
    shifted = logits - logits.max(axis=1, keepdims=True)
    return (shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))).astype(np.float32)


def sequences(scale=1.0, noise=0.0):
    """(reference, artifact, came, before) of sequences in which the training moved logits, and the artifact moved
    ``scale`` of that, with noise."""
    draw = np.random.default_rng(1)
    found = []
    for _ in range(SEQUENCES):
        before = draw.normal(0, 1, (TOKENS, VOCABULARY))
        moved = draw.normal(0, 1, (TOKENS, VOCABULARY))
        other = before + scale * moved + noise * draw.normal(0, 1, before.shape)
        came = draw.integers(0, VOCABULARY, TOKENS)
        found.append((log_softmax(before + moved), log_softmax(other), came, log_softmax(before)))
    return found


def statistics(found):
    diverged = Divergences()
    for reference, other, came, before in found:
        diverged.add(reference, other, came, *top_of(reference, before))
    return diverged, diverged.statistics()


def test_the_statistics_are_those_of_their_definitions():
    found = sequences(noise=0.3)
    diverged, said = statistics(found)
    p, q = (np.concatenate([one[side] for one in found]).astype(np.float64) for side in (0, 1))
    came = np.concatenate([one[2] for one in found])
    kld = (np.exp(p) * (p - q)).sum(axis=1)  # no log-probability lies under -16 here
    assert p.min() > -16 and diverged.tokens == len(came)
    delta = np.exp(q[np.arange(len(came)), came]) - np.exp(p[np.arange(len(came)), came])
    wanted = {
        "mean_kld": kld.mean(),
        "median_kld": np.median(kld),
        "p99.9_kld": np.quantile(kld, 0.999),
        "max_kld": kld.max(),
        "rms_delta_p": np.sqrt((delta**2).mean()),
        "same_top_p": (p.argmax(axis=1) == q.argmax(axis=1)).mean(),
    }
    for name, value in wanted.items():
        assert said[name]["value"] == pytest.approx(value, rel=1e-6), name
        assert said[name]["error"] >= 0


def test_what_the_base_takes_for_impossible_counts_for_nothing():
    reference = log_softmax(np.array([[0.0, 0.0, -40.0]]))
    other = log_softmax(np.array([[0.0, 0.0, 40.0]]))
    diverged = Divergences()
    diverged.add(reference, other, np.array([0]), *top_of(reference, reference))
    assert diverged.statistics()["mean_kld"]["value"] == pytest.approx(40.0 + np.log(1) - np.log(1), abs=0.8)


@pytest.mark.parametrize("noise", [0.0, 0.5])
@pytest.mark.parametrize("scale", [0.0, 0.5, 1.0, 2.0])
def test_the_adapters_share_is_what_was_moved_whatever_the_noise(scale, noise):
    share = statistics(sequences(scale, noise))[1]["adapter_share"]
    assert abs(share["value"] - scale) < max(0.05, 3 * share["error"])


def test_a_vocabulary_that_is_padded_further_is_cut():
    found = [(a, np.pad(b, ((0, 0), (0, 8)), constant_values=-50.0), c, d) for a, b, c, d in sequences()]
    assert statistics(found)[1]["mean_kld"]["value"] == pytest.approx(0, abs=1e-6)
