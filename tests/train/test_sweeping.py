"""A sweep before and after its processes: the names of its points, what is left of it, what an engine serves."""

from __future__ import annotations

import json

import pytest
from omegaconf import OmegaConf

from rlexp.backend.engine.engine import _serves
from rlexp.backend.warm import Warm
from rlexp.compare import sweep
from rlexp.compose.points import CommandLine
from rlexp.compose.schema import Device
from rlexp.errors import Failed, RunError
from rlexp.record import sweeps
from rlexp.record.lock import identity
from rlexp.record.sweeps import Impossible, Plan, Planned
from rlexp.train.sweeping import into, pool
from rlexp.train.sweeping.aside import aside
from rlexp.train.sweeping.naming import named
from rlexp.train.sweeping.point import FAULT, unforeseen
from rlexp.train.sweeping.sweep import _claimed, together


def points(project, *overrides):
    line = CommandLine(project, list(overrides), multirun=True)
    return named(line, line.points())


def test_a_point_is_named_by_what_it_trains(project):
    first, second = points(project, "seed=0,1")
    assert first.run_dir.name == f"{identity(first.run)[:8]}_seed0" and second.run_dir.name.endswith("_seed1")
    assert first.of_hydra == (f"hydra.sweep.subdir={first.run_dir.name}",)
    again = {one.run_dir.name for one in points(project, "seed=2,1,0")}
    assert {first.run_dir.name, second.run_dir.name} < again


def test_points_of_one_identity_have_folders_of_their_own_and_keep_them(project):
    one, two = points(project, "hardware.sequences_per_device=16,32")
    assert identity(one.run) == identity(two.run) and one.run_dir.name != two.run_dir.name
    more = points(project, "hardware.sequences_per_device=16,32", "seed=0,1", "held_out.rows=4")
    assert {one.run_dir.name, two.run_dir.name} < {point.run_dir.name for point in more}


@pytest.mark.parametrize("swept", ["seed=1,1", "method.learning_rate=0.002,2e-3"])
def test_the_same_point_is_trained_once(project, swept):
    assert len(points(project, swept)) == 1


def test_a_finished_twin_in_another_folder_is_not_trained_again(project, monkeypatch):
    (one,) = points(project, "seed=5")
    twin = Planned("elsewhere", ["seed=5", "tracking=none"], identity(one.run), 5)
    (one.sweep_dir / "elsewhere").mkdir(parents=True)
    (one.sweep_dir / "elsewhere/manifest.json").write_text(json.dumps({"status": "finished"}))
    line = CommandLine(project, ["seed=5"], multirun=True)
    assert into.missing(line, [one], Plan([], "workers", [twin])).points == [one], "it was not locked"
    monkeypatch.setattr(into, "_alike", lambda run, folder, root: True)
    todo = into.missing(line, [one], Plan([], "workers", [twin]))
    assert todo.points == [] and todo.elsewhere == {one.run_dir}


def test_a_broken_record_is_a_row_and_begun_anew(project):
    (one,) = points(project, "seed=5")
    one.run_dir.mkdir(parents=True)
    (one.run_dir / "manifest.json").write_text('{"status":')
    plan = Plan([], "workers", [Planned(one.run_dir.name, ["seed=5"], identity(one.run), 5)])
    sweeps.write(one.sweep_dir, plan)
    (row,) = sweep.read(one.sweep_dir)
    assert row.manifest["status"] == "unreadable" and not row.finished
    todo = into.missing(CommandLine(project, ["seed=5"], multirun=True), [one], plan)
    assert todo.anew == [one.run_dir]


def test_a_sweep_that_was_refused_leaves_no_folder(project):
    line = CommandLine(project, ["seed=0,1", "hydra.sweep.dir=multirun/r"], multirun=True)
    with pytest.raises(RunError, match="no"), _claimed(line, named(line, line.points()), None):
        raise RunError("no")
    assert not (project / "multirun/r").exists()


def test_a_name_that_was_typed_stays(project):
    one, two = points(project, "seed=0,1", "hydra.sweep.subdir=a_${seed}")
    assert [one.run_dir.name, two.run_dir.name] == ["a_0", "a_1"] and one.of_hydra == ()


def test_points_that_can_share_a_model_are_neighbours(project):
    ordered = together(points(project, "seed=0,1", "model.lora.r=4,8"))
    assert [(one.run.model.lora.r, one.run.seed) for one in ordered] == [(4, 0), (4, 1), (8, 0), (8, 1)]


def test_a_plan_is_kept_and_grows(tmp_path):
    one, two = (Planned(f"{at}_seed{at}", ["a=1", f"seed={at}"], f"{at}" * 16, at) for at in (1, 2))
    plan = Plan(["seed=1"], "workers", [one], [Impossible(["a=0"], "no")])
    sweeps.write(tmp_path, plan.grown(Plan(["seed=1,2"], "workers", [one, two], [Impossible(["a=0"], "no")])))
    held = sweeps.read(tmp_path)
    assert held.points == [one, two] and held.typed == ["seed=1"] and len(held.impossible) == 1
    assert held.varied() == [["seed=1"], ["seed=2"]]


