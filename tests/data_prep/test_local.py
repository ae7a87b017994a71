"""Your own rows: three kinds of file, four types of data set, and mistakes named by their line."""

import csv
import json
from datetime import date
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rlexp.compose.schema import DatasetType
from rlexp.errors import RunError
from rlexp.inputs.contract import faults
from rlexp.inputs.script import load_script

rows = load_script(Path(__file__).parents[2] / "data_prep/local.py").rows

SUMS = [{"prompt": f"What is {n} + {n}?\nThink, then answer.", "answer": str(2 * n)} for n in range(20)]
TURNS = {"Hi": "user", "Yes": "assistant", "No": "assistant", "4": "tool"}
ASK, YES, NO, TOOL = ({"role": role, "content": text} for text, role in TURNS.items())


def write(path, content):
    """The file, from its text or from rows in the form that its ending names."""
    if isinstance(content, str):
        path.write_text(content)
    elif path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in content))
    elif path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(content), path)
    else:
        with path.open("w", newline="") as stream:
            writer = csv.DictWriter(stream, content[0])
            writer.writeheader()
            writer.writerows(content)
    return str(path)


def asked(split):
    return [row["prompt"][-1]["content"] for row in split]


def test_the_same_rows_come_out_of_every_kind_of_file(tmp_path):
    jsonl, comma, parquet = (rows(write(tmp_path / f"sums.{end}", SUMS)) for end in ("jsonl", "csv", "parquet"))
    assert jsonl == comma == parquet
    everything = sorted(jsonl["train"] + jsonl["test"], key=lambda row: int(row["answer"]))
    assert everything == [{**row, "prompt": [{"role": "user", "content": row["prompt"]}]} for row in SUMS]


def test_decimals_and_dates_of_parquet_become_plain_text(tmp_path):
    file = write(tmp_path / "own.parquet", [{"prompt": p, "x": Decimal("1.5"), "day": date(2020, 1, 1)} for p in "ab"])
    assert {(row["x"], row["day"]) for split in rows(file, test=1).values() for row in split} == {("1.5", "2020-01-01")}


@pytest.mark.parametrize(
    ("kind", "row", "expected"),
    [
        ("prompt_only", {"prompt": [{**ASK, "name": "Ada"}]}, {"prompt": [{**ASK, "name": "Ada"}]}),  # nothing is lost
        ("prompt_only", {"prompt": "Hi", "tests": ["a", 1]}, {"tests": '["a", 1]'}),  # metadata as JSON text
        ("prompt_completion", {"prompt": "Hi", "completion": "Yes"}, {"completion": [YES]}),
        ("prompt_completion", {"prompt": [ASK], "completion": [ASK, YES]}, {"completion": [YES]}),  # the prompt again
        ("preference", {"prompt": "Hi", "chosen": "Yes", "rejected": "No"}, {"chosen": [YES], "rejected": [NO]}),
        ("preference", {"chosen": [ASK, YES], "rejected": [ASK, NO]}, {"chosen": [YES], "rejected": [NO]}),  # shared
        ("unpaired_preference", {"prompt": "Hi", "completion": "Yes", "label": "False"}, {"label": False}),
        ("unpaired_preference", {"prompt": "Hi", "completion": "Yes", "label": 0.0}, {"label": False}),
        ("unpaired_preference", {"prompt": "Hi", "completion": "Yes", "label": 1.0}, {"label": True}),
    ],
)
def test_every_type_comes_out_as_its_contract_wants(tmp_path, kind, row, expected):
    other = json.loads(json.dumps(row).replace('"Hi"', '"Hello"'))
    train, test = (write(tmp_path / f"{name}.jsonl", [one]) for name, one in (("own", row), ("other", other)))
    made = rows(train, type=kind, test_file=test)
    assert made["train"][0] == made["train"][0] | {"prompt": [ASK]} | expected
    assert not [fault for split in made.values() for one in split for fault in faults(one, DatasetType[kind])]


def test_columns_are_renamed_and_a_system_message_goes_first(tmp_path):
    file = write(tmp_path / "own.csv", [{"question": "a", "gold": "1"}, {"question": "b", "gold": "2"}])
    made = rows(file, columns={"prompt": "question", "answer": "gold"}, system="Be brief.", test=1)
    assert made["train"][0].keys() == made["test"][0].keys() == {"prompt", "answer"}
    assert [turn["role"] for turn in made["test"][0]["prompt"]] == ["system", "user"]


@pytest.mark.parametrize(("test", "held_out"), [(0.35, 8), (1, 2), (7, 8)])  # prompts come in pairs: rounded up
def test_rows_with_the_same_prompt_are_held_out_together(tmp_path, test, held_out):
    file = write(tmp_path / "own.jsonl", [{**row, "answer": answer} for row in SUMS[:10] for answer in "ab"])
    made = rows(file, test=test, seed=1)
    assert (len(made["train"]), len(made["test"])) == (20 - held_out, held_out)
    assert not set(asked(made["train"])) & set(asked(made["test"]))
    assert made == rows(file, test=test, seed=1) != rows(file, test=test, seed=2)


