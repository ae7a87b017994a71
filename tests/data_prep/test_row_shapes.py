"""The shape of rows of one's own is recognised, and said; what cannot be read is refused by its line and key."""

import gzip
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rlexp.compose.schema import DatasetType
from rlexp.errors import RunError
from rlexp.inputs.contract import faults
from rlexp.inputs.script import load_script

local = load_script(Path(__file__).parents[2] / "data_prep/local.py")
USER, ANSWER = {"role": "user", "content": "18 + 46?"}, {"role": "assistant", "content": "64"}
SYSTEM = {"role": "system", "content": "Add."}
HUMAN, GPT = {"from": "human", "value": "18 + 46?"}, {"from": "gpt", "value": "64"}
HH = "\n\nHuman: 18 + 46?\n\nAssistant: "
CALL = {"type": "function", "function": {"name": "add", "arguments": {"a": 18, "b": 46}}}
CALLING = {"role": "assistant", "content": "", "tool_calls": [CALL]}
RESULT = {"role": "tool", "name": "add", "content": "64"}
ADD = {"type": "function", "function": {"name": "add", "parameters": {"type": "object", "properties": {}}}}
PARTS = [{"type": "text", "text": "18 + 46"}, {"type": "text", "text": "?"}]
TRUTH = "line 1: reward_model.ground_truth"
VERL = {"data_source": "sums", "prompt": [USER], "reward_model": {"style": "rule", "ground_truth": "64"}}


def made(path, *rows, kind="prompt_completion", **params):
    """The first of the rows to train on; two rows are added whose prompts differ, since one is held out."""
    local.recognised.clear()
    text = "".join(json.dumps(row) + "\n" for row in rows)
    path.write_text(text + text.replace("18 + 46", "14 + 50") + text.replace("18 + 46", "1 + 63"))
    found = local.rows(str(path), type=kind, test=1, **params)
    return next(row for split in found.values() for row in split if "18 + 46?" in str(row["prompt"]))


SHAPES = [
    ({"messages": [SYSTEM, USER, ANSWER]}, "prompt_completion", "messages: split", [SYSTEM, USER]),
    ({"conversations": [HUMAN, GPT]}, "prompt_completion", "ShareGPT messages", [USER]),
    ({"system": "Add.", "conversations": [HUMAN, GPT]}, "prompt_completion", "ShareGPT", [SYSTEM, USER]),
    ({"prompt": "18 + 46?", "messages": [USER, ANSWER]}, "prompt_completion", "in place of the column prompt", [USER]),
    ({"messages": json.dumps([USER, ANSWER])}, "prompt_completion", "a dialogue as JSON text", [USER]),
    ({"instruction": "18", "input": "46?", "output": "64"}, "prompt_completion", "Alpaca", None),
    ({"instruction": "18 + 46?", "input": "", "output": "64"}, "prompt_completion", "Alpaca", [USER]),
    ({"instruction": "18 + 46?", "output": "64", "system": "Add."}, "prompt_completion", "system", [SYSTEM, USER]),
    ({"instruction": "18 + 46?", "output": "64", "kto_tag": True}, "unpaired_preference", "label from", [USER]),
    ({"prompt": [{"role": "human", "content": "18 + 46?"}], "completion": "64"}, "prompt_completion", "human", [USER]),
    ({"prompt": json.dumps([USER]), "completion": "64"}, "prompt_completion", "JSON text", [USER]),
    ({"prompt": [{**USER, "content": PARTS}], "completion": "64"}, "prompt_completion", "text parts", [USER]),
    ({"chosen": HH + "64", "rejected": HH + "65"}, "preference", "transcript", [USER]),
    ({"prompt": HH, "chosen": "64", "rejected": "65"}, "preference", "prompt: a transcript", [USER]),
    ({"conversations": [HUMAN], "chosen": GPT, "rejected": {**GPT, "value": "65"}}, "preference", "ShareGPT", [USER]),
    (VERL, "prompt_only", "verl: answer from reward_model.ground_truth", [USER]),
    ({"messages": [USER, ANSWER]}, "prompt_only", "messages: split", [USER]),
    ({"system": "Add.", "messages": [SYSTEM, USER]}, "prompt_only", "messages: split", [SYSTEM, USER]),
    ({"completion": "x", "messages": [USER, ANSWER]}, "prompt_completion", "of the column completion", [USER]),
    ({"completion": "x", "messages": [USER, ANSWER]}, "prompt_only", "left out for the column completion", [USER]),
]


