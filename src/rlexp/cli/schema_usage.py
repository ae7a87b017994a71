"""The shape of what `help` and `version` answer."""

from __future__ import annotations

from rlexp.cli.schema import Schema, anything, mapping, record, text
from rlexp.cli.schema_runs import FIELD_FORMAT

VERSION = record({**FIELD_FORMAT, "version": text("that of rlexp")})
HELP: Schema = {
    "oneOf": [
        record(
            {
                **FIELD_FORMAT,
                "verbs": mapping(text("what it does"), "every verb", "VERB"),
                "exit_codes": mapping(text("what it says"), "every exit code", "CODE"),
            }
        ),
        record(
            {
                **FIELD_FORMAT,
                "verb": text("of `VERB --help`"),
                "help": text("its options"),
                "schema": anything("the JSON Schema of its answer"),
            }
        ),
    ]
}
