"""What stored samples say: the metrics of completions, the differences between subjects, and what speaks for a task."""

import dataclasses
from types import SimpleNamespace

import pyarrow as pa
import pytest

from rlexp.compose.schema import HeldOut, Reward, Term
from rlexp.compose.schema_eval import Task
from rlexp.compose.task_file import Named
from rlexp.compose.task_run import Settled
from rlexp.errors import RunError
from rlexp.evaluate import kinds, results, sizing
from rlexp.evaluate.answers import answer_of
from rlexp.evaluate.kinds import completions
from rlexp.evaluate.work import Work
from rlexp.inputs import snapshot

REWARD = Reward(terms={"correct": Term(file="a.py"), "format": Term(file="b.py")})
NOTHING = {"correct": (0.0, 1.0), "format": (0.0, 1.0)}


def settled(reward=REWARD, **task):
    return Settled(Named("t", Task(**task)), SimpleNamespace(), reward, SimpleNamespace())


def table(correct, said=None, prompts=None):
    """Samples of prompts, as they are stored: ``correct`` is [prompts][samples]."""
    flat = [score for group in correct for score in group]
    names = [str(place) for place, group in enumerate(correct) for _ in group] if prompts is None else prompts
    said = said or [f"<answer>{score}</answer>" for score in flat]
    return pa.table(
        {
            **{"row": list(range(len(flat))), "prompt_sha256": names, "sample": [0] * len(flat), "prompt": names},
            **{"completion": said, "tokens": [2] * len(flat), "truncated": [False] * len(flat)},
            **{"prefill": [""] * len(flat), "score.correct": pa.array(flat, pa.float64())},
            "reward": pa.array(flat, pa.float64()),
            "token_ids": pa.array([[1, 2]] * len(flat), pa.list_(pa.int64())),
        }
    )


def test_several_samples_of_a_prompt_give_pass_and_majority():
    found = completions.scores(settled(pass_at=[1, 2, 3]), table([[1.0, 0.0, 0.0], [1.0, 1.0, 1.0]]))
    assert found["accuracy"] == [[1.0, 0.0, 0.0], [1.0, 1.0, 1.0]]
    assert found["pass@2"] == [[pytest.approx(2 / 3)], [1.0]] and found["pass@3"] == [[1.0], [1.0]]
    assert found["pass^2"] == [[0.0], [1.0]] and "pass@1" not in found
    assert found["majority@3"] == [[0.0], [1.0]]


def test_rows_of_one_prompt_are_one_cluster_and_what_was_not_scored_is_not_zero():
    found = completions.scores(settled(), table([[1.0], [None], [0.0]], prompts=["a", "a", "b"]))
    assert found["accuracy"] == [[1.0, None], [0.0]]


def test_right_is_from_a_score_on_and_without_a_term_there_is_no_accuracy():
    assert completions.scores(settled(right_at=0.5), table([[0.5], [0.4]]))["accuracy"] == [[1.0], [0.0]]
    only = Reward(terms={"length": Term(file="a.py")})
    assert "accuracy" not in completions.scores(settled(only), table([[1.0]]))


@pytest.mark.parametrize(
    ("completion", "answer"),
    [
        ("<think>1</think><answer> 1,234.0 </answer>", "1234"),
        ("so \\boxed{\\frac{1}{2}} it is", "\\frac{1}{2}"),
        ("12 plus 30 is 42.", "42"),
        ("-3/4", "-3/4"),
        ("No idea", "noidea"),
        ("", ""),
    ],
)
def test_the_answer_that_votes(completion, answer):
    assert answer_of(completion) == answer


def test_a_difference_is_paired_and_claims_are_corrected_together():
    base, better = table([[0.0]] * 20 + [[1.0]] * 20), table([[1.0]] * 12 + [[0.0]] * 8 + [[1.0]] * 20)
    of = {
        name: completions.scores(settled(), one) for name, one in {"base": base, "run": better, "again": base}.items()
    }
    found = results.differences(settled(), of, NOTHING)
    claims = [one for one in found if one["claimed"]]
    assert [(one["one"], one["other"], one["metric"]) for one in claims] == [
        ("base", "run", "accuracy"),
        ("base", "again", "accuracy"),
        ("run", "again", "accuracy"),
    ]
    assert claims[0]["mean"] == pytest.approx(0.3) and claims[0]["low"] > 0 and claims[1]["mean"] == 0
    assert not any(one["one"] == "run" for one in found if not one["claimed"])
    results.adjust({"t": found})
    assert claims[0]["p_holm"] == pytest.approx(min(1.0, 3 * claims[0]["p"])) and claims[0]["p_holm"] >= claims[0]["p"]


