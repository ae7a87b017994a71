"""The folders that a command line writes to, before anything is written."""

from __future__ import annotations

import contextlib

import pytest

from rlexp.compose.points import CommandLine
from rlexp.errors import RunError
from rlexp.train.folders import claimed, refuse
from tests.conftest import files


@contextlib.contextmanager
def plan(project, *typed, multirun=False):
    """Claims what a command line writes to; the folder from the project."""
    line = CommandLine(project, list(typed), multirun)
    with claimed(line, line.points()) as folder:
        yield folder.relative_to(project).as_posix()


def test_a_run_that_is_named_has_its_folder_while_it_runs_and_nothing_is_left_where_none_began(project):
    with plan(project, "hydra.run.dir=outputs/a") as named:
        assert named == "outputs/a" and (project / "outputs/a/manifest.json").is_file()
        with (
            pytest.raises(RunError, match=r"holds a run already \(running\)"),
            plan(project, "hydra.run.dir=outputs/a"),
        ):
            pass
    assert not (project / "outputs/a").exists()


def test_a_folder_whose_name_holds_the_time_is_the_one_that_hydra_makes(project):
    with plan(project) as named:
        assert named.endswith("_grpo_tiny_arithmetic") and (project / named / "manifest.json").is_file()
    assert not (project / named).exists()


@pytest.mark.parametrize("folder", [".", "src", "conf/x", "data/../rewards", "outputs/.."])
def test_a_folder_of_the_project_is_none_of_a_run(project, folder):
    with pytest.raises(RunError, match="holds other things than runs"), plan(project, f"hydra.run.dir={folder}"):
        pass


@pytest.mark.parametrize("subdir", ["../../conf", "a/b", "..", "/tmp/x", "''"])
def test_hydras_copies_stay_in_the_run_folder(project, subdir):
    before = (project / "conf/config.yaml").read_bytes()
    with pytest.raises(RunError, match="no name of a folder"), plan(project, f"hydra.output_subdir={subdir}"):
        pass
    with plan(project, "hydra.output_subdir=null"), plan(project, "hydra.output_subdir=.mine"):
        pass
    assert (project / "conf/config.yaml").read_bytes() == before


def test_a_folder_that_names_a_key_there_is_not_is_one_message(project):
    with pytest.raises(RunError), plan(project, "hydra.run.dir='outputs/${method.nam}'"):
        pass


def test_a_sweep_has_one_folder_whatever_it_sweeps(project):
    with plan(project, "method=grpo,rloo", multirun=True) as named:
        assert "grpo" not in named and named.startswith("multirun/")
    with plan(project, "seed=0,1", "hydra.sweep.dir=multirun/a", multirun=True):
        assert (project / "multirun/a/multirun.yaml").is_file()
        again = plan(project, "seed=0,1", "hydra.sweep.dir=multirun/a", multirun=True)
        with pytest.raises(RunError, match="holds a sweep already"), again:
            pass


def test_the_time_in_a_sweep_folder_is_one_for_all_its_points(project):
    with plan(project, "seed=0,1", "hydra.sweep.subdir=s_${seed}", multirun=True) as named:
        assert named.startswith("multirun/")
    with pytest.raises(RunError, match="2 points of the sweep would share the folder x"):
        plan(project, "seed=0,1", "hydra.sweep.subdir=x", multirun=True).__enter__()


@pytest.mark.parametrize(
    ("subdir", "shared"),
    [("one", True), ("${method.name}", True), ("${seed}", False), ("${seed}_${hydra.job.num}", False), ("..", True)],
)
def test_points_that_would_share_a_folder_are_refused(project, subdir, shared):
    sweep = plan(project, "seed=0,1", "hydra.sweep.dir=multirun/a", f"hydra.sweep.subdir='{subdir}'", multirun=True)
    if not shared:
        with sweep:
            return
    with pytest.raises(RunError, match="share the folder") as caught, sweep:
        pass
    assert "hydra.job.num" in caught.value.hint and not (project / "multirun").exists()


def test_a_sweep_folder_that_follows_what_is_swept_is_refused(project):
    sweep = plan(project, "method=grpo,rloo", "hydra.sweep.dir='multirun/${method.name}'", multirun=True)
    with pytest.raises(RunError, match="would lie in 2 folders"), sweep:
        pass
    with plan(project, "seed=0,1", "hydra.sweep.dir='multirun/${method.name}'", multirun=True) as named:
        assert named == "multirun/grpo"


@pytest.mark.parametrize(
    ("typed", "multirun", "what", "hint"),
    [
        (["hydra.run.dir=outputs/base"], False, "is not empty", "hydra.run.dir=outputs/base_2,"),
        (["hydra.run.dir=/"], False, "/ is not empty", "hydra.run.dir=outputs/mine_2,"),
        (["hydra.run.dir=dvc.yaml/x"], False, "dvc.yaml is a file", "hydra.run.dir=outputs/x,"),
        (["hydra.run.dir=conf/x"], False, "other things than runs", "outputs/NAME"),
        (["hydra.sweep.subdir=x", "seed=0,1"], True, "share the folder x", "hydra.job.num"),
        (["hydra.sweep.dir=multirun/${seed}", "seed=0,1"], True, "in 2 folders", "hydra.sweep.subdir"),
    ],
)
def test_a_plan_refuses_what_a_run_would_and_makes_nothing(project, typed, multirun, what, hint):
    (project / "outputs/base").mkdir(parents=True)
    (project / "outputs/base/mine").touch()
    before = files(project)
    line = CommandLine(project, typed, multirun)
    for found in (refuse, lambda *asked: claimed(*asked).__enter__()):
        with pytest.raises(RunError) as caught:
            found(line, line.points())
        assert what in caught.value.what or "cannot be made" in caught.value.what
        assert hint in caught.value.hint
    assert files(project) == before


def test_a_plan_lets_a_new_folder_pass(project):
    (project / "outputs/base").mkdir(parents=True)
    line = CommandLine(project, ["hydra.run.dir=outputs/base"])
    refuse(line, line.points())