@pytest.mark.parametrize(("row", "kind", "said", "prompt"), SHAPES)
def test_a_shape_is_recognised_and_said(tmp_path, row, kind, said, prompt):
    if prompt is None:  # instruction and input, joined
        local.recognised.clear()
        rows = [{**row, "instruction": str(n)} for n in range(3)]
        (tmp_path / "a.jsonl").write_text("".join(json.dumps(one) + "\n" for one in rows))
        found = local.rows(str(tmp_path / "a.jsonl"), type=kind, test=1)["train"]
        assert all(one["prompt"][0]["content"].endswith("\n46?") for one in found)
        assert not {"input", "instruction", "output"} & found[0].keys()
    else:
        one = made(tmp_path / "a.jsonl", row, kind=kind)
        assert one["prompt"] == prompt
        assert not list(faults(one, DatasetType[kind]))
        answers = [one[name] for name in ("completion", "chosen") if isinstance(one.get(name), list)]
        assert all(answer == [ANSWER] for answer in answers)
    assert any(said in note for note in local.recognised), local.recognised


def test_an_answer_that_is_not_trained_stays_at_hand_as_text(tmp_path):
    assert made(tmp_path / "a.jsonl", {"messages": [USER, ANSWER]}, kind="prompt_only")["completion"] == "64"


def test_a_history_of_alpaca_comes_first(tmp_path):
    row = {"instruction": "18 + 46?", "history": [["Hi", "Hello"]], "output": "64"}
    prompt = made(tmp_path / "a.jsonl", row)["prompt"]
    assert [turn["content"] for turn in prompt] == ["Hi", "Hello", "18 + 46?"]


def test_a_dotted_path_names_a_value_in_an_object_or_its_json_text(tmp_path):
    for inner in ({"truth": "64"}, '{"truth": "64"}'):
        row = {"prompt": "18 + 46?", "meta": inner}
        assert made(tmp_path / "a.jsonl", row, kind="prompt_only", columns={"answer": "meta.truth"})["answer"] == "64"


def test_what_a_message_holds_is_kept(tmp_path):
    thought = {**ANSWER, "reasoning_content": "18 and 46"}
    row = {"messages": [USER, CALLING, RESULT, thought], "tools": [ADD]}
    one = made(tmp_path / "a.jsonl", row)
    assert one["completion"] == [{**CALLING, "tool_calls": json.dumps([CALL])}, RESULT, thought]
    assert json.loads(one["tools"]) == [ADD]


def test_parquet_gives_no_tool_call_the_arguments_of_another(tmp_path):
    other = {"role": "assistant", "content": None, "tool_calls": [{"function": {"name": "sub", "arguments": {"x": 1}}}]}
    rows = [{"messages": [{**USER, "content": str(n)}, CALLING if n % 2 else other]} for n in range(4)]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "a.parquet")
    found = local.rows(str(tmp_path / "a.parquet"), type="prompt_completion", test=1)
    calls = [json.loads(row["completion"][0]["tool_calls"]) for split in found.values() for row in split]
    assert (
        sorted(str(call[0]["function"]["arguments"]) for call in calls) == ["{'a': 18, 'b': 46}"] * 2 + ["{'x': 1}"] * 2
    )


