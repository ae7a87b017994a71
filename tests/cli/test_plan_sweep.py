"""``plan -m``: the table, what the points share, and the sum."""

import json

import pytest

from rlexp.cli import plan_sweep
from rlexp.compose.points import CommandLine
from rlexp.compose.schema_sweep import Sweep
from rlexp.compose.second_root import Asked
from rlexp.errors import RunError
from tests.record.made import locked, write
from tests.record.test_pace import LEFT, ROWS

SWEPT = ("method.beta=0,0.04", "seed=0,1")


@pytest.fixture
def planned(project):
    """Plans a sweep of a fresh project."""
    return lambda *overrides, **sweep: plan_sweep.planned(
        CommandLine(project, [*ROWS, *overrides], multirun=True, sweep=Sweep(**sweep))
    )


def test_a_row_a_point_then_what_they_share_then_the_sum(planned, capsys):
    plan_sweep.show(planned(*SWEPT), Asked())
    table, note, shared, together = capsys.readouterr().out.strip().split("\n\n")
    head, *rows = table.splitlines()
    assert head.split() == ["point", "varied", "a", "step", "steps", "time"] and len(rows) == 4
    assert rows[1].split()[1:] == ["method.beta=0", "seed=1", "64", "=", "1", "x", "64", "x", "1", "60", "unknown"]
    assert rows[1].split()[0].endswith("_seed1") and "micro-batch" in note
    assert "0 (2 points); 1 (2 points)" in shared and "identity" not in shared and shared.count("held out") == 1
    assert together.splitlines() == ["points    4, 1 at once", "together  unknown: no run of this kind here yet"]


def test_memory_and_what_does_not_fit(planned, capsys):
    plan_sweep.show(planned("hardware=t4_16gb", "rollout=unsloth", "model=tiny", "seed=0,1"), Asked())
    assert "of 14.5 GiB" in capsys.readouterr().out


def test_the_time_of_the_points_and_of_so_many_workers(planned, project, composed):
    write(project / "outputs/cold", locked(composed(*ROWS)), **LEFT)
    write(
        project / "outputs/warm",
        locked(composed(*ROWS)),
        **{**LEFT, "warm": True, "timings_s": LEFT["timings_s"] | {"trained": 22.0, "total": 32.0}},
    )
    swept = "seed=0,1,2,3", "method.max_steps=10", "preflight.smoke=never"
    one, two = planned(*swept), planned(*swept, workers=2)
    assert one.workers == 1 and one.seconds == one.wall == 40 + 3 * 32
    assert two.workers == 2 and (two.seconds, two.wall) == (2 * 40 + 2 * 32, 40 + 32)
    other = planned(*swept, "method=grpo,rloo")
    assert other.unknown == 4 and other.seconds == one.seconds
    said = plan_sweep.to_json(two)
    assert [point["time"]["warm"] for point in said["points"]] == [False, False, True, True]
    assert json.loads(json.dumps(said["sweep"]))["wall_s"] == 72


def test_impossible_points_refuse_the_sweep_or_are_left_out(planned, capsys):
    swept = "method.num_generations=1,4", "seed=0,1"
    with pytest.raises(RunError, match="2 of 4 points of the sweep are not possible"):
        planned(*swept)
    plan_sweep.show(planned(*swept, skip_impossible=True), Asked())
    *_, first, second = capsys.readouterr().out.strip().splitlines()
    assert first.startswith("left out  method.num_generations=1 seed=0: num_generations is 1") and "seed=1" in second


def test_workers_of_another_launcher_are_refused(planned):
    with pytest.raises(RunError, match="is of the launcher workers"):
        planned("seed=0,1", "hydra/launcher=basic", workers=2)
