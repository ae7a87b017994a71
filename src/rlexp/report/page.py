"""The parts of a report, and the one HTML file that they become.

Everything in it may come from a stranger. Texts of the page are escaped by jinja2, what the script shows lies in JSON
that ends no element and is put into the page as text only, and a policy in the head (CSP) allows the styles and scripts
of the package by their hashes and forbids everything else, the network above all.
"""

from __future__ import annotations

import base64
import dataclasses
import functools
import hashlib
import json
import math
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rlexp import secrets
from rlexp.errors import printable
from rlexp.report.charts import Chart
from rlexp.report.rows import Rows
from rlexp.report.verdict import Verdict

ASSETS = Path(__file__).parent / "assets"
TEMPLATE, MARK = "page.html", "<!doctype html><!-- a report of rlexp -->"
"""The template, and how every report begins."""
WHOSE = "<!-- of {} -->"
"""What follows it: of what the report is (``Page.whose``)."""
COMPLETIONS = "completions"
"""The section in which the completions are looked through."""
STYLES = ("uplot/uPlot.min.css", "page.css")
LIBRARY = "uplot/uPlot.iife.min.js"
SCRIPTS = (
    *("start.js", "text.js", "charts.js", "tables.js", "browser_state.js", "browser_filter.js", "browser_rows.js"),
    *("held_out.js", "keys.js", "main.js"),
)
"""Our own, in the order in which they stand in one script."""
HALVES = re.compile("[\ud800-\udfff]")
"""Halves of surrogate pairs: no characters, and nothing that UTF-8 can write."""
ESCAPES = {ord(character): f"\\u{ord(character):04x}" for character in "<>&\u2028\u2029"}
"""What could end the element that JSON stands in."""


@dataclass(frozen=True)
class Table:
    """A table; a cell is a text, a number, or None."""

    head: list[str]
    rows: list[list[Any]]
    title: str = ""
    about: str = ""
    sortable: bool = False
    folded: bool = False
    """It is long, and few look at it."""


@dataclass(frozen=True)
class Text:
    """A text as it stands in a file, folded until it is asked for."""

    title: str
    body: str


@dataclass(frozen=True)
class Command:
    """A command line to copy."""

    does: str
    line: str


@dataclass(frozen=True)
class Section:
    """A section of the page."""

    id: str
    title: str
    lead: list[str] = field(default_factory=list)
    """Paragraphs."""
    charts: list[Chart] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    texts: list[Text] = field(default_factory=list)
    commands: list[Command] = field(default_factory=list)

    @property
    def empty(self) -> bool:
        """Whether there is nothing to show."""
        return not (self.lead or self.charts or self.tables or self.texts or self.commands)


@dataclass(frozen=True)
class HeldOut:
    """The held-out rows with their completions before and after."""

    rows: list[dict[str, Any]]
    total: int


@dataclass(frozen=True)
class Page:
    """A report."""

    kind: str
    """run, sweep or runs."""
    title: str
    lead: str
    alert: str = ""
    """Why it did not come to its end."""
    verdicts: list[Verdict] = field(default_factory=list)
    facts: list[tuple[str, str]] = field(default_factory=list)
    sections: list[Section] = field(default_factory=list)
    rows: Rows | None = None
    """They stand in the section COMPLETIONS."""
    held_out: HeldOut | None = None
    whose: str = ""
    """A hash of the folders that it shows; the head of the file has it."""


def render(page: Page) -> bytes:
    """The HTML file of a page: UTF-8, secrets masked."""
    plain = Plain()
    rows, charts = page.rows, [chart for section in page.sections for chart in section.charts]
    data = {
        "kind": page.kind,
        "charts": {chart.id: plain.of(chart) for chart in charts},
        "completions": rows and plain.of_rows(rows),
        "heldOut": page.held_out and plain.of(page.held_out),
    }
    shown = plain.of(dataclasses.replace(page, rows=None, held_out=None))
    shown["sections"] = [
        one
        for one, own in zip(shown["sections"], page.sections, strict=True)
        if not own.empty or (rows and own.id == COMPLETIONS)
    ]
    style, library, script = _joined(STYLES), _joined([LIBRARY]), f'"use strict";(()=>{{\n{_joined(SCRIPTS)}}})();\n'
    text = _template().render(
        mark=MARK + WHOSE.format(page.whose),
        page=shown,
        rows=rows and {"shown": len(rows.text), "total": rows.total, "how": plain.text(rows.how)},
        held_out=page.held_out and {"shown": len(page.held_out.rows), "total": page.held_out.total},
        policy=policy([style], [library, script]),
        style=style,
        library=library,
        script=script,
        data=embedded(data),
    )
    return text.encode()


def policy(styles: list[str], scripts: list[str]) -> str:
    """The content security policy: these styles and scripts, pictures that stand in the page, and nothing else."""
    allowed = {"style-src": styles, "script-src": scripts}
    own = [f"{name} {' '.join(map(_hash, texts))}" for name, texts in allowed.items()]
    return "; ".join(["default-src 'none'", *own, "img-src data:", "base-uri 'none'", "form-action 'none'"])


def embedded(data: Any) -> str:
    """JSON that stands in a script element: it cannot end it."""
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.translate(ESCAPES)


class Plain:
    """Makes JSON values of dataclasses: secrets masked, no half of a surrogate pair, no number that is not finite."""

    def __init__(self) -> None:
        self.mask = functools.lru_cache(maxsize=100_000)(secrets.masker())

    def text(self, value: str) -> str:
        """A text."""
        return HALVES.sub("\ufffd", self.mask(value))

    def of(self, value: Any) -> Any:
        """Any value."""
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            return {one.name: self.of(getattr(value, one.name)) for one in dataclasses.fields(value)}
        if isinstance(value, dict):
            return {self.text(str(name)): self.of(item) for name, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.of(item) for item in value]
        if value is None or isinstance(value, bool | int):
            return value
        if isinstance(value, float):
            return value if math.isfinite(value) else None
        return self.text(str(value))

    def of_rows(self, rows: Rows) -> dict[str, Any]:
        """Rows: their numbers are plain already."""
        texts: dict[str, list[str | None]]
        texts = {name: [*map(self.text, getattr(rows, name))] for name in ("prompts", "terms")}
        texts["text"] = [None if one is None else self.text(one) for one in rows.text]
        scores = {self.text(name): values for name, values in rows.scores.items()}
        read = [one and self.of(one) for one in rows.group_read]
        return {**rows.to_json(), **texts, "scores": scores, "group_read": read, "how": self.text(rows.how)}


def cell(value: Any) -> str:
    """A cell of a table as it is shown."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    return str(value)


def _joined(names: Any) -> str:
    return "".join((ASSETS / name).read_text(encoding="utf-8").rstrip("\n") + "\n" for name in names)


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


@functools.cache
def _template() -> Any:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(ASSETS),
        autoescape=True,
        finalize=lambda value: printable(value) if type(value) is str else value,  # what is safe is Markup
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["cell"] = cell
    return environment.get_template(TEMPLATE)
