"""Inputs against each other, before anything heavy is imported."""

import pytest

from rlexp.compose.points import CommandLine
from rlexp.errors import RunError
from rlexp.inputs.find import find_inputs
from rlexp.inputs.prepare import prepare


@pytest.mark.parametrize(
    ("overrides", "what", "hint"),
    [
        (["dataset.path=nowhere"], "no snapshot at nowhere", "data_prep/arithmetic.py writes data/arithmetic"),
        (["dataset.prepare=arithmetik", "dataset.name=x"], "no script data_prep/arithmetik.py", "arithmetic"),
        (["dataset=arithmetic_preferences"], "grpo trains on prompt_only data", "dataset=arithmetic"),
        (["method=dpo"], "dpo trains on preference data", "dataset=arithmetic_preferences"),
        (["method=sft"], "sft trains on prompt_completion data", "arithmetic_demonstrations"),
        (["model.path=models/tinny"], "no model in the folder models/tinny", "model.path=models/tiny"),
        (["reward.terms.correct.file=rewards/corect.py"], "no reward file", "rewards/correct.py"),
        (["+reward.terms.correct.params.limit=2"], "takes no parameters, not limit", "leave limit out"),
        (["+model.params.foo=1"], "takes folder, seed", "leave model.params.foo out"),
        (["reward=length", "~reward.terms.length.params.limit"], "needs limit", "params.limit=VALUE"),
    ],
)
def test_a_mistake_is_named_with_the_nearest_valid_choice(composed, project, overrides, what, hint):
    with pytest.raises(RunError) as caught:
        find_inputs(composed(*overrides), project)
    assert what in caught.value.what
    assert hint is None or hint in (caught.value.hint or "")


def test_a_missing_snapshot_is_made_and_then_checked(composed, project):
    inputs = prepare(composed(), project)
    assert inputs.description["splits"]["test"]["rows"] == 200
    reward = project / "rewards/correct.py"
    reward.write_text(reward.read_text().replace("answer: list[Any]", "anwser: list[Any]"))
    with pytest.raises(RunError, match="reads the column anwser") as caught:
        find_inputs(composed(), project)
    assert caught.value.hint == "did you mean answer?"


def test_a_snapshot_is_not_taken_for_another_one(composed, project):
    prepare(composed(), project)
    with pytest.raises(RunError, match=r"made with seed=0, asked is 1") as caught:
        find_inputs(composed("dataset.params.seed=1"), project)
    assert "dataset.name=arithmetic_2" in caught.value.hint
    made = prepare(composed("dataset.params.seed=1", "dataset.name=arithmetic_2"), project)
    assert made.data.name == "arithmetic_2"


def test_fewer_rows_than_a_step_takes_are_refused(composed, project):
    prepare(composed(), project)
    with pytest.raises(RunError, match="a step takes 8 different prompts") as caught:
        find_inputs(composed("dataset.train_rows=3"), project)
    assert caught.value.hint == "type method.prompts_per_step=3"
    find_inputs(composed("dataset.train_rows=3", "method.prompts_per_step=3"), project)


def test_a_wrong_parameter_of_a_script_is_named(composed, project):
    with pytest.raises(RunError, match="takes train, test") as caught:
        prepare(composed("+dataset.params.tests=3"), project)
    assert caught.value.hint == "type dataset.params.test=VALUE"
    assert not (project / "data").exists()


def test_a_wrong_parameter_of_a_script_is_named_also_where_its_snapshot_is_there(composed, project):
    prepare(composed(), project)
    with pytest.raises(RunError, match="takes train, test"):
        find_inputs(composed("+dataset.params.trian=5"), project)


def test_a_reward_file_that_is_missing_is_said_where_it_is_named(project):
    (project / "conf/reward/mine.yaml").write_text("terms:\n  mine:\n    file: rewards/formt.py\n")
    (point,) = CommandLine(project, ["reward=correct+mine"]).points()
    with pytest.raises(RunError, match=r"no reward file rewards/formt\.py") as caught:
        find_inputs(point.run, project)
    assert caught.value.where == "conf/reward/mine.yaml:3"
    assert "did you mean rewards/format.py?" in caught.value.hint


def test_an_edited_file_is_not_taken_for_the_one_a_snapshot_was_made_of(composed, project):
    source = project / "sums.csv"
    source.write_text("prompt,answer\n" + "".join(f"What is 1 + {n}?,{1 + n}\n" for n in range(20)))
    run = composed("dataset=local", f"dataset.params.file={source}")
    prepare(run, project)
    source.write_text(source.read_text() + "What is 9 + 9?,18\n")
    with pytest.raises(RunError, match="has changed since"):
        find_inputs(run, project)
