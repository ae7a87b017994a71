"""The view of ``inspect``: on a terminal with colours and rules, piped as plain text, or as JSON values."""

from __future__ import annotations

import contextlib
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from rich.console import Console
from rich.padding import Padding
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from rlexp.console import shortened
from rlexp.evaluate.samples import Group, Ranges, Sample, Summary, Target, TextSpan
from rlexp.verdict import Level, Verdict

STYLES = {"special": "dim", "bos": "bold cyan", "eos": "bold magenta"}
MARKED = {"bos": "[BOS]", "eos": "[EOS]"}
"""Stands behind a token that begins or ends, so that plain text tells it from the same letters typed by somebody."""
LEVELS = {Level.passed: "green", Level.warning: "yellow", Level.failed: "red", Level.skipped: "dim"}
INVISIBLE = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
"""Unicode categories that a terminal would obey or hide instead of showing."""
BESIDE = 56
"""Columns that a completion needs beside its scores; with fewer it stands below them."""
COLUMN, INDENT = 200, 4


def console_for(file: Any) -> Console:
    """A console that prints what it is given: no markup, no emoji names, at least 60 columns."""
    found = Console(file=file, highlight=False, markup=False, emoji=False)
    return Console(file=file, highlight=False, markup=False, emoji=False, width=max(60, found.width))


@contextlib.contextmanager
def tidy(console: Console) -> Iterator[None]:
    """Lets no line of plain text end in blanks; a terminal gets what it gets."""
    if console.is_terminal:
        yield
        return
    with console.capture() as captured:
        yield
    print("\n".join(line.rstrip() for line in captured.get().split("\n")), end="", file=console.file)


def visible(pieces: Iterable[TextSpan]) -> Text:
    """A text with everything in it shown: special tokens, line ends as ``\\n``, control characters by their code."""
    text = Text(overflow="fold")
    for piece in pieces:
        style = STYLES.get(piece.kind, "")
        for character in piece.text:
            if character == "\n":
                text.append("\\n", "dim").append("\n")
            elif unicodedata.category(character) in INVISIBLE:
                text.append(character.encode("unicode_escape").decode(), "dim")
            else:
                text.append(character, style)
        if piece.kind in MARKED:
            text.append(MARKED[piece.kind], "dim")
    text.rstrip()
    return text if text.plain else Text("(empty)", "dim italic")


def show_head(console: Console, rows: Sequence[tuple[str, str]], verdicts: Sequence[Verdict]) -> None:
    """Prints what is looked at, and below it what the checks of template and tokenizer say."""
    width = max(len(name) for name, _ in rows)
    for name, value in rows:
        console.print(_hanging(Text(f"{name:<{width}}", "bold"), visible([TextSpan(value)]), width))
    passed = [verdict.message for verdict in verdicts if verdict.level is Level.passed]
    lines = [(Level.passed, "; ".join(passed))] if passed else []
    for verdict in verdicts:
        if verdict.level in (Level.warning, Level.failed):
            lines.append((verdict.level, f"[{verdict.name}] {verdict.message}; {verdict.hint or verdict.where}"))
    for level, message in lines:
        console.print(_hanging(Text(f"{level.value:<{width}}", LEVELS[level]), visible([TextSpan(message)]), width))


def show_group(console: Console, group: Group, place: str, ranges: Ranges) -> None:
    """Prints a prompt, its completions and the statistics of their group.

    Args:
        place: such as ``prompt 1 of 4``.
        ranges: the declared ranges of the terms, which colour their scores.
    """
    title = f"{place}, {group.name}"
    console.print()
    console.print(Rule(Text(title, "bold"), align="left", style="dim") if console.is_terminal else title)
    console.print(visible(group.prompt), soft_wrap=False)
    facts = [f"{group.prompt_tokens} prompt tokens"] if group.prompt_tokens is not None else []
    facts += [f"{name}: {shortened(str(value), COLUMN)}" for name, value in group.columns.items()]
    if facts:
        console.print(_escaped("  ".join(facts)), style="dim")
    console.print()
    for target in group.targets:
        _show_target(console, target)
    if group.targets:
        console.print()
    _show_samples(console, group.samples, ranges)
    statistics = _statistics(group)
    if statistics.plain:
        console.print(statistics)


def _show_target(console: Console, target: Target) -> None:
    label = Text(f"{target.name}, {target.tokens} tokens", "bold")
    if target.truncated:
        label.append(f", the last {target.truncated} are cut off (method.max_length)", "bold red")
    console.print(label)
    console.print(Padding(visible(target.pieces), (0, 0, 0, INDENT)))


