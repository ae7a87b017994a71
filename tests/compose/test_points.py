"""The points of a command line: each composed before anything is written, and what is impossible named."""

from __future__ import annotations

import pickle
import re

import cloudpickle
import pytest
from omegaconf import OmegaConf

from rlexp.compose import schema_sweep
from rlexp.compose.places import Places
from rlexp.compose.points import CommandLine, points
from rlexp.errors import RunError


@pytest.fixture
def conf(root):
    return root / "conf"


def test_a_sweep_names_every_impossible_point(root):
    with pytest.raises(RunError, match="2 of 4 points") as caught:
        points(root / "conf", ["method.beta=0,0.04", "method.num_generations=1,4"], multirun=True)
    assert len(re.findall(r"method\.num_generations=1", caught.value.what)) == 2


def test_a_sweep_over_num_generations_is_not_cut_by_divisibility(root):
    made = points(root / "conf", ["method.num_generations=2,3,5,7,16", "method.prompts_per_step=6"], multirun=True)
    assert [point.run.geometry.sequences_per_step for point in made] == [12, 18, 30, 42, 96]


def test_a_single_command_line_is_one_point_with_its_own_error(conf):
    (point,) = points(conf, ["seed=3"], multirun=False)
    assert (point.overrides, point.run.seed) == (["seed=3"], 3)
    with pytest.raises(RunError, match=r"^num_generations is 1"):
        points(conf, ["method.num_generations=1"], multirun=False)
    with pytest.raises(RunError, match=r"^num_generations is 1"):  # of one point: not a sweep's list of one
        points(conf, ["method.num_generations=1"], multirun=True)


@pytest.fixture
def line(root):
    """A command line in the project, as its options say."""
    return lambda *overrides, **options: CommandLine(root, list(overrides), **options)


def test_a_sweep_is_expanded_as_hydra_does_and_hydras_own_keys_are_no_points(line):
    made = line("seed=0,1", "method.beta=0.1", "hydra.sweep.dir=x", "dataset.train_rows=range(8,10)", multirun=True)
    rows = ("dataset.train_rows=8", "dataset.train_rows=9")
    assert made.batches == [[[f"seed={seed}", "method.beta=0.1", row] for seed in (0, 1) for row in rows]]
    assert [point.run.seed for point in line("seed=4,5", multirun=True).points()] == [4, 5]


@pytest.mark.parametrize(
    ("overrides", "multirun", "seeds"),
    [
        (["hydra.mode=MULTIRUN", "seed=1,2"], False, [1, 2]),
        (["hydra.mode=RUN", "seed=1,2"], True, [1, 2]),  # Hydra: -m goes before
        (["hydra.mode=RUN", "seed=7"], False, [7]),
        (["seed=choice(3,4)", "hydra.sweeper.max_batch_size=1"], True, [3, 4]),
        (["seed=range(2)"], True, [0, 1]),
    ],
)
def test_the_mode_is_hydras(line, overrides, multirun, seeds):
    made = line(*overrides, multirun=multirun)
    assert [point.run.seed for point in made.points()] == seeds and made.sweeps is (len(seeds) > 1)


def test_a_file_may_ask_for_a_sweep(project):
    text = "# @package _global_\nhydra: {mode: MULTIRUN, sweeper: {params: {seed: '3,4', method.beta: 0.1}}}\n"
    (project / "conf/experiment/swept.yaml").write_text(text)
    made = CommandLine(project, ["experiment=swept"]).points()
    assert [point.overrides for point in made] == [
        [f"seed={seed}", "method.beta=0.1", "experiment=swept"] for seed in (3, 4)
    ]


def test_a_glob_is_over_the_options_there_are(line):
    made = line("reward=glob(*mat)", "tracking=glob(*,exclude=[w*,t*])", multirun=True).points()
    assert [point.overrides for point in made] == [["reward=format", "tracking=none"]]
    with pytest.raises(RunError, match="gives no point"):
        line("reward=glob(zz*)", multirun=True).points()


def test_every_point_says_the_folder_it_will_get(line, root):
    (alone,) = line("hydra.run.dir=here/${seed}").points()
    assert alone.run_dir == root / "here/0"
    swept = line("seed=5,6", "hydra.sweep.dir=there", "hydra.sweep.subdir=${hydra:job.num}_${seed}", multirun=True)
    assert [point.run_dir for point in swept.points()] == [root / "there/0_5", root / "there/1_6"]


