"""Rows of a data set of the hub, from a cache that the test makes; the hub is not asked."""

from __future__ import annotations

import io
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rlexp.errors import RunError
from rlexp.inputs.digest import file_md5
from rlexp.inputs.script import load_script
from tests.conftest import ROOT
from tests.hub_cache import COMMIT, add

script = load_script(ROOT / "data_prep/hub.py")
COLUMNS = {"prompt": "question"}
README = b"""---
configs:
- config_name: easy
  data_files:
  - split: train
    path: easy/train-*
  - split: test
    path: easy/test.parquet
- config_name: hard
  data_files: hard/*.jsonl
---
# Sums
"""


def sums(first, end):
    return [{"question": f"What is {n} + {n}?", "answer": str(2 * n)} for n in range(first, end)]


def parquet(rows):
    stream = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), stream)
    return stream.getvalue()


def jsonl(rows):
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """Three data sets: with configurations, without a README, and made by code."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    easy = {"easy/train-0.parquet": parquet(sums(0, 60)), "easy/train-1.parquet": parquet(sums(60, 100))}
    easy |= {"easy/test.parquet": parquet(sums(95, 120)), "hard/a.jsonl": jsonl(sums(0, 50))}
    add(tmp_path, "dataset", "someone/sums", {"README.md": README, **easy})
    plain = {
        "data/train-00000-of-00001.parquet": parquet(sums(0, 40)),
        "data/validation-00000-of-00001.parquet": parquet(sums(0, 1)),
    }
    add(tmp_path, "dataset", "someone/plain", plain)
    add(tmp_path, "dataset", "someone/lines", {"train.csv": b"question,answer\n1 + 1?,2\n1 + 2?,3\n"})
    add(tmp_path, "dataset", "someone/code", {"code.py": b"import os", "README.md": b"# no metadata"})
    return tmp_path


def rows(hub_id="someone/sums", **params):
    return script.rows(hub_id, COMMIT, **{"columns": COLUMNS, **params})


def numbers(split):
    return [int(row["answer"]) // 2 for row in split]


def test_its_own_test_split_is_held_out_and_its_prompts_are_not_trained_on(cache):
    script.files_read.clear()
    made = rows(configuration="easy")
    assert numbers(made["train"]) == list(range(95)) and numbers(made["test"]) == list(range(95, 120))
    assert made["train"][1] == {"prompt": [{"role": "user", "content": "What is 1 + 1?"}], "answer": "2"}
    folder = cache / "datasets--someone--sums/snapshots" / COMMIT
    read = [f"easy/{name}.parquet" for name in ("train-0", "train-1", "test")]
    assert script.files_read == {name: file_md5(folder / name) for name in read}


def test_a_share_is_held_out_where_it_has_no_test_split_or_one_is_asked_for():
    made = rows("someone/plain")
    assert (len(made["train"]), len(made["test"])) == (36, 4)
    assert sorted(numbers(made["train"] + made["test"])) == list(range(40))
    assert len(rows(configuration="easy", test=30)["test"]) == 30
    assert len(rows(configuration="hard", test=0.2, seed=1)["test"]) == 10
    assert rows("someone/lines", test=1)["test"][0].keys() == {"prompt", "answer"}


def test_a_range_of_rows_is_counted_from_0_without_its_end():
    made = rows(configuration="easy", rows=[10, 20])
    assert numbers(made["train"]) == list(range(10, 20)) and len(made["test"]) == 25
    assert numbers(rows(configuration="easy", split="test", rows=[0, 20], test=4)["train"])[0] >= 95


@pytest.mark.parametrize(
    ("hub_id", "params", "message", "hint"),
    [
        ("someone/sums", {}, "several configurations: it has easy, hard", "type dataset=hub:someone/sums:easy"),
        ("someone/sums", {"configuration": "hrad"}, "no configuration 'hrad': it has easy, hard", "someone/sums:hard"),
        (
            "someone/sums",
            {"configuration": "easy", "split": "tset"},
            "no split 'tset': it has train, test",
            "split=test",
        ),
        ("someone/sums", {"configuration": "easy", "rows": [0, 1000]}, "the split has 100 rows", "rows=[0,100]"),
        ("someone/sums", {"configuration": "easy", "rows": [5, 5]}, "is no range", "rows=[0,100]"),
        ("someone/sums", {"configuration": "easy", "rows": [1]}, "is no range", "rows=[0,100]"),
        (
            "someone/sums",
            {"configuration": "easy", "columns": {"prompt": "qestion"}},
            "which the data set has not",
            "que",
        ),
        (
            "someone/sums",
            {"configuration": "easy", "columns": None},
            "needs a column 'prompt'",
            "dataset.params.columns",
        ),
        ("someone/sums", {"configuration": "easy", "type": "preferenc"}, "no dataset type", "preference"),
        ("someone/sums", {"configuration": "easy", "test": 1.5}, "neither a share nor a number", "0.1"),
        ("someone/plain", {"split": "validation"}, "leaves a split without rows", "number of prompts"),
        ("someone/code", {}, r"code of its own \(code.py\), which is not run", "dataset=local"),
        ("someone/none", {}, "is not in its cache", "type"),
    ],
)
def test_each_mistake_is_one_message_with_what_there_is(hub_id, params, message, hint):
    with pytest.raises(RunError, match=message) as caught:
        rows(hub_id, **params)
    assert hint in caught.value.hint


@pytest.mark.parametrize("path", ["../../../secret.csv", "{outside}/secret.csv", "https://example.org/secret.csv"])
def test_a_readme_names_no_file_outside_of_its_data_set(cache, tmp_path, path):
    (tmp_path / "secret.csv").write_text("question,answer\n1?,2\n2?,3\n")
    readme = f"---\nconfigs:\n- {{config_name: default, data_files: '{path.format(outside=tmp_path)}'}}\n---\n"
    add(cache, "dataset", "someone/odd", {"README.md": readme.encode()})
    with pytest.raises(RunError, match="no files that are read"):
        rows("someone/odd")


def test_columns_of_the_test_split_that_are_others_say_to_hold_out_a_share(cache):
    files = {"train.jsonl": jsonl(sums(0, 20)), "test.jsonl": jsonl([{"question": "1?"}])}
    add(cache, "dataset", "someone/odd", files)
    with pytest.raises(RunError, match="other columns") as caught:
        rows("someone/odd")
    assert "dataset.params.test=0.1" in caught.value.hint
    assert len(rows("someone/odd", test=2)["test"]) == 2


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b'{"prompt": "a", "answer": 1}\n{"prompt": "b", "prompt": "c"}\n', "names prompt twice"),
        (b'{"prompt": "a\\ud83d"}\n', "half of a surrogate pair"),
    ],
)
def test_a_faulty_line_is_refused_as_in_a_file_of_ones_own(tmp_path, line, said):
    add(tmp_path, "dataset", "someone/faulty", {"train.jsonl": line})
    with pytest.raises(RunError, match=said):
        script.rows("someone/faulty", COMMIT)


def test_large_integers_and_shapes_are_read_as_of_a_file_of_ones_own(tmp_path):
    rows = [{"messages": [{"role": "user", "content": str(n)}], "answer": 10**20 + n} for n in range(4)]
    add(tmp_path, "dataset", "someone/large", {"train.jsonl": jsonl(rows)})
    script.recognised.clear()
    made = script.rows("someone/large", COMMIT, test=1)
    assert {row["answer"] for split in made.values() for row in split} == {str(10**20 + n) for n in range(4)}
    assert "answer: integers beyond 64 bits as text" in script.recognised
    assert any(note.startswith("messages: split") for note in script.recognised)
