"""What Hydra says in no error class of its own, found by its words: what, where, what to type."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence

from rlexp.compose.config_file import Scene, entry_line
from rlexp.compose.explain_search_path import no_folder, no_list
from rlexp.compose.places import Places
from rlexp.errors import RunError, nearest

PRIMARY = ("seed", "held_out", "preflight")
"""The keys beside the groups."""
DEFAULTS = "write each entry as `- override /GROUP: OPTION`; quote 'off', 'on', 'yes', 'no' and numbers"
"""What an entry of a defaults list looks like."""
SWEEPER = "hydra.sweeper.params."
"""Where Hydra's basic sweeper keeps what it sweeps over."""


def first_line(error: BaseException) -> str:
    """The first line of what an error says, without Hydra's frame around it."""
    text = re.sub(r"^In '[^']*': \w+ raised while composing config:\n", "", str(error).strip())
    return text.split("\n")[0] or f"Hydra cannot compose this ({type(error).__name__})"


def hydras(causes: list[BaseException], places: Places, seen: Scene, overrides: Sequence[str]) -> RunError:
    """The answer to an error of Hydra.

    Args:
        causes: it and what it came from, the innermost first.
        places: where the options are.
        seen: what Hydra was reading.
        overrides: those that were composed.
    """
    text = "\n".join(str(cause) for cause in causes)
    what = first_line(next((cause for cause in causes[::-1] if str(cause)), causes[-1]))
    groups = places.groups()
    typed = seen.override or next((o for o in overrides if f"'{o}'" in text or f" {o} " in text), None)
    if match := re.search(r"Ambiguous value for argument '([^'=]+)=(.*)'\n", text):
        return _comma(match.group(1), match.group(2), groups)
    if match := re.search(r"Sweep parameters '(.*)' requires --multirun", text):
        return RunError("a range of values is a sweep", where=match.group(1), hint=f"type -m '{match.group(1)}'")
    if match := re.search(r"Multiple values for (\S+)\. To override a value use '(override )?\S+ (\S+)'", text):
        group, option = match.group(1), match.group(3)
        if added := next((override for override in overrides if override.startswith(f"+{group}=")), None):
            return RunError(f"{group} is chosen already", where=added, hint=f"leave out the +: type {added[1:]}")
        return RunError(
            f"the defaults of a file choose {group} a second time, without `override`",
            where=seen.place,
            hint=f"write the entry as `- override /{group}: {option}`",
        )
    if match := re.search(r"In (\S+): Override .* is defined before '(\S+): (\S+)'", text):
        file, group, option = places.option_file(match.group(1)), match.group(2), match.group(3)
        return RunError(
            f"the defaults of a file choose {group} without `override`, below an entry that has it",
            where=f"{os.path.relpath(file)}:{entry_line(file, group)}" if file.is_file() else match.group(1),
            hint=f"write the entry as `- override /{group}: {option}`",
        )
    if match := re.search(r"Could not override '([^']+)'", text):
        return _no_group(match.group(1), groups, seen.place)
    if match := re.search(r"must be a string or a list. Got (\w+)", text):
        group = seen.key or "GROUP"
        options = ", ".join(places.option_files(group))
        return RunError(
            f"{group} takes the name of an option, not a value of type {match.group(1)}",
            where=seen.override,
            hint=f"one of: {options}" if options else f"type {group}=OPTION",
        )
    if match := re.search(r"provider=(.+), path=(.*) is not available", text):
        return no_folder(match.group(1), match.group(2), typed)
    if "hydra.searchpath must be a list" in text:
        return no_list(text, typed)
    if "Sweeping over Hydra's configuration" in text:
        if swept := next((override for override in overrides if SWEEPER in override and "," in override), None):
            return of_sweeper(swept)
        return RunError("Hydra's own settings cannot be swept", where=typed, hint=f"give {seen.key or 'it'} one value")
    if "does not support sweep type" in text:
        return RunError("an interval is no list of points", where=typed, hint="type range(0,1,0.1), or list the values")
    if any(isinstance(cause, RecursionError) for cause in causes):
        return RunError(
            "the file chooses itself through its defaults"
            if seen.place
            else "the config refers to itself: defaults, or an interpolation, go round in a circle",
            where=seen.place or typed,
            hint="take that entry out of its `defaults:`" if seen.place else "take one of them out",
        )
    if re.search(r"defaults?\b", text) and seen.place:
        return RunError(what, where=seen.place, hint=DEFAULTS)
    if match := re.search(r"(\S+) appears more than once in the final defaults list", text):
        return RunError(
            f"{match.group(1)} is chosen twice", where=typed or f"+{match.group(1)}", hint="leave out the +"
        )
    if seen.override and any(isinstance(cause, AttributeError | AssertionError | TypeError) for cause in causes):
        return _null_node(seen)
    hint = "python -m rlexp --help shows the groups and the grammar"
    return RunError(what, where=seen.place or typed, hint=hint)


def _null_node(seen: Scene) -> RunError:
    key = seen.key or ""
    parent = key.rpartition(".")[0] or key
    file = "conf/config.yaml, below hydra:" if key.startswith("hydra.") else "the option's file in conf/"
    return RunError(
        f"{parent} states nothing that could be changed key by key",
        where=seen.override,
        hint=f"write all of it into {file}",
    )


def _comma(key: str, value: str, groups: Sequence[str]) -> RunError:
    """A list without brackets, which Hydra would take for a sweep."""
    if SWEEPER in key:
        return of_sweeper(f"{key}={value}")
    sweep = f"to sweep, add -m: type -m {key}={value}"
    if key == "reward":
        hint = f"type {key}={value.replace(',', '+')} for their sum; {sweep}"
    elif key in groups:
        hint = f"type {key}={value.partition(',')[0]}; {sweep}"
    else:
        hint = f"{sweep}; a list: type {key}=[{value}]"
    return RunError(f"{key} is given several values", where=f"{key}={value}", hint=hint)


def of_sweeper(override: str) -> RunError:
    """The answer to a key below ``hydra.sweeper.params`` that was not typed as one text.

    Args:
        override: as it was typed.
    """
    key, _, value = override.partition(SWEEPER)[2].partition("=")
    value = value.strip("'\"")
    return RunError(
        f"{SWEEPER}KEY takes one text, and a dotted KEY stands in braces",
        where=override,
        hint=f"type -m {key}={value}, or '{SWEEPER.rstrip('.')}={{{key}: \"{value}\"}}' hydra.mode=MULTIRUN",
    )


def _no_group(wanted: str, groups: Sequence[str], place: str | None) -> RunError:
    if wanted == "eval":
        what = "eval= says what is measured after training, and is no part of an experiment: no file of conf/ holds it"
        hint = "leave it out there, and type eval=TASKS behind the command, or evaluate RUN eval=TASKS"
        return RunError(what, where=place or wanted, hint=hint)
    guess = nearest(wanted, [*groups, *PRIMARY])
    hint = f"did you mean {guess}=...?" if guess else f"one of: {', '.join(groups)}, or a key of the tree"
    return RunError(f"there is no group or key {wanted}", where=place or wanted, hint=hint)