def test_a_file_of_held_out_rows_shares_no_prompt_and_every_column_with_the_other(tmp_path):
    file = write(tmp_path / "own.jsonl", SUMS[:4])
    made = rows(file, test_file=write(tmp_path / "test.csv", SUMS[4:6]))
    assert asked(made["test"]) == [row["prompt"] for row in SUMS[4:6]]
    with pytest.raises(RunError, match="1 training rows have a prompt of") as caught:
        rows(file, test_file=write(tmp_path / "shared.jsonl", SUMS[3:6]))
    assert caught.value.where == f"{file} line 4"
    with pytest.raises(RunError, match="only one of the two files has answer"):
        rows(file, test_file=write(tmp_path / "bare.jsonl", [{"prompt": "new"}]))


@pytest.mark.parametrize(
    ("file", "content", "kind", "what", "where"),
    [
        ("a.jsonl", '{"prompt": "a"}\n\n{"prompt": b}\n', "prompt_only", "not JSON", "line 3"),  # a blank line counts
        ("a.jsonl", '{"prompt": "a"}\n["b"]\n', "prompt_only", "not a JSON object", "line 2"),
        ("a.csv", 'prompt,x\n"a\nb",1\nc,d,2\n', "prompt_only", "3 cells, the header 2", "line 4"),  # 2-3 are one row
        ("a.csv", 'prompt,x\na,1\n"b,2\nc,3\n', "prompt_only", "malformed", "line 3"),  # where the quote opens
        ("a.csv", "prompt,prompt\na,b\n", "prompt_only", "names prompt twice", "line 1"),
        ("a.parquet", "prompt", "prompt_only", "not readable as parquet", "a.parquet"),
        ("a.csv", "\nprompt,x\na,1\n", "prompt_only", "header is missing", "line 1"),
        ("a.jsonl", '{"prompt": "a"}\n{"prompt": " "}\n{}', "prompt_only", "2 .* empty prompt", "line 2, line 3"),
        ("a.csv", "prompt,completion\na,\n", "prompt_completion", "1 .* empty completion", "line 2"),
        ("a.jsonl", '{"prompt": 5}\n', "prompt_only", "neither a text nor a dialogue", "line 1: prompt"),
        ("a.jsonl", [{"prompt": [ASK, YES]}], "prompt_only", "ends with .* assistant", "line 1: prompt"),
        ("a.parquet", [{"prompt": [ASK, TOOL]}], "prompt_only", "ends with .* tool", "row 1: prompt"),
        ("a.jsonl", [{"prompt": "a", "completion": [YES, TOOL]}], "prompt_completion", "not an", "line 1: completion"),
        ("a.csv", "prompt,chosen,rejected\na,b,c\na,b,b\n", "preference", "rejected are the same", "a.csv: line 3"),
        ("a.csv", "prompt,completion,label\na,b,yes\n", "unpaired_preference", "'yes' is no label", "line 2: label"),
        (
            "a.jsonl",
            '{"prompt": "a", "n": 1}\n{"prompt": "b", "n": "x"}',
            "prompt_only",
            "'n' mixes kinds: number .* line 1, text .* line 2",
            "line 2: n",
        ),
        ("a.csv", "prompt\na\n", "prompt_only", "leaves a split without rows", "test"),
    ],
)
def test_a_malformed_row_is_named(tmp_path, file, content, kind, what, where):
    with pytest.raises(RunError, match=what) as caught:
        rows(write(tmp_path / file, content), type=kind, test=1)
    assert caught.value.where.endswith(where)


@pytest.mark.parametrize(
    ("file", "params", "what", "hint"),
    [
        ("sum.csv", {}, "there is no file", "sums.csv?"),
        ("sums.txt", {}, "sums.txt is none of", ".jsonl"),
        ("sums.csv", {"type": "preferences"}, "no dataset type 'preferences'", "nearest: preference"),
        ("sums.csv", {"test": 1.0, "columns": {"prompt": "promt"}}, "neither a share nor a number", "between 0 and 1"),
        # These are typed as they stand: `columns` is null at first, so it has no keys to set one by one.
        ("sums.csv", {"columns": {"x": "totl"}}, "takes 'x' from 'totl'", "'dataset.params.columns={x: total}'"),
        ("sums.csv", {"columns": {"x": "total"}}, "needs .* 'prompt'", "columns={x: total, prompt: promt}'"),
        ("pair.jsonl", {"type": "preference"}, "no column 'prompt'", "'dataset.params.columns={prompt: ITS_NAME"),
    ],
)
def test_a_wrong_parameter_is_answered_with_what_to_type(tmp_path, file, params, what, hint):
    write(tmp_path / "sums.csv", [{"promt": "a", "total": "1"}])
    write(tmp_path / "pair.jsonl", [{"chosen": [YES], "rejected": [NO]}])
    with pytest.raises(RunError, match=what) as caught:
        rows(str(tmp_path / file), **params)
    assert hint in caught.value.hint
