"""A second root beside a run's tree: ``eval=a+b eval.samples=4``, ``export=gguf export.gguf.types=[q8_0]``.

It is taken from the overrides before Hydra reads them, and composed on its own, so that no lock of a run and no
identity knows of what comes after it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import OverrideParseException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from rlexp.compose import ranges
from rlexp.compose.explain import explain
from rlexp.compose.places import Places
from rlexp.errors import RunError

UNQUOTED = re.compile(r"[\w:.+-]+")


@dataclass(frozen=True)
class Asked:
    """What was typed of a second root."""

    names: tuple[str, ...] = ()
    """What it names; none where ``ROOT=`` was not typed."""
    settings: tuple[str, ...] = ()
    """``KEY=VALUE`` behind ``ROOT.``, as typed."""
    typed: tuple[str, ...] = ()
    """The overrides, whole."""


@dataclass(frozen=True)
class SecondRoot:
    """One of them, and what its messages say."""

    key: str
    """``eval``, ``export``."""
    things: str
    """What it names: eval tasks, formats."""
    thing: str
    """One of them."""
    act: str
    """What it asks for: an evaluation, an export."""
    example: str
    """A name that there always is."""
    name: re.Pattern[str]
    """What a name looks like."""
    forms: str
    """The forms that a wrong name is answered with."""

    def take(self, overrides: Sequence[str]) -> tuple[list[str], Asked]:
        """Takes ``ROOT=`` and ``ROOT.KEY=`` out of the overrides.

        Returns:
            (the other overrides, what was taken).

        Raises:
            RunError: one is typed twice, sweeps, or cannot be read.
        """
        own = [one for one in overrides if re.match(rf"[+~]*{self.key}(\.[^=]*)?(=|$)", one)]
        rest = [one for one in overrides if one not in own]
        names: tuple[str, ...] = ()
        settings = []
        for one in own:
            key, _, raw = one.lstrip("+").partition("=")
            if one.startswith("~") or not raw:
                hint = f"type {self.key}={self.example}, or leave it out"
                raise RunError(f"{self.key}= names {self.things}", where=one, hint=hint)
            if key == self.key:
                if names:
                    hint = f"type {self.key}={'+'.join(names)}+{self._text(one)}"
                    raise RunError(f"{self.key}= is typed twice", where=one, hint=hint)
                names = self._names(one)
            else:
                self._text(one)
                settings.append(one.lstrip("+").removeprefix(f"{self.key}."))
        return rest, Asked(names, tuple(settings), tuple(own))

    def _text(self, override: str) -> Any:
        """The value of an override.

        Raises:
            RunError: it sweeps, or Hydra cannot read it.
        """
        try:
            parsed = OverridesParser.create().parse_overrides([f"{self.key}={override.partition('=')[2]}"])[0]
        except OverrideParseException as error:
            hint = f"put quotes around it: '{override.partition('=')[0]}=\"...\"'"
            raise RunError("this cannot be read", where=override, hint=hint) from error
        if parsed.is_sweep_override():
            key, _, raw = override.partition("=")
            plus = f"type {key}={raw.replace(',', '+')}"
            hint = plus if key == self.key else f"type one value: {key}={raw.split(',')[0]}"
            what = f"{self.act} is not swept: all of its {self.things.split()[-1]} go into one"
            raise RunError(what, where=override, hint=hint)
        return parsed.value()

    def _names(self, override: str) -> tuple[str, ...]:
        raw = override.partition("=")[2]
        value = raw if UNQUOTED.fullmatch(raw) else self._text(override)  # Hydra reads no letters but those of ASCII
        texts = value if isinstance(value, list) else [value]
        names = [name for text in texts for name in str(text).split("+")]
        for name in names:
            if not self.name.fullmatch(name):
                what = f"{name!r} is no name of {self.thing}"
                raise RunError(what, where=override, hint=f"type {self.forms}")
            if names.count(name) > 1:
                once = "+".join(dict.fromkeys(names))
                raise RunError(f"{self.key}= names {name} twice", where=override, hint=f"type {self.key}={once}")
        if not names:
            hint = f"type {self.key}={self.example}"
            raise RunError(f"{self.key}= names {self.things}", where=override, hint=hint)
        return tuple(names)


def composed(schema: type[Any], tree: dict[str, Any], settings: Sequence[str], places: Places) -> Any:
    """A tree with settings over it, as a schema's dataclass, every number in its range.

    Args:
        tree: plain values.
        settings: ``KEY=VALUE``, in Hydra's grammar.

    Raises:
        RunError: a key is unknown, or a value has another type or range; ``where`` is the key.
    """
    node = OmegaConf.structured(schema)
    try:
        node = OmegaConf.merge(node, OmegaConf.create(tree))
        for setting in settings:
            key, _, raw = setting.partition("=")
            OmegaConf.update(node, key, OverridesParser.create().parse_overrides([f"value={raw}"])[0].value())
        found = OmegaConf.to_object(node)
    except OmegaConfBaseException as error:
        raise explain(error, places, settings) from error
    ranges.require_fields(found)
    return found
