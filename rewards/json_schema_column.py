"""The answer is JSON that fits the schema of its row (JSON Schema, https://json-schema.org).

The schema is the text in the column ``schema``. What counts as the answer, and all else, is as in json_schema, which
takes one schema for all rows; the code stands twice because a reward is one file.
"""

import json
import math
import re
from functools import cache
from typing import Any

from jsonschema.exceptions import SchemaError
from jsonschema.protocols import Validator
from jsonschema.validators import validator_for
from referencing import Registry
from referencing.exceptions import Unresolvable

version = 2
bounds = (0.0, 1.0)

ANSWER = re.compile(r"<answer>(.*?)</answer>", re.DOTALL)
FENCED = re.compile(r"```(?:json)?[ \t]*\n(.*?)```", re.DOTALL)


def score(completions: list[str], schema: list[str | None]) -> list[float | None]:
    """1.0 a completion whose answer fits its ``schema``, 0.5 for JSON that does not fit, 0.0 for anything else; None
    where the row has no schema.

    Raises:
        ValueError: a schema is not JSON, is invalid, or refers to another one.
    """
    rows = zip(completions, schema, strict=True)
    return [None if of_row is None else _score(text, _validator_of(of_row)) for text, of_row in rows]


@cache
def _validator_of(text: str) -> Validator:
    try:
        return _validator(json.loads(text))
    except json.JSONDecodeError as error:
        raise ValueError(f"the column schema holds no JSON: {error}") from error


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


AGE = '{"type": "object", "properties": {"age": {"type": "integer"}}, "required": ["age"]}'

cases = [
    {"schema": None, "completion": "{}", "score": None},
    {"schema": AGE, "completion": '{"age": 36}', "score": 1.0},
    {"schema": AGE, "completion": '<think>{}</think>\n<answer>{"age": 36}</answer>', "score": 1.0},
    {"schema": AGE, "completion": '```json\n{"age": 36}\n```', "score": 1.0},
    {"schema": AGE, "completion": '{"age": "36"}', "score": 0.5},  # a text for a number
    {"schema": AGE, "completion": "{}", "score": 0.5},
    {"schema": '{"type": "array"}', "completion": '{"age": 36}', "score": 0.5},  # another row's schema
    {"schema": AGE, "completion": '{"age": 36', "score": 0.0},  # cut off
    {"schema": AGE, "completion": '<think>{"age": 36}</think>', "score": 0.0},  # in the thinking only
    {"schema": AGE, "completion": AGE, "score": 0.5},  # cheat: the schema itself
    {"schema": AGE, "completion": "", "score": 0.0},
]