def test_folders_of_options_are_hydras(project, tmp_path):
    mine = tmp_path / "mine"
    (mine / "reward").mkdir(parents=True)
    (mine / "reward/brief.yaml").write_text("terms: {brief: {file: rewards/length.py}}\n")
    for line in (
        CommandLine(project, ["reward=format+brief"], config_dir=mine),
        CommandLine(project, ["reward=format+brief", f"hydra.searchpath=[file://{mine}]"]),
    ):
        (point,) = line.points()
        assert list(point.run.reward.terms) == ["brief", "format"]
    (mine / "other.yaml").write_text((project / "conf/config.yaml").read_text().replace("seed: 0", "seed: 8"))
    assert CommandLine(project, [], config_dir=mine, config_name="other").points()[0].run.seed == 8
    (project / "conf").rename(tmp_path / "moved")
    assert CommandLine(project, [], config_path=tmp_path / "moved").points()[0].run.seed == 0


def test_no_experiment_is_none_and_of_every_other_group_there_is_one(line, root):
    assert line("experiment=null").points()[0].run == line().points()[0].run
    swept = line("experiment=null,sums_dpo", "hydra.sweep.dir=x", multirun=True).points()
    assert [point.run.method.name for point in swept] == ["grpo", "dpo"]
    groups = {path.name for path in (root / "conf").iterdir() if path.is_dir()} - {"experiment"}
    assert len(groups) == 8
    for group in groups:
        with pytest.raises(RunError, match=f"null is no {group}") as caught:
            line(f"{group}=null").points()
        answer = re.match(r"type (\S+),", caught.value.hint)
        assert line(answer[1]).choice(group)


def test_a_sweeper_that_goes_by_what_came_out_has_no_points_beforehand(line):
    clever = line("hydra.sweeper._target_=hydra_plugins.clever.Sweeper", multirun=True)
    assert not clever.listed
    with pytest.raises(RunError, match="made while it runs"):
        clever.points()


def test_only_what_varies_names_a_point_that_is_impossible(conf):
    with pytest.raises(RunError) as caught:
        points(conf, ["seed=7", "method.num_generations=1,4"], multirun=True)
    lines = caught.value.what.splitlines()
    assert lines[0] == "1 of 2 points of the sweep are not possible; nothing was started"
    assert lines[1].startswith("  method.num_generations=1: num_generations is 1") and len(lines) == 2
    assert caught.value.where == "method.num_generations" and "num_generations=2" in caught.value.hint


def test_an_override_that_cannot_be_read_is_a_mistake_of_a_sweep_too(conf):
    for multirun in (True, False):
        with pytest.raises(RunError, match="cannot be read"):
            points(conf, ["seed=["], multirun=multirun)


@pytest.mark.parametrize(
    ("overrides", "chosen"),
    [
        ([], "format+correct"),
        (["reward=length+format"], "length+format"),
        (["experiment=smollm2_arithmetic"], "final_number+length"),
    ],
)
def test_the_choice_of_a_group_is_as_it_was_typed(line, overrides, chosen):
    assert line(*overrides).choice("reward") == chosen


def test_a_choice_that_cannot_be_composed_is_a_mistake(line):
    with pytest.raises(RunError, match="no reward named"):
        line("reward=formt+correct").choice("reward")


def test_a_size_that_an_option_does_not_state_cannot_be_changed(conf):
    with pytest.raises(RunError, match="states nothing") as caught:
        points(conf, ["model.size=null", "model.size.hidden_size=8"], multirun=False)
    assert caught.value.where == "model.size.hidden_size=8"


@pytest.mark.parametrize("name", ["launcher", "sweeper"])
@pytest.mark.parametrize("multirun", [True, False])
def test_a_launcher_and_a_sweeper_are_groups(line, name, multirun):
    with pytest.raises(RunError) as caught:
        line(f"hydra.{name}=mine", "seed=1", multirun=multirun).points()
    assert f"type hydra/{name}=mine" in caught.value.hint


@pytest.mark.parametrize(
    ("overrides", "multirun"),
    [
        (['hydra.sweeper.params={seed: "3,4"}', "hydra.mode=MULTIRUN"], False),
        (['+hydra.sweeper.params={seed:"3,4"}'], True),
        (['hydra.sweeper.params.seed="3,4"'], True),
        (['+hydra.sweeper.params.seed="3,4"', "hydra.mode=MULTIRUN"], False),
    ],
)
def test_what_the_basic_sweeper_goes_over_can_be_typed(line, overrides, multirun):
    made = line(*overrides, multirun=multirun)
    assert [point.run.seed for point in made.points()] == [3, 4]