@pytest.mark.parametrize(
    ("typed", "setting", "what"),
    [
        ([], "multirun/none", "holds no sweep"),
        ([], "/tmp", "lies in the project"),
        (["hydra.sweep.dir=multirun/b"], "multirun/a", "says where the sweep lies"),
    ],
)
def test_what_a_sweep_cannot_go_on_into_is_said(project, typed, setting, what):
    (project / "multirun/none").mkdir(parents=True)
    line = CommandLine(project, ["seed=0,1", *typed], multirun=True)
    line.sweep.into = setting
    with pytest.raises(RunError, match=what) as error:
        into.settled(line)
    assert error.value.hint


def test_points_that_were_typed_before_are_those_of_a_sweep_that_goes_on(project):
    folder = project / "multirun/a"
    folder.mkdir(parents=True)
    sweeps.write(folder, Plan(["seed=3,4", "sweep.workers=2"], "workers", []))
    line = CommandLine(project, [], multirun=True)
    line.sweep.into = "multirun/a"
    settled, _ = into.settled(line)
    assert [one.run.seed for one in settled.points()] == [3, 4]
    assert settled.points()[0].sweep_dir == folder


def test_a_point_that_runs_elsewhere_is_not_taken(project):
    (one,) = points(project, "seed=5")
    one.run_dir.mkdir(parents=True)
    (one.run_dir / "manifest.json").write_text(json.dumps({"status": "running", "host": "elsewhere", "pid": 1}))
    line = CommandLine(project, ["seed=5"], multirun=True)
    with pytest.raises(RunError, match="is being trained"):
        into.missing(line, [one], Plan([], "workers", []))


def test_a_point_without_a_record_is_begun_anew_and_its_folder_kept(project):
    (one,) = points(project, "seed=5")
    one.run_dir.mkdir(parents=True)
    (one.run_dir / "left").touch()
    todo = into.missing(CommandLine(project, ["seed=5"], multirun=True), [one], Plan([], "workers", []))
    assert todo.points == [one] and not todo.kept and not todo.begun
    aside(one.run_dir)
    one.run_dir.mkdir()
    aside(one.run_dir)
    names = sorted(path.name.removeprefix(one.run_dir.name) for path in one.run_dir.parent.iterdir())
    assert names == [".died", ".died2"]


def test_an_engine_serves_what_asks_no_more_of_it():
    made = {"max_num_seqs": 64, "gpu_memory_utilization": 0.3, "dtype": "bfloat16"}
    assert _serves(made, {**made, "max_num_seqs": 32, "gpu_memory_utilization": 0.2})
    assert not _serves(made, {**made, "max_num_seqs": 128})
    assert not _serves(made, {**made, "dtype": "float16"})
    inductor = {"inductor_compile_config": {"deterministic": True}}
    graphs = {**made, "compilation_config": {**inductor, "cudagraph_capture_sizes": [1, 64]}}
    fewer = {**graphs, "max_num_seqs": 32, "compilation_config": {**inductor, "cudagraph_capture_sizes": [1, 32]}}
    assert _serves(graphs, fewer) and not _serves(fewer, graphs)
    assert not _serves(graphs, {**fewer, "compilation_config": {"cudagraph_capture_sizes": [1, 32]}})


def test_a_process_takes_points_of_one_loader():
    warm = Warm()
    assert warm.takes("unsloth") and warm.takes("unsloth") and not warm.takes("transformers")


@pytest.mark.parametrize(
    ("returned", "fault"),
    [(None, False), (1.5, False), (RunError("no"), False), (Failed("x"), True), (ValueError(), True), (FAULT, True)],
)
def test_only_what_nobody_foresaw_costs_the_process(returned, fault):
    assert unforeseen(returned) is fault


@pytest.mark.parametrize(
    ("seen", "devices", "number", "points", "expected"),
    [
        (("0", "1", "2", "3"), 1, None, 9, ["0", "1", "2", "3"]),
        (("0", "1", "2", "3"), 1, 2, 9, ["0", "1"]),
        (("4", "5", "6", "7", "8"), 2, None, 9, ["4,5", "6,7"]),
        (("4", "5", "6", "7"), 2, None, 1, ["4,5"]),
        (("0",), 2, None, 3, [None]),  # the first point says that there are too few
    ],
)
def test_points_go_over_the_gpus_each_over_as_many_as_it_takes(monkeypatch, seen, devices, number, points, expected):
    monkeypatch.setattr(pool, "visible", lambda: seen)
    hardware = {"device": Device.cuda, "devices": devices}
    config = OmegaConf.create({"hardware": hardware, "rollout": {"vllm_mode": "none"}})
    assert pool._places(config, number, points) == expected
    assert pool.workers(config, number, points) == len(expected)
