"""The answer is JSON that fits one schema (JSON Schema, https://json-schema.org), given as a parameter.

The answer is the content of the one answer tag, or without a tag all that stands outside of the thinking; where that
holds one fenced block, the block. It must be JSON as a whole: an object somewhere in the chatter is none. For a schema
of its own in every row there is json_schema_column, the same otherwise.
"""

import json
import math
import re
from typing import Any

from jsonschema.exceptions import SchemaError
from jsonschema.protocols import Validator
from jsonschema.validators import validator_for
from referencing import Registry
from referencing.exceptions import Unresolvable

version = 1
bounds = (0.0, 1.0)

ANSWER = re.compile(r"<answer>(.*?)</answer>", re.DOTALL)
FENCED = re.compile(r"```(?:json)?[ \t]*\n(.*?)```", re.DOTALL)


def score(completions: list[str], *, schema: dict[str, Any]) -> list[float]:
    """1.0 a completion whose answer fits ``schema``, 0.5 for JSON that does not fit, 0.0 for anything else.

    Raises:
        ValueError: the schema is invalid, or refers to another one.
    """
    validator = _validator(schema)
    return [_score(completion, validator) for completion in completions]


def _validator(schema: Any) -> Validator:
    kind = validator_for(schema) if isinstance(schema, dict) else None
    if kind is None:
        raise ValueError(f"the schema is no mapping: {schema!r}")
    try:
        kind.check_schema(schema)
    except SchemaError as error:
        raise ValueError(f"the schema is invalid at {error.json_path}: {error.message}") from error
    # A registry of its own: references are never fetched from the network.
    return kind(schema, registry=Registry(), format_checker=kind.FORMAT_CHECKER)


def _score(completion: str, validator: Validator) -> float:
    try:
        value = json.loads(_answer(completion), parse_constant=_number, parse_float=_number)
    except (ValueError, RecursionError):
        return 0.0
    try:
        return 1.0 if validator.is_valid(value) else 0.5
    except RecursionError:  # nested deeper than a schema that refers to itself can follow
        return 0.5
    except Unresolvable as error:
        raise ValueError(f"the schema refers to {error.ref}, which it does not hold") from error


def _answer(completion: str) -> str:
    text = _outside_of_thinking(completion)
    for place in (ANSWER, FENCED):
        found = place.findall(text)
        if len(found) > 1:
            return ""
        text = found[0] if found else text
    return text


def _outside_of_thinking(completion: str) -> str:
    """What stands before <think> and behind </think>; a chat template may have opened the thinking already.

    Thinking that never ends is the format's business: nothing is hidden there.
    """
    thought, closed, said = completion.rpartition("</think>")
    if not closed:
        return completion
    return (thought.partition("<think>")[0] if "<think>" in thought else "") + said


def _number(text: str) -> float:
    # Python reads NaN, Infinity and 1e999, which JSON has not or which break multipleOf.
    if not math.isfinite(value := float(text)):
        raise ValueError(text)
    return value


PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer", "minimum": 0}, "born": {"format": "date"}},
    "required": ["name", "age"],
    "additionalProperties": False,
}
CHAIN = {"type": "object", "properties": {"next": {"$ref": "#"}}}

cases = [
    {"schema": PERSON, "completion": '{"name": "Ada", "age": 36}', "score": 1.0},
    {"schema": PERSON, "completion": '<think>{}</think>\n<answer>{"name": "Ada", "age": 36}</answer>', "score": 1.0},
    {"schema": PERSON, "completion": 'Here:\n```json\n{"name": "Ada", "age": 36}\n```\nDone.', "score": 1.0},
    {"schema": PERSON, "completion": '{"name": "Ada", "age": "36"}', "score": 0.5},  # a text for a number
    {"schema": PERSON, "completion": '{"name": "Ada"}', "score": 0.5},  # a key is missing
    {"schema": PERSON, "completion": '{"name": "Ada", "age": 36, "born": "soon"}', "score": 0.5},  # no date
    {"schema": PERSON, "completion": "[]", "score": 0.5},
    {"schema": PERSON, "completion": '{"name": "Ada", "age": 36', "score": 0.0},  # cut off
    {"schema": PERSON, "completion": "{'name': 'Ada', 'age': 36}", "score": 0.0},  # Python, not JSON
    {"schema": PERSON, "completion": 'It is {"name": "Ada", "age": 36}.', "score": 0.0},  # chatter around it
    {"schema": PERSON, "completion": '<think>{"name": "Ada", "age": 36}</think>', "score": 0.0},  # in the thinking only
    {"schema": PERSON, "completion": '```\n{}\n```\n```\n{"name": "Ada", "age": 36}\n```', "score": 0.0},  # cheat: two
    {"schema": PERSON, "completion": "[" * 99_999, "score": 0.0},  # cheat: deeper than Python follows
    {"schema": CHAIN, "completion": '{"next": ' * 500 + "{}" + "}" * 500, "at_least": 0.5},
    {"schema": {"multipleOf": 0.1}, "completion": "1e999", "score": 0.0},  # cheat: no finite number
    {"schema": {}, "completion": "NaN", "score": 0.0},  # Python's, not JSON's
    {"schema": {"type": "number"}, "completion": "4", "score": 1.0},
    {"schema": PERSON, "completion": "", "score": 0.0},
]
