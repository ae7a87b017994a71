"""The metrics of pairs, of stored rows."""

from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest

from rlexp.compose.schema import DatasetType
from rlexp.compose.schema_eval import Kind, Task
from rlexp.compose.task_file import Named
from rlexp.errors import RunError
from rlexp.evaluate.kinds.pairs import require, scores


def table(prompts, **columns):
    return pa.table({"prompt_sha256": prompts, **{name.replace("__", "."): of for name, of in columns.items()}})


def test_a_tie_is_a_half_and_a_longer_answer_may_win_by_the_token_only():
    found = scores(
        None,
        table(
            ["a", "b", "b"],
            chosen__logp=[-2.0, -3.0, -6.0],
            chosen__tokens=[2, 3, 6],
            rejected__logp=[-4.0, -3.0, -2.0],
            rejected__tokens=[2, 2, 1],
        ),
    )
    assert found["accuracy"] == [[1.0], [0.5, 0.0]]  # rows of one prompt are samples of it
    assert found["margin"] == [[2.0], [0.0, -4.0]]
    assert found["accuracy_per_token"] == [[1.0], [1.0, 1.0]]
    assert found["margin_per_token"] == [[1.0], [0.5, 1.0]]
    assert (found["chosen_logp"], found["rejected_logp"]) == ([[-1.0], [-1.0, -1.0]], [[-2.0], [-1.5, -2.0]])


def test_answers_with_a_label_and_answers_alone():
    answers = {"completion__logp": [-2.0, -6.0], "completion__tokens": [2, 3]}
    assert scores(None, table(["a", "b"], **answers)) == {"completion_logp": [[-1.0], [-2.0]]}
    assert scores(None, table(["a", "b"], label=[True, False], **answers)) == {
        "desirable_logp": [[-1.0], [None]],
        "undesirable_logp": [[None], [-2.0]],
    }


@pytest.mark.parametrize(
    ("first", "second", "wins", "agrees"),
    [
        (1.0, 0.0, 1.0, 1.0),
        (0.0, 1.0, 0.0, 1.0),
        (1.0, 1.0, 0.5, 0.0),  # it likes what it reads first
        (0.5, 0.5, 0.5, 1.0),
        (1.0, 0.5, 0.75, 0.0),
        (None, 1.0, None, None),
    ],
)
def test_the_judge_is_heard_in_both_orders(first, second, wins, agrees):
    own = {"own__completion": ["x", "y"], "own__tokens": [1, None], "own__truncated": [False, True]}
    found = scores(None, table(["a", "b"], **own, judge__first=[first, 1.0], judge__second=[second, 0.0]))
    assert (found["win_rate"], found["judge_agrees"]) == ([[wins], [1.0]], [[agrees], [1.0]])
    assert (found["tokens"], found["truncated"]) == ([[1], [None]], [[0.0], [1.0]])


def test_the_base_answers_and_is_not_judged_and_what_nobody_measured_is_no_metric():
    own = {"own__completion": ["x"], "own__tokens": pa.nulls(1, pa.int64()), "own__truncated": [False]}
    assert set(scores(None, table(["a"], **own))) == {"truncated"}


def subject(url=None) -> Any:
    return SimpleNamespace(url=url, name=url or "a")


def work(data=DatasetType.preference, judge=None, reads=()):
    named = Named("mine", Task(kind=Kind.pairs, judge=judge), "eval/mine.yaml")
    settled = SimpleNamespace(name="mine", named=named, dataset=SimpleNamespace(type=data, name="rows"))
    inputs = SimpleNamespace(rewards={name: SimpleNamespace(reads=read) for name, read in dict(reads).items()})
    return SimpleNamespace(settled=settled, inputs=inputs)


JUDGE = {"p": ("completions", "other")}
LOCAL, REMOTE = subject(), subject("http://h/v1")


@pytest.mark.parametrize(
    ("task", "what", "hint"),
    [
        (work(DatasetType.prompt_only), "rows is prompt_only data", "preference data set"),
        (work(judge="format", reads={"format": ("completions",)}), "format is no judge", "judge: preferred"),
        (work(judge="a+b", reads={**JUDGE, "q": ("completions",)}), "is no judge", "judge: preferred"),
        (work(), "does not say how likely", "eval.mine.judge=preferred"),
    ],
)
def test_what_cannot_be_measured_is_said_before_anything_is_loaded(task, what, hint):
    with pytest.raises(RunError, match=what) as error:
        require(task, [LOCAL, REMOTE])
    assert hint in (error.value.hint or "")


def test_an_endpoint_can_be_judged():
    require(work(judge="p", reads=JUDGE), [LOCAL, REMOTE])
    require(work(), [LOCAL])
