"""Planted failures through the real command line: each is caught, by the rule that knows it, as early as it can be."""

from __future__ import annotations

import json

import pytest

from tests.conftest import rlexp
from tests.end_to_end.planted import PLANTED, Planted, caught_at

pytestmark = pytest.mark.end_to_end
SHORT = ("method.max_steps=2", "held_out.rows=0", "hardware.reward_workers=1")
EVERY = [pytest.param(one, marks=[pytest.mark.long] if number % 5 else []) for number, one in enumerate(PLANTED)]
"""Four of five are left to make test-long, as each is a run of its own."""


@pytest.mark.parametrize("planted", EVERY, ids=lambda planted: planted.name.replace(" ", "-"))
def test_a_planted_failure_is_caught_by_its_rule_where_it_is_said(project, planted):
    arguments = planted.plant(project)
    done = rlexp(project, "hydra.run.dir=outputs/planted", *SHORT, *arguments)
    said = done.stdout + done.stderr
    assert done.returncode == (0 if planted.warns else 2), said
    assert "Traceback" not in said
    if planted.warns:
        assert f"warning [{planted.rule}]" in done.stdout, said
    else:
        assert f"[{planted.rule}]" in done.stderr.splitlines()[0], said
        folder = project / "outputs/planted"
        assert caught_at(folder) == planted.where
        if folder.exists():
            content = json.loads((folder / "manifest.json").read_text())
            assert content["status"] == "failed" and content["preflight"][-1] and "imported" in content["timings_s"]


def test_every_failure_of_a_sweep_is_found_before_its_first_run(project):
    planted: Planted = next(item for item in PLANTED if item.rule == "template.missing")
    (path,) = planted.plant(project)
    done = rlexp(project, "-m", *SHORT, f"{path.replace('=', '=models/tiny,')}")
    assert done.returncode == 2 and "[template.missing]" in done.stderr
    assert not (project / "multirun").exists()
