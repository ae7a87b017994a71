"""The shape of the answer of ``difficulty``."""

from __future__ import annotations

from rlexp.cli.schema import count, flag, items, maybe, number, record, text
from rlexp.cli.schema_runs import FIELD_FORMAT

DIFFICULTY = record(
    {
        **FIELD_FORMAT,
        "dataset": record({"name": text("its option"), "path": text("its snapshot")}, "the data"),
        "path": text("the folder of the pass rates"),
        "sampled": flag("false where the rates were there, and nothing was sampled"),
        "model": text("the model that was sampled"),
        "term": text("the term of the reward that says what is right"),
        "at": number("its score from which a completion is right"),
        "n": count("completions of each prompt"),
        "rows": count("training rows"),
        "prompts": count("prompts that were sampled; equal ones count once"),
        "unknown": count("rows without a pass rate: not asked for, or the term does not apply"),
        "histogram": items(
            record(
                {
                    "name": text("as it is shown"),
                    "low": number("where it begins, not included"),
                    "high": number("where it ends, included; equal to low for the first and the last part"),
                    "rows": count("rows whose rate lies in it"),
                }
            ),
            "the rows whose rate is known: 0, ten parts between, 1",
        ),
        "equal": count("rows whose completions are all right or all wrong, which teach nothing"),
        "seconds": maybe(number("of sampling and scoring"), "where nothing was sampled"),
        "completions_per_second": maybe(number("sampled and scored"), "where nothing was sampled"),
    }
)
