"""Options that are named by what they hold: ``model=hub:ORG/NAME@revision``, ``model=FOLDER``, ``dataset=FILE``.

A folder or a file holds a ``/``. Typed, it is relative to where it was typed; inside of a file of conf/, to the
project. What Hydra composes, and a lock keeps, is relative to the project where it lies inside, and names a hub's
commit: neither depends on where or when it was typed.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, Override, QuotedString
from hydra.errors import OverrideParseException

from rlexp.compose import hub, hub_files, start
from rlexp.compose.places import Places
from rlexp.compose.schema import Invocation
from rlexp.errors import RunError

GROUPS = ("model", "dataset")
"""Groups whose options may be named so."""
PREFIX = "hub:"
PLAIN = re.compile(r"[\w./@:+-]+", re.A)
"""What Hydra reads without quotes."""
HUB_ID = re.compile(
    r"(?P<hub_id>\w[\w.-]*/\w[\w.-]*)(:(?P<configuration>[^@:/]+))?(@(?P<revision>[\w.-]+(/[\w.-]+)*))?", re.A
)


@dataclass(frozen=True)
class HubId:
    """``ORG/NAME[:configuration][@revision]``."""

    hub_id: str
    configuration: str | None
    """Of a data set."""
    revision: str | None
    """A branch, a tag or a commit; None for the main branch."""

    def typed(self, revision: str) -> str:
        """The option at another revision."""
        configuration = f":{self.configuration}" if self.configuration else ""
        return f"{PREFIX}{self.hub_id}{configuration}@{revision}"


def plain(override: Override) -> bool:
    """Says whether an override gives a key one value."""
    return not override.is_sweep_override() and not override.is_delete()


def names_a_place(option: str) -> bool:
    """Says whether an option is named by an id of the hub, a folder or a file."""
    return option.startswith(PREFIX) or "/" in option


def refuse_sum(option: str) -> None:
    """Refuses an id or a file among the data sets of ``dataset=a+b``.

    Args:
        option: what no file and no id has as its name.

    Raises:
        RunError: it is such a sum.
    """
    parts = option.split("+")
    places = [part for part in parts if names_a_place(part)]
    if len(parts) < 2 or not places or not all(parts):
        return
    name = name_of(places[0].partition("@")[0]).partition(".")[0]
    others = "+".join(name if part == places[0] else part for part in parts)
    raise RunError(
        f"{places[0]} is an id or a file, and the parts of a mixture are options",
        where=f"dataset={option}",
        hint=f"make an option of it first: python -m rlexp plan dataset={places[0]} "
        f"--save-as=conf/dataset/{name}.yaml; then type dataset={others}",
    )


def parse(group: str, option: str) -> HubId:
    """The parts of ``hub:...``.

    Raises:
        RunError: it is no id of the hub.
    """
    found = HUB_ID.fullmatch(option.removeprefix(PREFIX))
    if not found and group == "dataset":
        refuse_sum(option)
    form = f"{group}={PREFIX}ORG/NAME{'[:CONFIGURATION]' if group == 'dataset' else ''}[@REVISION]"
    if not found or (group == "model" and found["configuration"]):
        raise RunError(f"{option!r} is no id of the hub", where=f"{group}={option}", hint=f"type {form}")
    return HubId(found["hub_id"], found["configuration"], found["revision"])


def name_of(place: str) -> str:
    """The last part of an id or a path as a name: of letters, digits and ``. _ + -``, with no dot in front."""
    last = Path(place).name
    return re.sub(r"[^\w.+-]+", "_", last, flags=re.A).lstrip(".").strip("_") or "unnamed"


def at_commits(overrides: Sequence[str]) -> list[str]:
    """The overrides with the commit in each id of the hub that is typed without one.

    Raises:
        RunError: an id cannot be read, or the hub and its cache do not know its commit.
    """
    parsed = OverridesParser.create().parse_overrides(list(overrides))
    if any(one.key_or_group == "invocation.offline" and one.value() is True for one in parsed if plain(one)):
        hub.begin(Invocation(offline=True))
    return [_at_commit(override, one) for override, one in zip(overrides, parsed, strict=True)]


def _at_commit(override: str, parsed: Override) -> str:
    group = parsed.key_or_group
    value = parsed.value() if group in GROUPS and plain(parsed) else None
    if not isinstance(value, str) or not value.startswith(PREFIX):
        return override
    found = parse(group, value)
    if found.revision and hub.COMMIT.fullmatch(found.revision):
        return override
    return _written(override, [found.typed(hub_files.commit_of(found.hub_id, found.revision, group))])


def from_project(overrides: Sequence[str], here: Path, root: Path) -> list[str]:
    """The overrides with every folder and file of a group as it is named from the project's folder.

    Args:
        here: the folder in which they were typed.
        root: the project's folder.
    """
    return [_from_project(override, here, root) for override in overrides]


def _from_project(override: str, here: Path, root: Path) -> str:
    group, _, typed = override.partition("=")
    if group.lstrip("+") not in (*GROUPS, start.KEY):
        return override
    if "/" in typed and not typed.startswith(PREFIX) and _there(typed, here):  # whatever characters it holds
        return _written(override, [_placed(typed, group, here, root)])
    try:
        parsed = OverridesParser.create().parse_overrides([override])[0]
    except OverrideParseException:
        return override  # Hydra says what is wrong with it
    value = parsed.value()
    values = value.list if isinstance(value, ChoiceSweep) else [value]
    texts = [one.text if isinstance(one, QuotedString) else one for one in values]
    if not all(isinstance(text, str) for text in texts):
        return override
    placed = [_placed(str(text), group, here, root) for text in texts]
    return override if placed == texts else _written(override, placed)


def _placed(typed: str, group: str, here: Path, root: Path) -> str:
    """A folder or file as the project names it; anything else as it is."""
    if group.lstrip("+") == start.KEY:
        return start.from_project(typed, here, root)
    if typed.startswith(PREFIX) or "/" not in typed or _is_option(typed, group, root):
        return typed
    place = Path(os.path.abspath(here / Path(typed).expanduser()))
    for one in (place, place.resolve()):
        if one.is_relative_to(root):
            inside = one.relative_to(root).as_posix()
            return inside if "/" in inside else f"./{inside}"
    return place.as_posix()


def _is_option(typed: str, group: str, root: Path) -> bool:
    return Places.of(root).option_file(f"{group.lstrip('+')}/{typed}").is_file()


def _there(typed: str, here: Path) -> bool:
    try:
        return (here / Path(typed).expanduser()).exists()
    except (OSError, RuntimeError, ValueError):
        return False


def _written(override: str, values: list[str]) -> str:
    """The override with other values, in quotes where Hydra would not read them without."""
    escaped = [value if PLAIN.fullmatch(value) else '"' + value.replace('"', '\\"') + '"' for value in values]
    return f"{override.partition('=')[0]}={','.join(escaped)}"