@pytest.mark.parametrize(
    ("row", "kind", "what", "where"),
    [
        ({"prompt": [{**USER, "weight": 1}]}, "prompt_only", "the key 'weight'", "line 1: prompt"),
        ({"prompt": [{**USER, "content": [{"type": "image"}]}]}, "prompt_only", "type 'image'", "line 1: prompt"),
        ({"prompt": [{"role": "usr", "content": "a"}]}, "prompt_only", "'usr' is no role", "line 1: prompt"),
        ({"messages": [ANSWER]}, "prompt_completion", "no message of the user", "line 1: messages"),
        ({"messages": [USER]}, "prompt_completion", "ends with a message of the user", "line 1: messages"),
        ({"prompt": "a", "answer": {"truth": "4"}}, "prompt_only", "the answer is an object", "line 1: answer"),
        ({"prompt": "a", "answer": '{"truth": "4"}'}, "prompt_only", "the answer is an object", "line 1: answer"),
        ({"prompt": "a", "answer": ["4", "5"]}, "prompt_only", "a list of 2", "line 1: answer"),
        ({"prompt": "a", "answer": []}, "prompt_only", "a list of 0", "line 1: answer"),
        ({"prompt": "a", "answer": [{"truth": "4"}]}, "prompt_only", "the answer is an object", "line 1: answer"),
        ({**VERL, "reward_model": {"ground_truth": ["4", "5"]}}, "prompt_only", "a list of 2", TRUTH),
        ({**VERL, "reward_model": {"ground_truth": {"x": "4"}}}, "prompt_only", "the answer is an object", TRUTH),
        ({"system": "Subtract.", "messages": [SYSTEM, USER]}, "prompt_only", "two system messages", "line 1: system"),
        (
            {"prompt": "a", "completion": [{**CALLING, "tool_calls": "x"}]},
            "prompt_completion",
            "tool_calls",
            "completion",
        ),
        ({"prompt": "a", "completion": "b", "tools": "{"}, "prompt_completion", "JSON schemas", "line 1: tools"),
        ({"prompt": "a", "completion": "b", "tools": ["add"]}, "prompt_completion", "JSON schemas", "line 1: tools"),
        ({"instruction": "a", "output": "b", "history": "x"}, "prompt_completion", "no pairs", "line 1: history"),
        ({"instruction": "a", "output": "b", "history": [["x"]]}, "prompt_completion", "no pairs", "line 1: history"),
        ({"messages": "hello"}, "prompt_completion", "a plain text is no conversation", "line 1: messages"),
        ({"messages": None}, "prompt_completion", "the row has no conversation", "line 1: messages"),
        (
            {"prompt": [USER], "completion": [ANSWER, USER, ANSWER]},
            "prompt_completion",
            "inside an answer",
            "completion",
        ),
        ({"prompt": "a\ud83d"}, "prompt_only", "surrogate", "line 1: prompt"),
        ({"prompt": "a", "meta": {"x": ["\ud83d"]}}, "prompt_only", "surrogate", "line 1: meta.x.0"),
        ({"prompt": json.dumps([{**USER, "content": "\ud83d"}])}, "prompt_only", "surrogate", "prompt: 0.content"),
    ],
)
def test_what_cannot_be_read_is_refused_by_line_and_key(tmp_path, row, kind, what, where):
    (tmp_path / "a.jsonl").write_text(json.dumps(row) + "\n")
    with pytest.raises(RunError, match=what) as caught:
        local.rows(str(tmp_path / "a.jsonl"), type=kind)
    assert caught.value.where.endswith(where)


def test_a_map_to_an_object_is_answered_with_the_path_of_a_value(tmp_path):
    (tmp_path / "a.jsonl").write_text(json.dumps(VERL) + "\n")
    with pytest.raises(RunError, match="the answer is an object") as caught:
        local.rows(str(tmp_path / "a.jsonl"), columns={"answer": "reward_model"})
    assert caught.value.hint.endswith("""'dataset.params.columns={answer: "reward_model.ground_truth"}'""")
    with pytest.raises(RunError, match="takes 'answer' from 'ground_truth'") as caught:
        local.rows(str(tmp_path / "a.jsonl"), columns={"answer": "ground_truth"})
    assert "reward_model.ground_truth" in caught.value.hint


def test_a_column_of_texts_and_of_dialogues_as_text_is_refused(tmp_path):
    rows = [{"prompt": json.dumps([USER])}, {"prompt": "b"}]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(RunError, match=r"JSON text in .* line 1; plain text in .* line 2"):
        local.rows(str(tmp_path / "a.jsonl"))


