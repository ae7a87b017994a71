"""What a run left, as tables; a run folder may come from a stranger."""

from __future__ import annotations

import dataclasses
import json
import shutil

import pandas
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rlexp import api
from rlexp.record import finished
from tests.conftest import ROOT


@pytest.fixture(scope="module")
def pinned():
    return api.open("pinned", root=ROOT)


@pytest.fixture
def folder(tmp_path):
    """A run folder to be changed."""
    shutil.copytree(ROOT / "pinned", tmp_path / "run")
    return tmp_path / "run"


def test_a_run_is_opened_as_the_command_line_takes_it(pinned, monkeypatch):
    monkeypatch.chdir(ROOT / "pinned")
    for typed in ("../pinned", "pinned", ROOT / "pinned", "run.lock.yaml", str(ROOT / "pinned/run.lock.yaml")):
        assert api.open(typed).lock == pinned.lock
    assert isinstance(pinned, finished.FinishedRun) and pinned.run.method.name == "grpo"
    with pytest.raises(api.RunError, match="there is no run at outputs/none"):
        api.open("outputs/none", root=ROOT)
    with pytest.raises(api.RunError, match="a folder is asked for, and this is a Run"):
        api.open(pinned.run, root=ROOT)


def test_metrics_are_a_table_with_what_was_timed_apart(pinned):
    table = pinned.metrics_table()
    steps = table[table["reward"].notna()]
    assert steps["step"].tolist() == list(range(1, 61)) and steps["reward"].iloc[-1] > steps["reward"].iloc[0]
    assert "timing" not in table and "timing/step_time" in table


def test_held_out_metrics_are_a_table(pinned):
    table = pinned.held_out_table()
    assert list(table.columns) == ["before", "after", "before_error", "after_error"]
    assert table.loc["reward", "after"] == pinned.held_out["reward"]["after"] > table.loc["reward", "before"]
    assert len(dataclasses.replace(pinned, manifest={}).held_out_table()) == 0


def test_completions_are_a_table_of_all_steps_or_some(folder):
    (folder / "completions").mkdir()
    for step in (1, 2, 5):
        rows = {"prompt": ["p"] * 2, "completion": ["a", "b"], "group": [0, 0], "reward": [0.0, None]}
        pq.write_table(pa.table(rows), folder / f"completions/step-{step:06d}.parquet")
    run = api.open(folder, root=ROOT)
    table = run.completions_table()
    assert table["step"].tolist() == [1, 1, 2, 2, 5, 5] and isinstance(table, pandas.DataFrame)
    assert run.completions_table(5)["step"].tolist() == run.completions_table([5])["step"].tolist() == [5, 5]
    assert run.completions_table("last")["step"].tolist() == [5, 5] and len(run.completions_table("1..2")) == 4
    with pytest.raises(api.RunError) as caught:
        run.completions_table([1, 4])
    assert "no completions of step 4" in caught.value.what and caught.value.hint == "type step=5"
    shutil.rmtree(folder / "completions")
    with pytest.raises(api.RunError, match="kept no completions"):
        run.completions_table()


def test_it_is_shown_in_one_line_and_in_a_notebook_with_curve_and_table(pinned):
    assert repr(pinned).startswith("FinishedRun('pinned', finished, correct 0.")
    shown = pinned._repr_html_()
    assert "0ca3ed73c5b72c23, finished" in shown and "<polyline" in shown and "<table" in shown


def test_what_a_stranger_wrote_steers_no_notebook(folder):
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["held_out"] = {"<script>alert(1)</script>\x1b[31m": {"before": 0.0, "after": 1.0}}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    lines = [{"step": "1", "reward": 2.0}, {"step": 1, "reward": "<b>"}, {"reward": 1.0}, {"step": True, "timing": [1]}]
    lines += [{"step": 1, "loss": 1e400}, {"step": 2, "loss": 0.5}, {"step": 3, "loss": 0.25, "timing": {"a": "<i>"}}]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    run = api.open(folder, root=ROOT)
    shown = run._repr_html_()
    assert "<script>" not in shown and "<b>" not in shown and "loss by step" in shown
    assert "\x1b" not in repr(run) and len(run.metrics_table()) == len(lines)
    manifest["held_out"]["reward"] = {"before": 0.0, "after": 1.0, "standard_error": "x"}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(api.RunError, match="which is not the errors before and after"):
        api.open(folder, root=ROOT)
    (folder / "metrics.jsonl").write_text("{}\nno\n")
    with pytest.raises(api.RunError, match=r"a line of metrics\.jsonl is no entry"):
        run.metrics_table()
    assert "is no entry" in run._repr_html_()


def test_a_run_without_weights_says_so(pinned):
    with pytest.raises(api.RunError, match="the run left no weights"):
        pinned.load()


def test_a_lock_alone_is_a_run(tmp_path):
    shutil.copyfile(ROOT / "pinned/run.lock.yaml", tmp_path / "run.lock.yaml")
    run = api.open(tmp_path, root=ROOT)
    assert run.status == "locked" and run.held_out == {} and len(run.metrics_table()) == 0
    assert "locked" in repr(run) and "<svg" not in run._repr_html_()
