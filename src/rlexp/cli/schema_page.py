"""Writes the tables of docs/json.md from the schemas: ``python -m rlexp.cli.schema_page``."""

from __future__ import annotations

import re
from pathlib import Path

from rlexp.cli.schema import Schema, listed
from rlexp.cli.schemas import ANSWERS, ERROR, EXIT_CODES

PAGE = Path("docs/json.md")
MARK = re.compile(r"(<!-- fields: (?P<name>\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def fields(schema: Schema) -> str:
    """The fields of an answer as a table; a field of several of its forms stands once."""
    rows = {path: (kind, optional, about) for path, kind, optional, about in reversed(list(listed(schema)))}
    lines = ["| field | type | |", "|---|---|---|"]
    for path, (kind, optional, about) in reversed(rows.items()):
        lines.append(f"| `{path}` | {kind}{', optional' if optional else ''} | {about} |")
    return "\n".join(lines)


def codes() -> str:
    """The exit codes as a table."""
    return "\n".join(["| code | |", "|---|---|", *(f"| {code} | {about} |" for code, about in EXIT_CODES.items())])


def written(page: str) -> str:
    """The page with its tables as the schemas have them."""
    tables = {"exit_codes": codes(), "error": fields(ERROR), **{verb: fields(s) for verb, s in ANSWERS.items()}}
    return MARK.sub(lambda match: f"{match[1]}\n{tables[match['name']]}\n\n{match[3]}", page)


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text()))