PLAIN = [{"prompt": f"{n}", "answer": "7"} for n in range(3)]
WITHOUT = "the rows below the key data, without version, by beside it"
LINES = "".join(json.dumps(row) + "\n" for row in PLAIN)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.json", json.dumps(PLAIN), None),
        ("a.json", json.dumps({"data": PLAIN}), "the rows below the key data"),
        ("a.jsonl", json.dumps({"train": PLAIN}), "the rows below the key train"),
        ("a.json", json.dumps({"version": 1, "data": PLAIN, "by": {"a": "b"}}, indent=1), WITHOUT),
        ("a.json", json.dumps({name: [row[name] for row in PLAIN] for name in PLAIN[0]}), "a list for each column"),
        ("a.json", json.dumps(dict(enumerate(PLAIN))), "rows by their numbers"),
        ("a.json", json.dumps({n: {i: r[n] for i, r in enumerate(PLAIN)} for n in PLAIN[0]}), "by the rows' numbers"),
        ("a.json", LINES, "JSON in lines"),
        ("a.jsonl", json.dumps(PLAIN), "a list of JSON objects"),
        ("a.jsonl", json.dumps(PLAIN, indent=2), "a list of JSON objects"),
        ("a.jsonl", "\ufeff" + LINES.replace("\n", "\r\n"), None),
        ("a.jsonl.gz", gzip.compress(LINES.encode(), mtime=0), "gzip"),
        ("a.jsonl", gzip.compress(LINES.encode(), mtime=0), "gzip"),
        ("a.csv", "prompt,answer\n0,7\n1,7\n2,7\n", None),
        ("a.csv", "prompt;answer\n0;7\n1;7\n2;7\n", "cells separated by a semicolon"),
        ("a.tsv", "prompt\tanswer\n0\t7\n1\t7\n2\t7\n", None),
        ("a.csv.gz", gzip.compress(b"prompt|answer\n0|7\n1|7\n2|7\n", mtime=0), "cells separated by a bar"),
    ],
)
def test_the_same_rows_come_out_of_every_form_of_a_file(tmp_path, name, content, said):
    file = tmp_path / name
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    local.recognised.clear()
    found = local.rows(str(file), test=1)
    rows = sorted((row["prompt"][0]["content"], row["answer"]) for split in found.values() for row in split)
    assert rows == [(row["prompt"], row["answer"]) for row in PLAIN]
    assert said is None or any(said in note for note in local.recognised)


@pytest.mark.parametrize(
    ("name", "content", "what", "where"),
    [
        ("a.jsonl", b'{"prompt": "a", "prompt": "b"}\n', "names prompt twice", "line 1"),
        ("a.jsonl", b'{"prompt": "a"}\n{"prompt": "a", "m": {"x": 1, "x": 2}}\n', "names x twice", "line 2"),
        ("a.json", b'[{"prompt": "a", "prompt": "b"}]', "names prompt twice", "a.json"),
        ("a.jsonl", b'{"prompt": "a"}\n{"prompt": "\xe9"}\n', "no UTF-8", "line 2"),
        ("a.jsonl", "{}".encode("utf-16"), "UTF-16", "a.jsonl"),
        ("a.jsonl", b'// mine\n{"prompt": "a"}\n', "not JSON", "line 1"),
        ("a.jsonl", b'{"prompt": "a"\n{"prompt": "b"}\n', "not JSON", "line 1"),
        ("a.json", b'[{"prompt": "a"},\n {"prompt": b}]', "not JSON", "line 2"),
        ("a.json", b'[{"prompt": "a"}, 3]', "row is not a JSON object", "row 2"),
        (
            "a.json",
            b'{"train": [{"prompt": "a"}], "test": [{"prompt": "b"}]}',
            "several lists of rows: train, test",
            "json",
        ),
        ("a.json", b'{"prompt": ["a", "b"], "answer": ["1"]}', "different lengths: prompt 2, answer 1", "a.json"),
        ("a.json", b'{"prompt": {"0": "a"}, "answer": {"1": "b"}}', "not the same numbers in each", "a.json"),
        ("a.json", b'{"data": [{"prompt": "\\ud83d"}]}', "surrogate", "row 1: prompt"),
        ("a.json.gz", gzip.compress(b"[]", mtime=0)[:12], "cannot be read", "a.json.gz"),
    ],
)
def test_a_faulty_file_is_one_message_with_its_place(tmp_path, name, content, what, where):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(RunError, match=what) as caught:
        local.rows(str(tmp_path / name))
    assert caught.value.where.endswith(where) and caught.value.hint


def test_integers_beyond_64_bits_make_their_column_text(tmp_path):
    rows = [{"prompt": str(n), "answer": number} for n, number in enumerate([7, 10**20, -(10**19)])]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    local.recognised.clear()
    found = local.rows(str(tmp_path / "a.jsonl"), test=1)
    assert {row["answer"] for split in found.values() for row in split} == {"7", str(10**20), str(-(10**19))}
    assert local.recognised == ["answer: integers beyond 64 bits as text"]


def test_a_number_that_is_none_is_no_answer(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"prompt": "a", "answer": NaN}\n{"prompt": "b", "answer": "2"}\n{"prompt": "c"}')
    found = local.rows(str(tmp_path / "a.jsonl"), test=1)
    assert sorted(str(row["answer"]) for split in found.values() for row in split) == ["2", "None", "None"]


