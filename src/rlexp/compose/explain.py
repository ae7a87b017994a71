"""Hydra's and OmegaConf's errors in plain words: what, where, the nearest valid choice, what to type."""

from __future__ import annotations

import re
from pathlib import Path

from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf import DictConfig
from omegaconf.errors import (
    ConfigAttributeError,
    ConfigKeyError,
    InterpolationResolutionError,
    MissingMandatoryValue,
    OmegaConfBaseException,
    ValidationError,
)

from rlexp.compose.methods import METHODS, owner
from rlexp.errors import RunError, nearest


def explain(error: HydraException | OmegaConfBaseException, conf: Path) -> RunError:
    """The error a person can act on.

    Args:
        error: what composing raised.
        conf: the project's conf/ folder, whose groups are the valid choices.
    """
    causes = _causes(error)
    for cause in causes:
        if isinstance(cause, RunError):
            return cause
        if isinstance(cause, MissingConfigException):
            return _missing_option(cause)
        if isinstance(cause, OverrideParseException):
            return _unreadable(cause)
        if isinstance(cause, ConfigKeyError | ConfigAttributeError):
            return _unknown_key(cause)
        if isinstance(cause, ValidationError):
            return RunError(_first_line(cause), where=cause.full_key or None, hint=_type_hint(error))
        if isinstance(cause, MissingMandatoryValue):
            return RunError("a value is missing", where=cause.full_key or None, hint=f"type {cause.full_key}=VALUE")
        if isinstance(cause, InterpolationResolutionError):
            return RunError(_first_line(cause), where=cause.full_key or None, hint=f"type {cause.full_key}=VALUE")
    return _no_group(error, conf)


def _causes(error: BaseException) -> list[BaseException]:
    chain: list[BaseException] = []
    current: BaseException | None = error
    while current is not None:
        chain.append(current)
        current = current.__cause__
    return chain[::-1]


def _first_line(error: BaseException) -> str:
    return str(error).strip().split("\n")[0]


def _missing_option(error: MissingConfigException) -> RunError:
    group, _, option = (error.missing_cfg_file or "").rpartition("/")
    options = [name for name in error.options or [] if name]
    if not group:
        return RunError(_first_line(error), hint=f"one of: {', '.join(options)}" if options else None)
    wanted = option.split("+")
    unknown = [part for part in wanted if part not in options]
    guesses = {part: nearest(part, options) for part in unknown}
    hint = f"one of: {', '.join(options)}"
    if all(guesses.values()):
        hint = f"did you mean {group}={'+'.join(guesses.get(part) or part for part in wanted)}? ({hint})"
    named = " and ".join(repr(part) for part in unknown) or repr(option)
    return RunError(f"there is no {group} named {named}", where=f"{group}={option}", hint=hint)


def _unreadable(error: OverrideParseException) -> RunError:
    return RunError(
        f"this override cannot be read: {error.override}",
        hint="type key=value; quote what the shell or Hydra's grammar would cut: 'key=\"a b\"'",
    )


def _unknown_key(error: ConfigKeyError | ConfigAttributeError) -> RunError:
    full_key = error.full_key or str(error.key)
    parent, _, key = full_key.rpartition(".")
    elsewhere = owner(key) if parent == "method" else None
    if elsewhere:
        return RunError(f"{full_key} is not set by hand: {elsewhere}", where=full_key)
    node = error.parent_node
    keys = [str(name) for name in node] if isinstance(node, DictConfig) and not node._is_none() else []
    guess = nearest(key, keys)
    hint: str | None
    if guess:
        hint = f"did you mean {parent + '.' if parent else ''}{guess}?"
    elif parent == "method" and (methods := [m.name for m in METHODS.values() if key in m.all_arguments]):
        hint = f"it is an argument of {', '.join(methods)}"
    else:
        shown = f"python -m rlexp --cfg job --package {parent} lists them" if parent else None
        hint = f"one of: {', '.join(keys)}" if 0 < len(keys) <= 20 else shown
    return RunError(f"there is no key {full_key}", where=full_key, hint=hint)


def _type_hint(error: BaseException) -> str | None:
    override = re.search(r"override (\S+?)=", str(error))
    return f"type {override.group(1)}=VALUE with a value of that type" if override else None


def _no_group(error: BaseException, conf: Path) -> RunError:
    groups = sorted(path.name for path in conf.iterdir() if path.is_dir())
    wanted = re.search(r"Could not override '([^']+)'", str(error))
    if wanted:
        guess = nearest(wanted.group(1), [*groups, "seed", "held_out"])
        hint = f"did you mean {guess}=...?" if guess else f"one of: {', '.join(groups)}, or a key of the tree"
        return RunError(f"there is no group or key {wanted.group(1)}", where=wanted.group(1), hint=hint)
    return RunError(_first_line(error), hint="python -m rlexp --help shows the groups and the grammar")
