"""The command line of ``inspect``: a run, Hydra's overrides, and options of its own that are written like overrides."""

from __future__ import annotations

import dataclasses
from argparse import Namespace

from rlexp.chosen import LINK
from rlexp.cli import flags
from rlexp.cli.arguments import Parser
from rlexp.compose.schema import RunSchema
from rlexp.errors import RunError, nearest

OWN = {
    "rows": "rows=4",
    "generations": "generations=8",
    "sort": "sort=worst",
    "term": "term=correct",
    "where": "where='correct<1'",
    "split": "split=test",
    "step": "step=last",
    "checkpoint": "checkpoint=50",
}
"""The options that are written like overrides, each with an example; everything else is Hydra's."""


SPLITS = ("train", "test")


ROWS = 4


def read_words(arguments: list[str]) -> Namespace:
    parser = Parser("inspect", f"Prints what the model sees and says, and why it scored so. {flags.TRUST_HELP}")
    parser.add_argument(
        "words",
        metavar="WORD",
        nargs="*",
        help="a run (its latest weights; step= its stored completions), or overrides (the base model of that run); and "
        f"{', '.join(OWN.values())}",
    )
    options = parser.parse_intermixed_args(arguments)
    split = sort_out(options.words)
    given = [name for name in ("split", "checkpoint", "generations") if name in split.given]
    if split.step is not None and given:
        raise RunError(
            f"{given[0]}= says what is sampled, and step={split.step} reads what was stored",
            where="the command line",
            hint=f"leave out {given[0]}= or step=",
        )
    return split


def sort_out(words: list[str]) -> Namespace:
    """A command line's words as the run, Hydra's overrides, and the values of OWN.

    Raises:
        RunError: a word is none of them, or a value is no number where one is needed.
    """
    runs, overrides, own, where = [], [], {}, []
    groups = {field.name for field in dataclasses.fields(RunSchema)} | {"experiment", "hydra"}
    for word in words:
        name, sign, value = word.partition("=")
        if not sign and word[:1] not in "~+" and name not in OWN:
            runs.append(word)
        elif name == "where":
            where.append(value)
        elif name in OWN:
            own[name] = value
        elif name.isidentifier() and name not in groups and nearest(name, OWN):
            guess = nearest(name, OWN)
            raise RunError(f"inspect has no option {name}", where=word, hint=f"did you mean {guess}={value}?")
        else:
            overrides.append(word)
    if len(runs) > 1:
        raise RunError(f"{runs[0]} and {runs[1]}: one run at a time", where="the command line", hint="name one run")
    if runs and overrides:
        raise RunError(
            f"a run is inspected as it was locked, so {overrides[0]} cannot be set",
            where=overrides[0],
            hint=f"leave it out, or leave out {runs[0]} to sample the base model; options: {', '.join(OWN)}",
        )
    for name in ("step", "checkpoint"):
        if name in own and not runs:
            raise RunError(
                f"{name}={own[name]} is of which run?",
                where="the command line",
                hint=f"type inspect RUN {name}={own[name]}; python -m rlexp runs lists them",
            )
    split = own.get("split", "train")
    if split not in SPLITS:
        guess = nearest(split, SPLITS) or "test"
        raise RunError(f"there is no split {split!r}", where=f"split={split}", hint=f"type split={guess}")
    return Namespace(
        run=runs[0] if runs else None,
        overrides=overrides,
        given=sorted(own),
        rows=_count(own, "rows") or ROWS,
        generations=_count(own, "generations"),
        checkpoint=LINK if own.get("checkpoint") == LINK else _count(own, "checkpoint"),
        sort=own.get("sort"),
        term=own.get("term"),
        step=own.get("step"),
        split=split,
        where=where,
    )


def _count(own: dict[str, str], name: str) -> int | None:
    if name not in own:
        return None
    if not own[name].isdigit() or int(own[name]) < 1:
        what = f"{own[name]!r} is no number of at least 1"
        raise RunError(what, where=f"{name}={own[name]}", hint=f"type {OWN[name]}")
    return int(own[name])
