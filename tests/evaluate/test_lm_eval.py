"""Tasks of lm-evaluation-harness: what is asked of what, documents in order, and the messages."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys

import pyarrow as pa
import pytest

from rlexp.compose import tasks
from rlexp.compose.points import CommandLine
from rlexp.compose.task_run import settle
from rlexp.errors import RunError
from rlexp.evaluate import harness, kinds
from rlexp.evaluate.kinds import lm_eval
from rlexp.evaluate.subjects import Subject
from tests.conftest import ROOT

SUMS = ROOT / "eval/lm_eval"


def work(project, name, *settings):
    """The task NAME for the tiny model."""
    (point,) = CommandLine(project, []).points()
    _, asked = tasks.take([f"eval={name}", *settings])
    (named,), typed = tasks.read(asked, point.run)
    return kinds.work_of(settle(named, point.run, project), None, point.run, typed.seed)


@pytest.fixture
def sums(shared_project):
    return work(shared_project, "lm_eval:sums_choice", "eval.lm_eval:sums_choice.rows=12")


def test_the_documents_are_those_that_the_script_makes(tmp_path):
    copy = tmp_path / "eval/lm_eval"
    copy.mkdir(parents=True)
    (tmp_path / "data_prep").symlink_to(ROOT / "data_prep")
    (copy / "sums.py").write_bytes((SUMS / "sums.py").read_bytes())
    subprocess.run([sys.executable, copy / "sums.py"], check=True)
    assert (copy / "sums.jsonl").read_bytes() == (SUMS / "sums.jsonl").read_bytes()


def test_a_local_task_is_loaded_from_its_folder_and_locked_by_its_hashes(sums):
    assert sums.rows == list(range(12)) and list(sums.tasks) == ["sums_choice"]
    digest = sums.digest()
    assert digest["file"] == "eval/lm_eval/sums_choice.yaml" and digest["tasks"]["sums_choice"]["version"] == "1"
    assert digest == dataclasses.replace(sums).digest()
    assert str(ROOT) not in json.dumps(digest)


def test_other_documents_are_another_task(project):
    before = work(project, "lm_eval:sums_generate").digest()
    file = project / "eval/lm_eval/sums.jsonl"
    file.write_text(file.read_text().replace('"58"', '"57"', 1))
    after = work(project, "lm_eval:sums_generate").digest()
    assert before["md5"] == after["md5"]
    assert before["tasks"]["sums_generate"]["documents"] != after["tasks"]["sums_generate"]["documents"]


def test_a_misspelt_task_an_endpoint_and_a_missing_package_are_one_message(shared_project, sums, monkeypatch):
    with pytest.raises(RunError, match="no task of lm-evaluation-harness") as caught:
        assert work(shared_project, "lm_eval:sums_choise").rows
    assert "did you mean eval=lm_eval:sums_choice?" in caught.value.hint
    with pytest.raises(RunError, match="an endpoint does not say"):
        kinds.require(sums, [Subject("http://h/v1#m", sums.run, url="http://h/v1", model="m")])
    monkeypatch.setattr(harness, "find_spec", lambda name: None)
    with pytest.raises(RunError, match="is not installed") as caught:
        assert dataclasses.replace(sums).rows
    assert "[eval]" in caught.value.hint


@pytest.mark.parametrize(
    "text",
    [
        "task: broken\ndataset_path: json\ndataset_kwargs: {data_files: {test: none.jsonl}}\ntest_split: test\n",
        "task: a\n",
    ],
)
def test_a_task_that_cannot_be_loaded_is_one_message(project, text):
    (project / "eval/lm_eval/broken.yaml").write_text(text)
    with pytest.raises(RunError, match=r"cannot be loaded|says another task") as caught:
        assert work(project, "lm_eval:broken").rows
    assert caught.value.hint and "broken.yaml" in caught.value.where


def test_a_row_a_document_with_a_metric_a_filter():
    def sample(doc, name, value):
        return {
            **{"doc_id": doc, "arguments": [("ask", {})], "target": 1, "resps": [["said"]], "doc_hash": f"h{doc}"},
            **{"filter": name, "metrics": ["exact_match", "words"], "exact_match": value, "words": [1, 2]},
        }

    logged = [sample(1, "none", True), sample(0, "none", 0.0), sample(0, "strict", 1.0), sample(1, "strict", 0.0)]
    rows = lm_eval._documents("t", logged)
    assert [row["document"] for row in rows] == ["h0", "h1"]
    table = pa.Table.from_pylist(rows)
    assert lm_eval.scores(None, table) == {"exact_match": [[0.0], [1.0]], "exact_match/strict": [[1.0], [0.0]]}


def test_what_somebody_else_stored_is_read_by_its_type():
    table = pa.table({"score.acc": [1.0, None], "score.odd": ["a", "b"]})
    assert lm_eval.scores(None, table) == {"acc": [[1.0], [None]]}
