"""The column map of rows of one's own: what a data-set type needs, from the names that a file has."""

from __future__ import annotations

from collections.abc import Mapping

from rlexp.errors import RunError, nearest
from rlexp.inputs.row_values import Row, at_path, paths

USUAL = {
    "prompt": ("question", "problem", "query", "instruction", "input"),
    "completion": ("response", "output", "solution", "answer"),
    "label": ("score", "is_desirable"),
}
"""Column -> what public data sets call it."""


def mapped(row: Row, columns: Mapping[str, str]) -> Row:
    """The row under the names of the column map; what it maps is not there under its own."""
    taken = set(columns.values())
    return {
        **{name: value for name, value in row.items() if name not in taken and name not in columns},
        **{target: at_path(row, source) for target, source in columns.items()},
    }


def require_columns(raw: Mapping[str, Row], names: list[str], columns: Mapping[str, str], held: str, what: str) -> None:
    """Checks that the column map names what is there.

    Raises:
        RunError: it names another column, or is the wrong way round.
    """
    for target, source in columns.items():
        inside = source.partition(".")[0] in names and any(at_path(row, source) is not None for row in raw.values())
        if source in names or inside:
            continue
        turned = {source: target for target, source in columns.items()}
        if all(any(at_path(row, one) is not None for row in raw.values()) for one in turned.values()):
            raise RunError(
                f"the column map is the wrong way round: {what} has {target!r}, not {source!r}",
                where=f"{held} has {', '.join(names)}",
                hint=f"type {_shown(turned)}: what is needed first, then its name in the file",
            )
        known = [*names, *paths(next(iter(raw.values())))]
        near = nearest(source, known) or next((path for path in known if path.endswith(f".{source}")), None)
        raise RunError(
            f"the column map takes {target!r} from {source!r}, which {what} has not",
            where=f"{held} has {', '.join(names)}",
            hint=f"did you mean {typed(columns, target, near)}?" if near else f"name one of: {', '.join(names)}",
        )


def require_needed(
    needed: list[str], present: list[str], names: list[str], columns: Mapping[str, str], what: str, held: str
) -> None:
    """Checks that the rows have the columns of their type.

    Args:
        needed: these columns.
        present: those that the rows have, once mapped and reshaped.
        names: those of the file.
        what: what needs them, for the message.

    Raises:
        RunError: one is not there.
    """
    for name in needed:
        if name in present:
            continue
        mapped = columns.values()
        free = [other for other in names if other not in needed and other not in mapped]
        near = next((other for other in USUAL.get(name, ()) if other in free), None) or nearest(name, free)
        raise RunError(
            f"{what} needs a column {name!r}",
            where=f"{held} has {', '.join(names)}",
            hint=f"map it: {typed(columns, name, near or 'ITS_NAME_THERE')}",
        )


def typed(columns: Mapping[str, str], target: str, source: str) -> str:
    """The column map with ``target`` in it, as typed in a shell; `columns` is null at first, so it is given whole."""
    return _shown({**columns, target: source})


def _shown(columns: Mapping[str, str]) -> str:
    renamed = {target: source for target, source in columns.items() if target != source}
    # Hydra reads plain ASCII words without quotes; other names need them.
    quoted = {t: s if s.isascii() and s.isidentifier() else f'"{s}"' for t, s in renamed.items()}
    return f"'dataset.params.columns={{{', '.join(f'{t}: {s}' for t, s in quoted.items())}}}'"