def test_one_subject_alone_has_no_difference():
    assert results.differences(settled(), {"base": completions.scores(settled(), table([[1.0]]))}, NOTHING) == []


def test_what_speaks_for_a_task():
    names = ["reward", "correct", "accuracy"]
    assert results.main_metric(settled(), names) == "accuracy"
    assert results.main_metric(settled(metric="correct"), names) == "correct"
    assert results.main_metric(settled(), ["reward", "tokens"]) == "reward"
    assert results.main_metric(settled(), ["tokens"]) == "tokens"


def test_estimates_are_json_and_keep_their_bounds():
    found = results.estimates(completions.scores(settled(), table([[1.0]] * 5)), NOTHING)
    assert found["accuracy"]["mean"] == 1.0 and found["accuracy"]["high"] == 1.0 and found["accuracy"]["low"] < 1
    assert set(found["reward"]) >= {"mean", "low", "high", "error", "method", "prompts", "samples", "unscored"}


def test_a_file_that_is_no_samples_is_refused(tmp_path):
    good, bad = tmp_path / "good.parquet", tmp_path / "bad.parquet"
    snapshot.write_table(table([[1.0]]), good)
    snapshot.write_table(table([[1.0]]).drop_columns(["reward"]), bad)
    (tmp_path / "text.parquet").write_text("no")
    kind = Task().kind
    assert kinds.read(kind, good).num_rows == 1
    for path in (bad, tmp_path / "text.parquet"):
        with pytest.raises(RunError) as caught:
            kinds.read(kind, path)
        assert caught.value.hint and path.name in caught.value.what


def test_equal_tables_are_equal_files(tmp_path):
    for name in ("one", "two"):
        snapshot.write_table(table([[1.0, 0.0]]), tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


class Bounded:
    def __init__(self, bounds):
        self.bounds = bounds


def work(**task):
    class Small(Work):
        rows = property(lambda self: list(range(min(self.settled.held_out.rows, 100))))

    made = Settled(Named("t", Task(**task)), SimpleNamespace(), REWARD, HeldOut(rows=task.get("rows", 100)))
    inputs = SimpleNamespace(rewards={name: Bounded((0.0, 1.0)) for name in REWARD.terms})
    fields = {field.name: None for field in dataclasses.fields(Work)}
    return Small(**{**fields, "settled": made, "inputs": inputs, "seed": 0})


def test_a_difference_that_is_wanted_says_the_prompts_or_the_samples():
    small = sizing.sized(work(), 0.5).settled
    assert small.held_out.rows == small.named.task.rows < 20 and small.named.task.samples == 1
    more = sizing.sized(work(), 0.16).settled
    assert more.named.task.samples > 1 and more.held_out.rows <= 100
    with pytest.raises(RunError, match="has 100 prompts to report on") as caught:
        sizing.sized(work(), 0.01)
    least = float(caught.value.hint.split("eval.want=")[1].split(",")[0])
    assert sizing.sized(work(), least).settled.held_out.rows <= 100  # what it says to type is right


def test_no_two_scores_differ_by_more_than_their_range():
    with pytest.raises(RunError, match="no two can differ by 2"):
        sizing.sized(work(), 2)


def test_the_metrics_that_a_task_may_name_are_those_that_it_has():
    made = settled(samples=3, pass_at=[1, 2, 4])
    found = completions.scores(made, table([[1.0, 0.0, 0.0], [1.0, 1.0, 1.0]]))
    assert set(found) <= set(made.metrics) and "pass@4" not in made.metrics
    assert set(made.metrics) - set(found) == {"format"}  # which the stand-in lacks


def test_a_score_without_a_range_cannot_be_sized():
    made = work(right="correct")
    unknown = SimpleNamespace(rewards={name: Bounded(None) for name in REWARD.terms})
    only = dataclasses.replace(made.settled, reward=Reward(terms={"free": Term(file="a.py")}))
    only = dataclasses.replace(only, named=Named("t", Task()))
    with pytest.raises(RunError, match="without a known range"):
        sizing.sized(dataclasses.replace(made, settled=only, inputs=unknown), 0.1)


def test_after_it_the_noise_that_was_met_says_what_is_seen():
    claim = {"claimed": True, "error": 0.05, "low": 0.1 - 1.96 * 0.05, "high": 0.1 + 1.96 * 0.05}
    assert sizing.after([claim], (0.0, 1.0)) == pytest.approx(2.8 * 0.05, rel=0.01)  # Miller: 2.8 standard errors
    assert sizing.after([claim], (0.0, 0.1)) is None  # no two scores differ by so much
    for nothing in ({"claimed": False}, {"error": 0.0}, {"low": None}):
        assert sizing.after([{**claim, **nothing}], None) is None
