"""A sweep read from made records: points, settings, the metric, tables, and what is answered where there is none."""

import pandas
import pytest

from rlexp.__main__ import VERBS
from rlexp.cli import sweep as verb
from rlexp.cli.schemas import SCHEMAS
from rlexp.errors import RunError
from rlexp.evaluate.sweeps import reading, table
from rlexp.evaluate.sweeps.points import value
from rlexp.record import evaluation, finished
from rlexp.record.sweeps import Impossible
from tests import hostile
from tests.evaluate.swept import grid, held_out, made


def test_points_settings_effects_and_the_best_of_a_sweep(tmp_path):
    left_out = [Impossible(["method.beta=-1"], "below 0")]
    found = reading.read(made(tmp_path, grid(), left_out), tmp_path)
    assert found.keys == ["method.beta"] and found.shown == "multirun/s" and found.impossible == left_out
    first = found.rows[0]
    assert (first.shown, first.values, first.seed, first.steps) == ("multirun/s/p0", {"method.beta": 0}, 0, 4)
    assert first.metric.change == pytest.approx(0.5) and [row.warm for row in found.rows[:2]] == [False, True]
    assert [(one.values["method.beta"], one.folded.seeds) for one in found.settings] == [(0.04, 3), (0, 3)]
    assert found.effects[0].claimed and found.notes == []
    assert found.best.row.shown == "multirun/s/p5" and found.best.found.told and found.best.more_seeds == 0
    assert found.best.corrected[0] == found.best.setting.folded.mean, "nothing else could have been chosen"


def test_what_cannot_be_told_needs_one_seed_more_at_least(tmp_path):
    found = reading.read(made(tmp_path, grid(better=0.01)), tmp_path)
    assert not found.effects[0].claimed and not found.best.found.told and found.best.more_seeds >= 1
    assert found.best.corrected[0] < found.best.setting.folded.mean


def test_a_loss_is_better_where_it_is_lower(tmp_path):
    points = {("a=1", 0): held_out(loss=(3, 2)), ("a=2", 0): held_out(loss=(3, 1))}
    found = reading.read(made(tmp_path, points), tmp_path)
    assert found.metric.name == "loss" and not found.metric.higher and found.best.row.values == {"a": 2}
    assert found.best.found.optimism is None and found.best.corrected == (None, None, None)
    assert "one seed of each setting" in found.notes[0]


def test_failed_points_are_said_and_do_not_count(tmp_path, capsys):
    failed = {"status": "failed", "reason": "the loss is NaN", **held_out(reward=(0.5, 99.0))}
    odd = held_out(reward=(0.5, float("nan")))
    points = {**grid(), ("method.beta=1", 0): failed, ("method.beta=2", 0): None, ("method.beta=3", 0): odd}
    answer = verb.command(["multirun/s"], made(tmp_path, points).parents[1])
    answer.show()
    said = capsys.readouterr().out
    assert "p6 failed: the loss is NaN" in said and "not begun" in said
    assert "3 of 9 points did not finish or were not measured" in said and "best: method.beta=0.04" in said
    assert [one.get("reason") for one in answer.content()["points"]][5:8] == [None, "the loss is NaN", None]


def test_nothing_measured_is_an_answer_too(tmp_path, capsys):
    answer = verb.command(["multirun/s"], made(tmp_path, {("a=1", 0): None}).parents[1])
    answer.show()
    assert answer.content()["best"] is None and "there is nothing to compare" in capsys.readouterr().out


def test_keys_that_go_together_are_said(tmp_path):
    points = {(f"a={n} b={n * 2}", seed): n + seed / 10 for n in (1, 2) for seed in (0, 1)}
    found = reading.read(made(tmp_path, points), tmp_path)
    assert [one.aliased for one in found.effects] == [["b"], ["a"]]


