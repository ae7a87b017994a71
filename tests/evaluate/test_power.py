"""What so many prompts and samples can see."""

import math
import re
import subprocess
import sys

import pytest
from statsmodels.stats.power import NormalIndPower

from rlexp.evaluate.statistics.power import detectable, detectable_before, prompts_before, prompts_for
from tests.conftest import ROOT


def test_prompts_are_those_of_millers_formula():
    # Adding Error Bars to Evals (2024), section 5: n = (z + z)² (ω² + σ²/K + σ²/K) / δ².
    omega, sigma, samples = 1 / 9, 1 / 6, 10
    n = (1.959964 + 0.841621) ** 2 * (omega + 2 * sigma / samples) / 0.03**2
    assert prompts_for(0.03, samples, math.sqrt(omega), math.sqrt(2 * sigma)) == math.ceil(n)
    assert detectable(math.ceil(n), samples, math.sqrt(omega), math.sqrt(2 * sigma)) == pytest.approx(0.03, abs=1e-5)


@pytest.mark.parametrize(("power", "level"), [(0.8, 0.95), (0.9, 0.99)])
def test_unpaired_it_is_statsmodels_two_sample_power(power, level):
    seen = detectable(200, 1, 0.5, 0.0, power, level, paired=False)
    # Its own two-sided test counts the chance of a claim of the wrong sign as power, too; so one-sided at half.
    size = NormalIndPower().solve_power(nobs1=200, alpha=(1 - level) / 2, power=power, alternative="larger")
    assert seen == pytest.approx(0.5 * size, rel=1e-5)


def test_before_anything_is_measured_one_sample_is_the_widest_there_is():
    # Both sides are right on half of the prompts, unrelated: a variance of 1/4 each.
    found = detectable_before(128, 1)
    assert found.value == pytest.approx(2.801585 * math.sqrt(0.5 / 128))
    assert found.assumption.startswith("nothing measured yet, so the widest spread: scores of 0 or 1 only")
    assert detectable_before(128, 1, -1, 2).value == pytest.approx(3 * found.value)
    assert "scores of -1 or 2 only" in detectable_before(128, 1, -1, 2).assumption


def test_samples_help_down_to_what_the_prompts_leave():
    seen = [detectable_before(128, samples).value for samples in (1, 4, 16, 10**6)]
    assert seen == sorted(seen, reverse=True) and seen[-1] == pytest.approx(seen[0] / math.sqrt(3), rel=1e-5)


def test_the_prompts_that_a_difference_takes_are_the_fewest_that_see_it():
    for want, samples in ((0.03, 1), (0.1, 4), (0.5, 16)):
        prompts = prompts_before(want, samples).value
        assert detectable_before(prompts, samples).value <= want < detectable_before(prompts - 1, samples).value
    assert isinstance(prompts_before(0.03, 1).value, int)
    assert prompts_for(0.5, 1, 0.0, 0.0) == 2  # nothing varies: two, for one has no spread


def test_plan_asks_without_the_seconds_that_scipy_takes():
    script = "import sys, rlexp.evaluate.statistics.power; print({'torch', 'numpy', 'scipy'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (done.stdout, done.returncode) == ("set()\n", 0)


def test_the_table_of_the_documentation_is_what_comes_out():
    rows = re.findall(
        r"^\| (\d+) \| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \|$", (ROOT / "docs/statistics.md").read_text(), re.M
    )
    assert len(rows) == 4
    for prompts, *seen in rows:
        assert seen == [f"{detectable_before(int(prompts), samples).value:.3f}" for samples in (1, 4, 16)]