def _show_samples(console: Console, samples: Sequence[Sample], ranges: Ranges) -> None:
    samples, rows = _merged(samples, [_cells(sample, ranges) for sample in samples])
    names = list(rows[0])
    widths = {name: max(len(name), *(row[name].cell_len for row in rows)) for name in names}
    line = sum(widths.values()) + 2 * len(names)
    header = Text("  ").join(_aligned(name, Text(name, "bold dim"), widths[name]) for name in names)
    beside = console.width - line >= BESIDE
    if line <= console.width:
        console.print(_hanging(header, Text("completion", "bold dim"), line - 2) if beside else header)
    for sample, row in zip(samples, rows, strict=True):
        text = visible(sample.pieces)
        if sample.reasons:
            why = "; ".join(f"{term}: {words}" for term, words in sample.reasons.items())
            text.append("\n").append_text(_escaped(why, "italic dim"))
        if line > console.width:
            pairs = [Text(f"{name} ").append_text(cell) for name, cell in row.items()]
            console.print(Text("  ").join(pairs))
        else:
            numbers = Text("  ").join(_aligned(name, cell, widths[name]) for name, cell in row.items())
            if beside:
                console.print(_hanging(numbers, text, line - 2))
                continue
            console.print(numbers)
        console.print(Padding(text, (0, 0, 0, INDENT)))


def _merged(samples: Sequence[Sample], rows: list[dict[str, Text]]) -> tuple[list[Sample], list[dict[str, Text]]]:
    """Completions that are the same in everything become one line: ``2 x3``."""
    found: dict[Any, list[int]] = {}
    for n, (sample, row) in enumerate(zip(samples, rows, strict=True)):
        key = (sample.pieces, *(cell.plain for name, cell in row.items() if name != "#"))
        found.setdefault(key, []).append(n)
    for numbers in found.values():
        if len(numbers) > 1:
            rows[numbers[0]]["#"].append(f" x{len(numbers)}", "bold")
    kept = [numbers[0] for numbers in found.values()]
    return [samples[n] for n in kept], [rows[n] for n in kept]


def _cells(sample: Sample, ranges: Ranges) -> dict[str, Text]:
    cells = {"#": Text(str(sample.number), "dim")}
    if sample.reward is not None:
        cells["reward"] = Text(f"{sample.reward:.2f}", "bold")
    elif sample.scores:
        cells["reward"] = Text("-")
    if sample.advantage is not None:
        colour = "green" if sample.advantage > 0 else "red" if sample.advantage < 0 else "dim"
        cells["advantage"] = Text(f"{sample.advantage:+.2f}", colour)
    cells |= {name: _score(score, ranges.get(name)) for name, score in sample.scores.items()}
    if sample.tokens is not None:
        cells["tokens"] = Text(f"{sample.tokens} cut", "red") if sample.truncated else Text(str(sample.tokens))
    return cells


def _score(score: float | None, ends: tuple[float, float] | None) -> Text:
    if score is None:
        return Text("-", "dim")
    if ends is None:
        return Text(f"{score:.2f}")
    return Text(f"{score:.2f}", "green" if score >= ends[1] else "red" if score <= ends[0] else "yellow")


def _statistics(group: Group) -> Text:
    text = Text(style="dim")
    if group.mean is not None and group.std is not None:
        text.append(f"group of {group.size}: reward {group.mean:.3f}, std {group.std:.3f}")
    if group.equal:
        text.append("; no variance, so it teaches nothing" if text.plain else "no variance", "yellow")
    if len(group.samples) < group.size:
        text.append(f"{'; ' if text.plain else ''}{group.size - len(group.samples)} of {group.size} not shown")
    return text


def show_summary(console: Console, summary: Summary, weights: dict[str, float], note: str) -> None:
    """Prints the table over everything that was drawn.

    Args:
        weights: of the terms.
        note: what was shown of it.
    """
    title = f"all {summary.completions} completions of {summary.prompts} prompts"
    console.print()
    console.print(Rule(Text(title, "bold"), align="left", style="dim") if console.is_terminal else title)
    if summary.means:
        table = Table(box=None, pad_edge=False, header_style="bold dim")
        for column in ("term", "weight", "mean", "std"):
            table.add_column(column, justify="left" if column == "term" else "right", overflow="fold")
        for name, mean in summary.means.items():
            weight = f"{weights[name]:g}" if name in weights else ""
            table.add_row(
                Text(name), weight, f"{mean:.3f}", f"{summary.stds[name]:.3f}", style="" if weight else "bold"
            )
        console.print(table)
    facts = [f"{summary.tokens:.1f} tokens on average"] if summary.tokens is not None else []
    facts += [f"{summary.truncated:.0%} cut by the limit"] if summary.truncated is not None else []
    facts += [f"{summary.empty:.0%} empty"]
    facts += [f"{summary.equal:.0%} of the groups without variance"] if summary.equal is not None else []
    console.print(", ".join(facts))
    if note:
        console.print(_escaped(note, "dim"))


def _escaped(text: str, style: str = "") -> Text:
    found = visible([TextSpan(text)])
    found.stylize_before(style)
    return found


def _aligned(name: str, cell: Text, width: int) -> Text:
    """Numbers to the right; the numbers of the completions, with ``x3``, to the left."""
    blanks = " " * (width - cell.cell_len)
    return cell.copy().append(blanks) if name == "#" else Text(blanks).append_text(cell)


def _hanging(first: Text, rest: Text, width: int) -> Table:
    """Two columns: a line of ``width`` and, beside it, a text wrapped under itself."""
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(width=width, no_wrap=True)
    grid.add_column(overflow="fold")
    grid.add_row(first, rest)
    return grid