def test_an_evaluation_is_a_metric_by_its_task(tmp_path):
    folder = made(tmp_path, {("a=1", 0): 1.0, ("a=2", 0): 2.0})
    means = {"base": 0.1, "multirun/s/p0": 0.9, "multirun/s/p1": 0.2}
    rows = {name: {"accuracy": {**hostile.INTERVAL, "mean": mean}} for name, mean in means.items()}
    content = {**hostile.FOUND_OUT, "results": {"sums": rows}}
    evaluation.write(folder / "p0" / evaluation.FOLDER, content)
    found = reading.read(folder, tmp_path, "sums.accuracy")
    assert found.best.row.values == {"a": 1} and found.rows[0].metric.before == 0.1
    assert found.metric.source == "evaluation" and found.metric.others == ("reward",)
    assert reading.read(folder, tmp_path).metric.name == "reward"
    with pytest.raises(RunError, match="no point has a metric") as refused:
        reading.read(folder, tmp_path, "sums.acc")
    assert "did you mean --metric sums.accuracy?" in refused.value.hint


def test_the_table_has_a_row_a_point_and_a_column_a_key(tmp_path):
    folder = made(tmp_path, {**grid(), ("method.beta=none", 0): None, ("status=1", 0): None})
    found = reading.read(folder, tmp_path)
    table.write(found, tmp_path / "a.csv", "--csv a.csv", parquet=False)
    table.write(found, tmp_path / "a.parquet", "--parquet a.parquet", parquet=True)
    for read in (pandas.read_csv(tmp_path / "a.csv"), pandas.read_parquet(tmp_path / "a.parquet")):
        assert len(read) == 8 and {"point", "method.beta", "key.status", "seed", "after", "warm"} <= set(read.columns)
        assert read["after"].tolist()[:2] == pytest.approx([1.0, 2.02]) and read["seed"].tolist()[:3] == [0, 1, 2]
        assert read["method.beta"].tolist()[:4:3] == ["0", "0.04"]


@pytest.mark.parametrize(
    ("name", "what"), [("there.csv", "is there already"), ("no/a.csv", "there is no folder"), (".", "is there already")]
)
def test_a_file_that_cannot_be_written_is_one_message(tmp_path, name, what):
    made(tmp_path, grid())
    (tmp_path / "there.csv").write_text("kept")
    with pytest.raises(RunError, match=what):
        verb.command(["multirun/s", "--csv", name], tmp_path)
    assert (tmp_path / "there.csv").read_text() == "kept"


def test_a_sweep_is_no_run_and_its_points_are_named(tmp_path):
    made(tmp_path, grid())
    for typed in ("multirun/s", "multirun/s@best"):
        with pytest.raises(RunError, match="multirun/s is the folder of a sweep") as refused:
            finished.open(typed, tmp_path, tmp_path)
        assert "multirun/s/p0, multirun/s/p1, multirun/s/p2 or one of 3 more" in refused.value.hint
        assert "pin multirun/s@best" in refused.value.hint
    with pytest.raises(RunError, match="holds no sweep") as refused:
        reading.find("multirun/x", tmp_path, tmp_path)
    assert "multirun/s" in refused.value.hint


def test_the_best_run_is_that_of_the_best_setting_not_the_best_of_all(tmp_path):
    points = {("a=1", 0): 1.0, ("a=1", 1): 3.0, ("a=2", 0): 2.4, ("a=2", 1): 2.6}
    _, best = reading.best_run("multirun/s@best", tmp_path, made(tmp_path, points).parents[1])
    assert best.row.values == {"a": 2} and best.row.seed == 1
    with pytest.raises(RunError, match="none is the best"):
        reading.best_run("multirun/s@best", tmp_path / "b", made(tmp_path / "b", {("a=1", 0): None}).parents[1])


@pytest.mark.parametrize(
    ("text", "number"),
    [("4", 4), ("4e-2", 0.04), ("'a b'", "a b"), ("nan", "nan"), ("true", "true"), ("", ""), ("9" * 400, "9" * 400)],
)
def test_a_value_is_a_number_where_it_can_be_reckoned_with(text, number):
    assert value(text) == number


def test_the_verb_has_a_schema():
    assert "sweep" in VERBS and "sweep" in SCHEMAS
