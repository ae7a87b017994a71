"""Completions that must score high, and cheats that must not, made of real rows of the data."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from string import Formatter
from typing import Any

from rlexp.compose.schema import Dataset
from rlexp.errors import RunError
from rlexp.inputs.mixture import SOURCE
from rlexp.reward.rubric import text_of

Row = Mapping[str, Any]
"""A row of the data: column -> value."""
DEFAULT = "<think>{answer}</think><answer>{answer}</answer>"
"""The gold completion of a data set that says none but has answers."""
ANOTHER = "another row's right answer"
OTHER_CASE = "the answer in another case"
WRONG_PLACE = "the answer in the wrong place"
NO_TAGS = "the answer outside of the tags"
IGNORED = {OTHER_CASE: "case", WRONG_PLACE: "place", NO_TAGS: "place"}
"""Kind of cheat -> what a reward says it ignores (``ignores = (...)``) to which it is none."""


def templates(dataset: Dataset, rows: Sequence[Row]) -> str | list[str | None] | None:
    """The template of the data set; of a mixture one for each row: that of its part, where it has one."""
    if not any(part.gold is not None for part in dataset.parts.values()):
        return dataset.gold
    found = [dataset.parts[row[SOURCE]].gold if row.get(SOURCE) in dataset.parts else None for row in rows]
    return [dataset.gold if template is None else template for template in found]


def judged(dataset: Dataset, rows: Sequence[Row]) -> list[Row]:
    """The rows of which a template or an answer says what is right: of one data set all or none."""
    every = templates(dataset, rows)
    said = every if isinstance(every, list) else [every] * len(rows)
    if not dataset.parts:
        return list(rows) if dataset.gold is not None or "answer" in rows[0] else []
    return [row for row, one in zip(rows, said, strict=True) if one is not None or row.get("answer") is not None]


def completions(rows: Sequence[Row], template: str | Sequence[str | None] | None) -> list[str]:
    """The gold completion of every row.

    Args:
        template: over the row's columns, for all rows or one for each; DEFAULT where it is None.

    Raises:
        RunError: a template names a column that the data does not have.
    """
    every = [template] * len(rows) if template is None or isinstance(template, str) else template
    made = []
    for row, one in zip(rows, every, strict=True):
        try:
            made.append((one or DEFAULT).format_map({name: text_or_value(row[name]) for name in row}))
        except (KeyError, IndexError, ValueError) as error:
            raise _unmade(one, error, list(row)) from error
    return made


def require_columns(template: str | None, columns: Sequence[str]) -> None:
    """Holds a template against the columns of the data, of which no row is read.

    Raises:
        RunError: it names another column, or is no template.
    """
    try:
        names = [name for _, name, _, _ in Formatter().parse(template or "") if name is not None]
        for name in names:
            if (column := re.split(r"[.\[]", name)[0]) not in columns:
                raise KeyError(column)
    except (KeyError, ValueError) as error:
        raise _unmade(template, error, columns) from error


def _unmade(template: str | None, error: Exception, columns: Sequence[str]) -> RunError:
    return RunError(
        f"a gold completion cannot be made of {template or DEFAULT!r}: {error}",
        where="dataset.gold",
        hint=f"type 'dataset.gold=\"{DEFAULT}\"', or another template over the columns {', '.join(columns)}",
    )


def cheats(rows: Sequence[Row], gold: Sequence[str]) -> dict[str, list[str | None]]:
    """Kind of cheat -> one completion a row; None where the row offers none.

    Args:
        rows: with ``prompt``, and ``answer`` for those that play with it.
        gold: the gold completion of every row.
    """
    prompts = [text_of(row["prompt"]) for row in rows]
    found: dict[str, list[str | None]] = {
        "nothing": ["" for _ in rows],
        "the prompt copied": list(prompts),
        "the prompt in the tags": [f"<think>{prompt}</think><answer>{prompt}</answer>" for prompt in prompts],
        "tags alone": ["<think></think><answer></answer>" for _ in rows],
        "tag spam": ["<think><answer></answer></think>" * 20 for _ in rows],
        ANOTHER: [_of_another(number, rows, gold) for number in range(len(rows))],
    }
    if "answer" in rows[0]:
        answers = [str(row["answer"]) for row in rows]
        listed = " ".join(dict.fromkeys(answers[:50]))
        found |= {
            "every answer listed": [f"<think></think><answer>{answer} {listed}</answer>" for answer in answers],
            "every answer in a tag of its own": [
                "<think></think>" + "".join(f"<answer>{a}</answer>" for a in dict.fromkeys([answer, *answers[:20]]))
                for answer in answers
            ],
            WRONG_PLACE: [f"<think>{answer}</think><answer></answer>" for answer in answers],
            NO_TAGS: [f"The answer is {answer}." for answer in answers],
            OTHER_CASE: [_other_case(answer, text) for answer, text in zip(answers, gold, strict=True)],
        }
    return found


def _of_another(number: int, rows: Sequence[Row], gold: Sequence[str]) -> str | None:
    """The next row's gold completion whose answer is another one."""
    own = rows[number].get("answer", gold[number])
    following = [(number + step) % len(rows) for step in range(1, len(rows))]
    return next((gold[other] for other in following if rows[other].get("answer", gold[other]) != own), None)


def _other_case(answer: str, text: str) -> str | None:
    """The gold completion with the letters of the answer swapped; a single letter is a choice, whose case is free."""
    swapped = answer.swapcase()
    return text.replace(answer, swapped) if swapped != answer and sum(c.isalpha() for c in answer) > 1 else None


def text_or_value(value: Any) -> Any:
    """A conversation as the text of its last turn; anything else as it is."""
    return text_of(value) if isinstance(value, list) and value and isinstance(value[0], dict) else value
