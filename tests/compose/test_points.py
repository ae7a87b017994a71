"""The points of a command line: each composed before anything is written, and what is impossible named."""

from __future__ import annotations

import re

import pytest

from rlexp.compose.points import choice, expand, points
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


def test_a_sweep_is_expanded_as_hydra_does_and_hydras_own_keys_are_no_points(conf):
    assert expand(["seed=0,1", "method.beta=0.1", "hydra.sweep.dir=x", "a=range(2)"]) == [
        *(["seed=0", "method.beta=0.1", "a=0"], ["seed=0", "method.beta=0.1", "a=1"]),
        *(["seed=1", "method.beta=0.1", "a=0"], ["seed=1", "method.beta=0.1", "a=1"]),
    ]
    assert [point.run.seed for point in points(conf, ["seed=4,5"], multirun=True)] == [4, 5]


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
def test_the_choice_of_a_group_is_as_it_was_typed(conf, overrides, chosen):
    assert choice(conf, overrides, "reward") == chosen


def test_a_choice_that_cannot_be_composed_is_a_mistake(conf):
    with pytest.raises(RunError, match="no reward named"):
        choice(conf, ["reward=formt+correct"], "reward")


def test_a_size_that_an_option_does_not_state_cannot_be_changed(conf):
    with pytest.raises(RunError, match="states no size") as caught:
        points(conf, ["model.size=null", "model.size.hidden_size=8"], multirun=False)
    assert caught.value.where == "model.size.hidden_size=8"
