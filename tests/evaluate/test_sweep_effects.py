"""Main effects of a sweep's keys: known effects are found, aliased keys named, and noise claims nothing."""

import numpy as np
import pytest

from rlexp.evaluate.statistics.effects import BLOCKED, METHOD, effects

BETA = [0, 0, 0.04, 0.04] * 3
GROUP = [4, 8, 4, 8] * 3
SEEDS = [seed for seed in range(3) for _ in range(4)]


def outcome(noise: float = 0.01) -> list[float]:
    """0.5 for the beta, 1 for each seed: the seeds differ more than the settings."""
    rng = np.random.default_rng(3)
    rows = zip(BETA, SEEDS, strict=True)
    return [0.5 * (beta > 0) + seed + noise * float(rng.normal()) for beta, seed in rows]


def test_an_effect_that_was_put_in_is_found_within_its_interval_and_the_other_key_is_not_claimed():
    beta, group = effects(outcome(), {"beta": BETA, "group": GROUP}, ("seed", SEEDS))
    (found,) = beta.differences
    assert (found.value, found.against) == (0.04, 0) and found.low < 0.5 < found.high
    assert found.high - found.low < 0.1 and beta.claimed and beta.method == BLOCKED
    assert not group.claimed and group.p_holm == max(group.p, 2 * min(beta.p, group.p))
    assert [(level.value, level.points) for level in group.levels] == [(4, 6), (8, 6)]


def test_without_the_block_the_seeds_are_noise():
    (beta,) = effects(outcome(), {"beta": BETA}, None)
    assert not beta.claimed and beta.method == METHOD


def test_a_key_with_several_values_has_their_means_and_one_p():
    values = [4, 8, 16] * 4
    rng = np.random.default_rng(1)
    (found,) = effects([value + 0.01 * float(rng.normal()) for value in values], {"n": values}, None)
    assert [level.mean for level in found.levels] == pytest.approx([4, 8, 16], abs=0.05)
    assert [apart.mean for apart in found.differences] == pytest.approx([4, 12], abs=0.05) and found.claimed


def test_keys_that_go_together_are_named_and_have_no_effect_and_the_third_has_its_own():
    twin = [value * 2 for value in BETA]
    beta, twin_, group = effects(outcome(), {"beta": BETA, "twin": twin, "group": GROUP}, ("seed", SEEDS))
    assert beta.aliased == ["twin"] and twin_.aliased == ["beta"] and beta.differences == [] and beta.p is None
    assert group.aliased == [] and group.p is not None


def test_a_key_that_goes_with_the_seed_is_named():
    (found,) = effects([1.0, 2.0, 1.1, 2.2], {"a": [1, 2, 1, 2]}, ("seed", [0, 1, 0, 1]))
    assert found.aliased == ["seed"]


@pytest.mark.parametrize(
    ("values", "keys", "why"),
    [
        ([1.0, 1.0, 1.0, 1.0], {"a": [1, 1, 2, 2]}, "fit it exactly"),
        ([1.0, 1.0, 2.0, 2.0], {"a": [1, 1, 2, 2]}, "fit it exactly"),
        ([1.0, 2.0], {"a": [1, 2]}, "no point is left"),
        (list(map(float, range(501))), {"a": list(range(501))}, "too many values"),
    ],
)
def test_where_nothing_tells_the_noise_nothing_is_claimed(values, keys, why):
    (found,) = effects(values, keys, None)
    assert found.p is None and not found.claimed and why in found.method


def test_one_value_is_no_effect():
    assert effects([1.0, 2.0], {"a": [1, 1]}, None) == []


def test_noise_alone_is_claimed_in_one_sweep_of_twenty(monkeypatch):
    monkeypatch.setattr("gc.collect", lambda: 0)  # statsmodels collects at every correction: a tenth of a second
    rng, claims, sweeps = np.random.default_rng(7), 0, 300
    for _ in range(sweeps):
        noise = rng.normal(size=12) + rng.normal(size=3)[SEEDS]
        claims += any(one.claimed for one in effects(noise.tolist(), {"b": BETA, "g": GROUP}, ("seed", SEEDS)))
    assert claims / sweeps < 0.05 + 3 * (0.05 * 0.95 / sweeps) ** 0.5
