"""The shape of what ``plan`` says of the data."""

from __future__ import annotations

from rlexp.cli.schema import count, items, mapping, maybe, number, record, text

PART = record(
    {
        "path": text("its snapshot"),
        "weight": number("how often each of its training rows is used"),
        "train_rows": maybe(count("its training rows by that weight"), "while there is no mixture"),
        "made_by": maybe(text("the script that makes its snapshot first"), "where it is there"),
    }
)
FILTER = record(
    {
        "path": text("the folder of the pass rates"),
        "low": number("the lowest rate that is kept"),
        "high": number("the highest"),
        "kept": count("rows that are trained on"),
        "rows": count("rows that there were to choose from"),
        "unknown": count("rows left out because they have no rate"),
        "model": text("the model that the rates are of"),
        "n": count("completions of each prompt"),
    },
    "the rows that dataset.difficulty keeps",
)
PLANNED_DATA = record(
    {
        "name": text("its option"),
        "type": text("prompt_only, preference, ..."),
        "path": text("its snapshot"),
        "rows": {
            **maybe(mapping(count("rows of it"), "of each split", "SPLIT"), "while there is no snapshot"),
        },
        "made_by": maybe(text("the script that makes it first"), "where it is there, or is a mixture"),
        "recognised": items(text("a shape"), "what was recognised in rows of the user's own"),
        "parts": mapping(PART, "the data sets of a mixture; of one data set none", "PART"),
        "difficulty": maybe(FILTER, "where every row is trained on, or there is no snapshot yet"),
    },
    "the data",
)
