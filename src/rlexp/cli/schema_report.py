"""The shape of the answer of ``report``."""

from __future__ import annotations

from rlexp.cli.schema import Fields, count, maybe, record, text

REPORT: Fields = {
    "file": text("the HTML file, from the project folder"),
    "kind": text("what it shows", "run", "sweep", "runs"),
    "bytes": count("of the file"),
    "completions": maybe(
        record(
            {
                "shown": count("completions that it holds, each whole"),
                "total": count("completions that the run stored"),
                "how": text("how those that it holds were chosen"),
            },
            "the completions of a run",
        ),
        "where it shows none",
    ),
}
