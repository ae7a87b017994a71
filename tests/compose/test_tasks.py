"""Eval tasks: what is typed of them, their files, and the run that they make of another."""

import pytest

from rlexp.compose import tasks
from rlexp.compose.points import CommandLine
from rlexp.compose.schema_eval import Kind
from rlexp.compose.task_run import settle
from rlexp.errors import RunError
from tests.conftest import copy_project

OWN = "version: 1\ndataset: arithmetic\nscorer: format+correct\nright: correct\n"


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A project with tasks of its own, and its run."""
    root = copy_project(tmp_path_factory.mktemp("tasks") / "project")
    for name, text in {
        "own": OWN,
        "typo": OWN + "sampels: 2\n",
        "far": OWN + "samples: 0\n",
        "nodata": "version: 1\n",
        "right": OWN.replace("right: correct", "right: format_"),
        "odd": OWN.replace("arithmetic", "arithmetik"),
        "old": "dataset: arithmetic\n",
        "metric": OWN + "metric: acuracy\n",
        "many": OWN + "metric: pass@8\nsamples: 2\npass_at: [1, 8]\n",
        "split": OWN + "split: validation\n",
        "größe": OWN,
        "a b": OWN,
        "list": "- a\n",
        "open": "version: [1\n",
        "both": "version: 1\nkind: suite\ntasks: [own, sums]\nof_model: {other: [sums]}\n",
        "round": "version: 1\nkind: suite\ntasks: [round]\n",
        "empty": "version: 1\nkind: suite\n",
    }.items():
        (root / f"eval/{name}.yaml").write_text(text)
    return root, CommandLine(root, ["held_out.rows=10", "held_out.temperature=0.5"]).points()[0].run


def read(place, *typed):
    _, run = place
    return tasks.read(tasks.take(typed)[1], run)


def test_what_is_typed_leaves_the_rest_to_hydra():
    rest, asked = tasks.take(["seed=1", "eval=a+b", "+eval.samples=4", "evaluate=1", "eval.a.rows=3"])
    assert rest == ["seed=1", "evaluate=1"]
    assert (asked.names, asked.settings) == (("a", "b"), ("samples=4", "a.rows=3"))


def test_values_that_are_typed_go_before_the_files(place):
    found, typed = read(place, "eval=own+sums", "eval.samples=2", "eval.sums.temperature=0", "eval.seed=3")
    assert [(one.name, one.task.samples, one.task.temperature) for one in found] == [("own", 2, 1.0), ("sums", 2, 0.0)]
    assert typed.seed == 3 and found[0].file == "eval/own.yaml"


def test_the_held_out_rows_are_a_task_as_the_run_configures_them(place):
    ((one,), _) = read(place)
    assert (one.name, one.task.rows, one.task.temperature) == ("held_out", 10, 0.5)
    ((one,), _) = read(place, "eval.rows=3")
    assert one.task.rows == 3


def test_a_name_may_have_any_letters(place):
    assert read(place, "eval=größe")[0][0].name == "größe"
    assert "a b" not in tasks.present(place[1].places)


def test_a_suite_is_its_tasks_by_the_model_too(place):
    assert [(one.name, one.suite) for one in read(place, "eval=both")[0]] == [("own", "both"), ("sums", "both")]


@pytest.mark.parametrize(
    ("typed", "what", "hint"),
    [
        (["eval=a,b"], "not swept", "type eval=a+b"),
        (["eval.samples=1,2"], "not swept", "type one value: eval.samples=1"),
        (["eval="], "names eval tasks", "type eval=held_out"),
        (["~eval"], "names eval tasks", "type eval=held_out"),
        (["eval=own", "eval=sums"], "typed twice", "type eval=own+sums"),
        (["eval=own+own"], "names own twice", "type eval=own"),
        (["eval=own+"], "no name", "type eval=NAME"),
        (["eval=own", "eval.samples=[1"], "cannot be read", "quotes"),
        (["eval=onw"], "no eval task 'onw'", "did you mean eval=own?"),
        (["eval=own", "eval.owl.rows=2"], "no task 'owl'", "type eval.own.KEY=VALUE"),
        (["eval=own", "eval.sums.rows=2"], "no task 'sums'", "type eval=sums too"),
        (["eval=old"], "has no version", "write version: 1"),
        (["eval=split"], "Invalid value 'validation'", "write split: test"),
        (["eval=a b"], "no name of an eval task", "type eval=NAME"),
        (["eval=own", "eval.rwos=2"], "no key rwos", "did you mean rows?"),
        (["eval=own", "eval.own.rows=0"], "eval.own.rows is 0", "type eval.own.rows=1"),
        (["eval=own", "eval.samples=x"], "could not be converted", "type eval.samples=VALUE"),
        (["eval=typo"], "no key sampels", "did you mean samples?"),
        (["eval=far"], "samples is 0", "write samples: 1"),
        (["eval=list"], "a mapping of keys", "write version: 1"),
        (["eval=open"], "no YAML", "close what is open"),
        (["eval=own", "eval.want=0.3", "eval.rows=8"], "so does eval.rows", "leave one of them out"),
        (["eval=own", "eval.want=0.3", "eval.own.rows=8"], "so does eval.own.rows", "leave one of them out"),
        (["eval=round"], "holds itself", "take round out"),
        (["eval=empty"], "has no tasks for the model tiny", "write tasks:"),
    ],
)
def test_mistakes_are_one_message(place, typed, what, hint):
    with pytest.raises(RunError) as caught:
        read(place, *typed)
    assert what in caught.value.what and hint in caught.value.hint and caught.value.where


@pytest.mark.parametrize(
    ("name", "what", "hint"),
    [
        ("nodata", "names no data", "write dataset: NAME"),
        ("right", "right names format_", "write right: format"),
        ("odd", "arithmetik", "arithmetic"),
        ("metric", "measures no 'acuracy'", "write metric: accuracy"),
        ("many", "measures no 'pass@8'", "one of: reward"),
    ],
)
def test_what_a_task_names_must_be_there(place, name, what, hint):
    root, run = place
    with pytest.raises(RunError) as caught:
        settle(read(place, f"eval={name}")[0][0], run, root)
    assert what in caught.value.what and hint in caught.value.hint and f"eval/{name}.yaml" in caught.value.where


def test_the_run_of_a_task_has_its_data_and_rewards_and_the_model_of_the_other(place):
    root, run = place
    settled = settle(read(place, "eval=own", "eval.own.system_prompt=Be_brief", "eval.rows=7")[0][0], run, root)
    made = settled.on(run)
    assert (made.dataset.path, list(made.reward.terms), settled.right) == (
        "data/arithmetic",
        ["correct", "format"],
        "correct",
    )
    assert (made.model.system_prompt, made.model.path, made.held_out.rows) == ("Be_brief", run.model.path, 7)
    assert (made.held_out.max_new_tokens, made.prompts_per_step) == (run.held_out.max_new_tokens, 1)


def test_pairs_need_no_scorer(place):
    root, run = place
    (one,) = read(place, "eval=sums_pairs")[0]
    settled = settle(one, run, root)
    assert one.task.kind is Kind.pairs and not settled.reward.terms and settled.on(run).method.name == "dpo"