def lines(path, *rows):
    """The answers of a file of these rows, all of them, by their prompt."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    local.recognised.clear()
    found = local.rows(str(path), test=1)
    return {row["prompt"][0]["content"]: row["answer"] for split in found.values() for row in split}


def test_an_answer_in_a_list_of_one_is_that_answer_and_it_is_said(tmp_path):
    rows = [{"prompt": "a", "answer": ["4"]}, {"prompt": "b", "answer": "5"}, {"prompt": "c", "meta": ["6"]}]
    assert lines(tmp_path / "a.jsonl", *rows) == {"a": "4", "b": "5", "c": None}
    assert local.recognised == ["answer: a list of one read as the one"]


def test_a_list_of_answers_can_be_kept_as_the_hint_says(tmp_path):
    (tmp_path / "a.jsonl").write_text("".join(json.dumps({"prompt": p, "answer": ["4", "5"]}) + "\n" for p in "ab"))
    with pytest.raises(RunError) as caught:
        local.rows(str(tmp_path / "a.jsonl"), test=1)
    assert caught.value.hint.endswith("'dataset.params.columns={answers: answer}'")
    found = local.rows(str(tmp_path / "a.jsonl"), test=1, columns={"answers": "answer"})
    assert found["train"][0]["answers"] == '["4", "5"]'


@pytest.mark.parametrize("lacking", [{"style": "rule"}, {"ground_truth": None}, None])
def test_a_ground_truth_that_one_row_lacks_is_counted(tmp_path, lacking):
    row = {"prompt": [{**USER, "content": "b"}], "reward_model": lacking}
    assert lines(tmp_path / "a.jsonl", VERL, row)["18 + 46?"] == "64"
    assert "verl: answer from reward_model.ground_truth (1 of 2 rows have none)" in local.recognised


def test_numbers_among_answers_that_are_text_become_text(tmp_path):
    rows = [{"prompt": "a", "answer": "x"}, {"prompt": "b", "answer": 5}, {"prompt": "c", "answer": 1.5}]
    assert lines(tmp_path / "a.jsonl", *rows) == {"a": "x", "b": "5", "c": "1.5"}
    assert local.recognised == ["answer: numbers as text, as others are"]
    with pytest.raises(RunError, match=r"text \('x'\) in .* line 1, true or false \('True'\) in .* line 2"):
        lines(tmp_path / "a.jsonl", {"prompt": "a", "answer": "x"}, {"prompt": "b", "answer": True})


@pytest.mark.parametrize(
    ("usual", "other", "key"),
    [
        ({"prompt": "a", "completion": "b"}, {"messages": [USER, ANSWER]}, "messages"),
        ({"messages": [USER, ANSWER]}, {"prompt": "a", "completion": "b"}, "prompt"),
        ({"instruction": "a", "output": "b"}, {"conversations": [HUMAN, GPT]}, "conversations"),
    ],
)
def test_a_row_of_another_form_is_named_as_such(tmp_path, usual, other, key):
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in (usual, usual, other)))
    with pytest.raises(RunError, match=f"another form than the others: it has '{key}'") as caught:
        local.rows(str(tmp_path / "a.jsonl"), type="prompt_completion")
    assert caught.value.where.endswith(f"line 3: {key}")


@pytest.mark.parametrize(
    ("row", "kind"),
    [
        ({"messages": [USER, ANSWER], "tools": [ADD]}, "prompt_completion"),
        ({"prompt": "a", "completion": "b", "tools": [ADD]}, "prompt_completion"),
        ({"prompt": [USER], "chosen": [ANSWER], "rejected": [{**ANSWER, "content": "65"}]}, "preference"),
        ({"prompt": USER, "chosen": ANSWER, "rejected": {**ANSWER, "content": "65"}}, "preference"),
    ],
)
@pytest.mark.parametrize("indent", [None, 1])
def test_a_file_of_one_row_is_no_file_of_rows_in_it(tmp_path, row, kind, indent):
    (tmp_path / "one.jsonl").write_text(json.dumps(row, indent=indent))
    held = local.read_rows.read(tmp_path / "one.jsonl")[0]
    assert list(held.values()) == [row] and local.of_type(held, "one.jsonl", {}, kind, None)


def test_all_roles_of_a_column_are_one_thing_that_is_said(tmp_path):
    made(
        tmp_path / "a.jsonl", {"conversations": [HUMAN, GPT]}, {"conversations": [HUMAN, {**GPT, "from": "assistant"}]}
    )
    assert [note for note in local.recognised if "role" in note] == [
        "conversations: roles read: human as user, gpt as assistant"
    ]
