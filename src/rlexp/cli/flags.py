"""Our own flags, which may stand anywhere on the line: they leave it before Hydra or argparse reads it."""

from __future__ import annotations

import difflib
import itertools
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from rlexp.errors import RunError
from rlexp.inputs import trust

JSON, SAVE_AS = "--json", "--save-as"
VALUES = {trust.FLAG: "HASH[,HASH]", SAVE_AS: "FILE"}
"""The flags that take a value, each with what it stands for in messages."""
OWN = (JSON, *VALUES)
SAVING = ("plan", "prepare")
"""Verbs that take --save-as."""
NEAR = 0.75
"""Likeness from which an unknown flag is one of ours, misspelt; Hydra's ``--info`` and ``--run`` are further away."""
DASHES = "-\u2013\u2014\u2212"
"""What a word processor makes of a dash, too."""
OTHERS = ("--output", "--format", "--o", "--f")
"""Flags of other tools whose value may be json."""

JSON_HELP = "one JSON document on stdout, and everything else on stderr: docs/json.md"
TRUST_HELP = (
    f"{trust.FLAG}=HASH[,HASH] says yes to code that came from elsewhere, by the hash of each file; so does the "
    f"environment variable {trust.VARIABLE}. Both are remembered."
)


@dataclass(frozen=True)
class Flags:
    """The flags that were typed, less the hashes of ``--trust``: those are taken for this process."""

    json: bool = False
    save_as: tuple[str, ...] = ()
    """The files, as they were typed."""


def asks_json(arguments: Sequence[str]) -> bool:
    """Says whether the answer is to be JSON, also where the rest of the line is wrong."""
    return any(word.partition("=")[0] == JSON for word in _before_dashes(arguments))


def take(arguments: Sequence[str]) -> tuple[Flags, list[str]]:
    """The flags of a command line, and the line without them; what stands behind ``--`` is nobody's flag.

    Raises:
        RunError: one lacks its value, has one that it does not take, or is misspelt; a hash is none.
    """
    ours = _before_dashes(arguments)
    values: dict[str, list[str]] = {}
    rest: list[str] = []
    for word, following in itertools.zip_longest(ours, ours[1:], fillvalue=""):
        name, sign, value = word.partition("=")
        if name == JSON and sign:
            raise RunError(f"{JSON} takes no value", where=word, hint=f"type {JSON} alone")
        if name in VALUES and not value:
            raise _without_value(name, following if not sign else "")
        if name == trust.FLAG:
            trust.accept(value.split(","), trust.FLAG)
        elif name in OWN:
            values.setdefault(name, []).append(value)
        else:
            _refuse_misspelt(word, following)
            rest.append(word)
    rest += arguments[len(ours) :]
    sys.argv[1:] = rest  # Hydra reads it there, and a record keeps it
    return Flags(JSON in values, tuple(values.get(SAVE_AS, ()))), rest


def _before_dashes(arguments: Sequence[str]) -> list[str]:
    return list(itertools.takewhile(lambda word: word != "--", arguments))


def _without_value(name: str, following: str) -> RunError:
    if following and not following.startswith("-"):
        return RunError(
            f"the value of {name} stands behind a blank",
            where=f"{name} {following}",
            hint=f"write it in one word: {name}={following}",
        )
    if name == trust.FLAG:
        what, hint = "a yes needs the hash of what it is for", "the message that follows says what to type"
        return RunError(what, where=name, hint=f"leave {name} out: {hint}")
    return RunError(f"{name} needs a value", where=name, hint=f"type {name}={VALUES[name]}")


def refuse_bare(words: Sequence[str]) -> None:
    """Refuses a flag that was typed without its dashes, where no word can be meant.

    Raises:
        RunError: one was.
    """
    for word in words:
        if f"--{word.partition('=')[0]}" in OWN:
            raise RunError(f"{word} is a flag without its dashes", where=word, hint=f"did you mean --{word}?")


def _refuse_misspelt(word: str, following: str) -> None:
    """Raises a RunError where a word is one of our flags but for a letter or two, or asks for JSON as other tools are
    asked."""
    name, _, value = word.partition("=")
    if not name.startswith(tuple(DASHES)):
        return
    plain = "--" + name.lstrip(DASHES).lower().replace("_", "-")
    found = difflib.get_close_matches(plain, OWN, n=1, cutoff=NEAR)
    if plain in OTHERS and JSON in (f"--{value}", f"--{following}"):
        found = [JSON]
    if found:
        meant = found[0] + (f"={VALUES[found[0]]}" if found[0] in VALUES else "")
        raise RunError(f"there is no flag {name}", where=word, hint=f"did you mean {meant}?")
