"""A sweep as it was planned: the folders, the points that were trained already, and a time from them."""

import json

import pytest

from tests.conftest import rlexp

pytestmark = pytest.mark.end_to_end
SHORT = ("method.max_steps=2", "held_out.rows=8", "preflight.smoke=never")


@pytest.mark.long
def test_what_was_planned_is_what_is_trained_and_then_nothing_is_left(project):
    swept = ["-m", "seed=0,1", "method.num_generations=1,4", "sweep.skip_impossible=true", *SHORT]
    before = json.loads(rlexp(project, "plan", *swept, "--json").stdout)
    assert [point["time"] for point in before["points"]] == [None, None] and before["sweep"]["unknown"] == 2
    done = rlexp(project, *swept, "hydra.sweep.dir=multirun/s", "sweep.workers=2")
    assert done.returncode == 0, done.stderr
    assert {path.parent.name for path in (project / "multirun/s").glob("*/manifest.json")} == {
        point["folder"] for point in before["points"]
    }
    assert len(list((project / "multirun/s").glob("worker-*.log"))) == 2
    after = json.loads(rlexp(project, "plan", *swept, "sweep.into=multirun/s", "seed=0,1,2", "--json").stdout)
    assert [point["trained"] for point in after["points"]] == [True, True, False]
    assert after["points"][2]["time"]["runs"] == 2 and after["sweep"]["todo"] == 1 and after["sweep"]["wall_s"] > 0
    assert [len(one["overrides"]) > 0 for one in after["sweep"]["impossible"]] == [True] * 3
    assert len(list((project / "multirun/s").glob("*seed*"))) == 2  # nothing was made, nothing was moved