@pytest.mark.parametrize("multirun", [True, False])
@pytest.mark.parametrize(
    ("override", "hint"),
    [
        ("hydra.sweeper.params.seed=0,1", "type -m seed=0,1,"),
        ('hydra.sweeper.params.method.beta="0,0.1"', "type -m method.beta=0,0.1,"),
    ],
)
def test_a_sweep_in_hydras_own_keys_is_said_how_to_type(line, override, hint, multirun):
    with pytest.raises(RunError) as caught:
        line(override, multirun=multirun).points()
    assert hint in caught.value.hint


def test_a_value_that_one_swept_option_lacks_is_not_asked_of_all(line):
    with pytest.raises(RunError, match="1 of 3 points") as caught:
        line("reward=judge,format,length", multirun=True).points()
    assert caught.value.hint == "leave them out: type -m reward=format,length"
    assert len(line("reward=format,length", multirun=True).points()) == 2


def test_an_experiment_is_chosen_without_a_plus(line):
    with pytest.raises(RunError) as caught:
        line("+experiment=sums_grpo").points()
    assert caught.value.hint.endswith("type experiment=sums_grpo")


def test_points_that_share_what_was_read_are_those_of_loaders_of_their_own(line):
    """A point is put over a copy: neither an earlier one nor another choice of options shows in it."""
    swept = ["seed=0,1", "hydra.sweep.dir=x"]
    lists = [["method=grpo", "seed=1", "method.beta=0.04"], ["method=grpo", "~experiment", "model.lora.r=8"]]
    lists += [["experiment=sums_dpo", "dataset.train_rows=9"], ["reward=format", "+model.params.a=1"], ["method=grpo"]]
    shared = line(*swept, multirun=True)
    made = [shared.loader.load_sweep_config(shared.config, one) for one in lists]
    for config, overrides in zip(made, lists, strict=True):
        alone = line(*swept, multirun=True)
        other = alone.loader.load_sweep_config(alone.config, overrides)
        for tree in (config, other):
            tree.hydra.sweep.dir = ""  # holds the time
        assert OmegaConf.to_yaml(config) == OmegaConf.to_yaml(other)
        assert OmegaConf.get_type(config.method) is OmegaConf.get_type(other.method)
    assert not pickle.loads(cloudpickle.dumps(shared.loader))._composed


@pytest.mark.parametrize(
    ("overrides", "typed"),
    [
        (["method=grpo,dpo", "seed=3"], "type -m experiment=sums_grpo,sums_dpo seed=3"),
        (["method=dpo,sft", "dataset=arithmetic_demonstrations"], "type -m experiment=sums_dpo,sums_sft"),
        (
            ["method=grpo,kto"],
            "write conf/experiment/NAME.yaml with kto and its data, and leave out method and dataset",
        ),
    ],
)
def test_methods_of_several_kinds_are_answered_with_the_line_that_works(line, overrides, typed):
    with pytest.raises(RunError, match="the sweep's methods train on") as caught:
        line(*overrides, multirun=True).points()
    assert typed in caught.value.hint
    if "NAME" not in typed:
        experiment, *rest = caught.value.hint.partition(" -m ")[2].split()
        made = line(experiment, *rest, multirun=True).points()
        assert all(point.run.method.dataset_type is point.run.dataset.type for point in made)


@pytest.mark.parametrize(
    ("override", "what", "hint"),
    [
        ("sweep.workers=0", "workers is 0", "type sweep.workers=1"),
        ("sweep.workers=two", "could not be converted", "type sweep.workers=VALUE"),
        ("sweep.workers=", "has no value", "type sweep.workers=VALUE"),
        ("~sweep.into", "has no value", "type sweep.into=VALUE"),
        ("sweep.workers=1,2", "is not swept", "type one value: sweep.workers=1"),
        ("sweep.worker=1", "no key worker", "did you mean sweep.workers?"),
        ("sweep=2", "is none itself", "sweep.skip_impossible"),
    ],
)
def test_what_is_wrong_about_a_key_of_the_sweep_is_said(root, override, what, hint):
    with pytest.raises(RunError, match=what) as caught:
        schema_sweep.take([override], Places.of(root))
    assert hint in caught.value.hint


def test_keys_of_the_sweep_are_taken_off_the_line(root):
    rest, sweep, typed = schema_sweep.take(["seed=0,1", "sweep.workers=2", "+sweep.into=multirun/a"], Places.of(root))
    assert (rest, sweep.workers, sweep.into, len(typed)) == (["seed=0,1"], 2, "multirun/a", 2)
