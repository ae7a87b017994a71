"""Answers that must fit a JSON Schema: one for all rows, and one in every row."""

import ast
import json
import socket
from pathlib import Path

import pytest

from rlexp.inputs.script import load_script

ROOT = Path(__file__).parents[2]
FILE, COLUMN_FILE = ROOT / "rewards/json_schema.py", ROOT / "rewards/json_schema_column.py"
reward, by_column = load_script(FILE), load_script(COLUMN_FILE)


@pytest.mark.parametrize(
    ("schema", "what"),
    [
        ({"type": "objekt"}, r"invalid at \$.type: 'objekt' is not valid"),
        ({"properties": {"a": {"minimum": "1"}}}, r"invalid at \$.properties.a.minimum"),
        (
            {"$ref": "https://example.com/other.json"},
            "refers to https://example.com/other.json, which it does not hold",
        ),
        ({"$ref": "#/$defs/none"}, r"refers to /\$defs/none, which it does not hold"),
    ],
)
def test_a_schema_that_cannot_be_used_is_named_and_nothing_is_fetched(monkeypatch, schema, what):
    monkeypatch.setattr(socket, "create_connection", lambda *arguments, **more: pytest.fail("asks the network"))
    with pytest.raises(ValueError, match=what):
        reward.score(["{}"], schema=schema)
    with pytest.raises(ValueError, match=what):
        by_column.score(["{}"], [json.dumps(schema)])


@pytest.mark.parametrize("schema", [None, "object", ["object"]])
def test_a_schema_is_a_mapping(schema):
    with pytest.raises(ValueError, match="the schema is no mapping"):
        reward.score(["{}"], schema=schema)


@pytest.mark.parametrize(("text", "what"), [("{", "holds no JSON"), ("3", "no mapping"), ('{"type": 3}', "invalid at")])
def test_a_row_whose_schema_cannot_be_used_is_named(text, what):
    with pytest.raises(ValueError, match=what):
        by_column.score(["{}", "{}"], ["{}", text])


def test_an_older_draft_is_read_as_such():
    schema = {"$schema": "http://json-schema.org/draft-04/schema#", "minimum": 3, "exclusiveMinimum": True}
    assert reward.score(["3", "4"], schema=schema) == [0.5, 1.0]


def test_every_row_is_held_against_its_own_schema():
    numbers, texts = '{"type": "number"}', '{"type": "string"}'
    assert by_column.score(["4", "4", '"4"'], [numbers, texts, texts]) == [1.0, 0.5, 1.0]


def test_the_two_files_score_by_the_same_code():
    def functions(file):
        tree = ast.parse(file.read_text())
        return {node.name: ast.dump(node) for node in tree.body if isinstance(node, ast.FunctionDef)}

    one, other = functions(FILE), functions(COLUMN_FILE)
    assert one.keys() ^ other.keys() == {"_validator_of"}
    assert [name for name in one if one[name] != other[name]] == ["score"]
