"""The shapes of the answers of ``pack`` and ``unpack``."""

from __future__ import annotations

from rlexp.cli.schema import count, mapping, record, text, texts
from rlexp.cli.schema_runs import FIELD_FORMAT, NOTES

PACK = record(
    {
        **FIELD_FORMAT,
        "file": text("the archive, from where the command was typed"),
        "run": text("the run folder, from the project folder"),
        "identity": text("that of the run"),
        "bytes": count("of the archive"),
        "files": count("in it"),
        "weights": text("those in it", "none", "adapter", "all"),
        "inputs": mapping(text("its folder"), "the data in it: `data`, `difficulty`", "INPUT"),
        **NOTES,
    }
)
UNPACK = record(
    {
        **FIELD_FORMAT,
        "run_dir": text("the run folder, from the project folder"),
        "identity": text("that of the run"),
        "status": text("as in its manifest"),
        "inputs": mapping(text("where it lies in this project"), "the data that came with it", "INPUT"),
        "next": texts("commands that come next"),
    }
)
