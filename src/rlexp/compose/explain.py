"""Hydra's and OmegaConf's errors in plain words: what, where, the nearest valid choice, what to type."""

from __future__ import annotations

import re
from collections.abc import Sequence

import yaml
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

from rlexp.compose import typed_ids
from rlexp.compose.config_file import Scene, explain_yaml, scene
from rlexp.compose.explain_hydra import SWEEPER, first_line, hydras, of_sweeper
from rlexp.compose.file_shape import BOOLEAN, misplaced
from rlexp.compose.methods import METHODS, owner
from rlexp.compose.missing_options import with_others
from rlexp.compose.places import Places
from rlexp.compose.sweep import MISSING
from rlexp.errors import RunError, nearest

ERRORS = (HydraException, OmegaConfBaseException)
"""What composing raises by intent; anything else that Hydra's loader raises is explained by its last line."""
NONE = {"tracking": "none", "health": "off", "reward": "format", "hardware": "auto", "rollout": "auto"}
"""Group -> the option that is nearest to none at all."""

TYPED_ONLY = {
    "resume": (
        "resume= goes with train and plan, where a run is named on the command line",
        "type python -m rlexp resume=outputs/...; from Python: api.resume(RUN)",
    ),
    "eval": (
        "eval= says what is measured after training, and is no part of an experiment: no file of conf/ holds it",
        "leave it out there, and type eval=TASKS behind the command, or evaluate RUN eval=TASKS; what chooses a "
        "checkpoint while it trains is held_out.task",
    ),
    "sweep": (
        "sweep. says how a sweep is run, and is no part of a point: no file of conf/ holds it",
        "leave it out there, and type it behind -m: sweep.workers=2",
    ),
}
"""What is typed, and no key of the tree -> what it is, and what to type."""


def explain(error: Exception, places: Places, overrides: Sequence[str] = ()) -> RunError:
    """The error a person can act on.

    Args:
        error: what composing raised.
        places: where the options are, whose groups are the valid choices.
        overrides: those that were composed.
    """
    causes = _causes(error)
    seen = scene(causes, places)
    shapes = [c for c in causes if "is not a subclass of" in str(c) or re.match("Cannot (merge|assign)", str(c))]
    if shapes and (answer := misplaced(seen, places)):
        return answer
    for cause in causes:
        if isinstance(cause, RunError):  # another one, so that no error is its own cause
            return RunError(cause.what, cause.where, cause.hint)
        if isinstance(cause, OmegaConfBaseException):  # the innermost one still holds OmegaConf's placeholders
            cause = next((c for c in causes[::-1] if type(c) is type(cause)), cause)
        if isinstance(cause, MissingConfigException):
            group = (cause.missing_cfg_file or "").rpartition("/")[0]
            return with_others(_missing_option(cause, seen, places), group, places, overrides)
        if isinstance(cause, OverrideParseException):
            return _unreadable(cause)
        if isinstance(cause, yaml.YAMLError | UnicodeError):
            return explain_yaml(cause, seen)
        if isinstance(cause, ConfigKeyError | ConfigAttributeError):
            return _unknown_key(cause, seen)
        if isinstance(cause, ValidationError):
            return _wrong_type(cause, seen, places, overrides)
        if isinstance(cause, MissingMandatoryValue):
            return RunError(MISSING, where=cause.full_key or None, hint=_give(cause.full_key))
        if isinstance(cause, InterpolationResolutionError):
            key = cause.full_key or ""
            return RunError(first_line(cause), where=seen.where(key), hint=_give(key))
    return hydras(causes, places, seen, overrides)


def null_group(group: str, options: Sequence[str]) -> RunError:
    """The answer to GROUP=null.

    Args:
        group: the group of which none was chosen.
        options: those it has.
    """
    known = [name for name in options if name != "auto"]
    option = NONE.get(group) or (known[0] if known else "OPTION")
    reads = " (a method that scores nothing does not read it)" if group == "reward" else ""
    return RunError(
        f"null is no {group}: every run has one{reads}",
        where=f"{group}=null",
        hint=f"type {group}={option}, or leave it out (one of: {', '.join(options)})",
    )


def _causes(error: BaseException) -> list[BaseException]:
    chain: list[BaseException] = []
    current: BaseException | None = error
    while current is not None:
        chain.append(current)
        current = current.__cause__ or current.__context__
    return chain[::-1]


def _give(key: str | None) -> str:
    return f"type {key}=VALUE" if key else "python -m rlexp --cfg job shows every key and its value"


def _missing_option(error: MissingConfigException, seen: Scene, places: Places) -> RunError:
    group, _, option = (error.missing_cfg_file or "").rpartition("/")
    options = [name for name in error.options or [] if name] or list(places.option_files(group))
    if summed := re.match(r"In '[^']*/([^'/]+\+[^']+)'", str(error)):  # a part of a+b
        option = summed.group(1)
    if not group or group.startswith("schema"):
        named = f"one of: {', '.join(options)}" if options else "leave out --config-name for conf/config.yaml"
        return RunError(first_line(error), hint=named)
    wanted = option.split("+")
    unknown = [part for part in wanted if part not in options]
    guesses = {part: nearest(part, options) for part in unknown}
    if group == "hardware" and option == "gpu" and "cuda" in options:
        guesses = {"gpu": "cuda"}
    outer, _, inner = group.rpartition("/")
    if places.is_group(outer) and places.is_group(inner):
        return RunError(  # a defaults list of an option names groups below its own
            f"the defaults of {seen.option} choose a {inner} without `override`",
            where=seen.place,
            hint=f"write it as `- override /{inner}: {option}`",
        )
    hint = f"one of: {', '.join(options)}" if options else f"put {option}.yaml into conf/{group}"
    if guesses and all(guesses.values()):
        hint = f"did you mean {group}={'+'.join(guesses.get(part) or part for part in wanted)}? ({hint})"
    if group in typed_ids.GROUPS and (places.root / option).exists():
        hint = f"a folder or a file is typed with a /: type {group}=./{option} ({hint})"
    named = " and ".join(repr(part) for part in unknown) or repr(option)
    return RunError(f"there is no {group} named {named}", where=seen.place or f"{group}={option}", hint=hint)


def _unreadable(error: OverrideParseException) -> RunError:
    key, sign, value = str(error.override).partition("=")
    if not key.strip("+~ "):
        return RunError(f"a key is missing: {error.override!r}", where="the command line", hint="type KEY=VALUE")
    if not sign:
        return RunError(f"{key} needs a value", where=key, hint=f"type {key}=VALUE")
    quoted = value.replace("\\", "\\\\").replace('"', '\\"').replace("'", r"'\''")
    readable = re.fullmatch(r"[+~]{0,2}[\w./@:$-]+", key)
    return RunError(
        f"this override cannot be read: {error.override}",
        hint="quote what the shell or Hydra's grammar would cut: type "
        + (f"'{key}=\"{quoted}\"'" if readable else "'KEY=\"a b\"'"),
    )


def _unknown_key(error: ConfigKeyError | ConfigAttributeError, seen: Scene) -> RunError:
    full_key = error.full_key or str(error.key)
    parent, _, key = full_key.rpartition(".")
    where = seen.where(full_key)
    if seen.lacks_package(full_key):
        return RunError(
            "its keys are not those of the whole tree: the file does not begin with # @package _global_",
            where=seen.place,
            hint="write `# @package _global_` as its first line",
        )
    if nested := re.fullmatch(r"dataset\.parts\.([\w-]+)\.parts", full_key):
        return RunError(
            f"{nested[1]} is a mixture itself, and the parts of a mixture are one data set each",
            where=where,
            hint=f"name the parts of {nested[1]} in its place: type dataset=A+B",
        )
    if full_key in TYPED_ONLY:
        what, hint = TYPED_ONLY[full_key]
        return RunError(what, where=where, hint=hint)
    elsewhere = owner(key) if parent == "method" else None
    if elsewhere:
        return RunError(f"{full_key} is not set by hand: {elsewhere}", where=where, hint=f"leave out {full_key}")
    node = error.parent_node
    keys = [str(name) for name in node] if isinstance(node, DictConfig) and not node._is_none() else []
    guess = nearest(key, keys if parent else [*keys, *TYPED_ONLY])
    if guess:
        hint = f"did you mean {parent + '.' if parent else ''}{guess}?"
    elif parent == "method" and (methods := [m.name for m in METHODS.values() if key in m.all_arguments]):
        hint = f"it is an argument of {', '.join(methods)}: type method={methods[0]}"
    elif 0 < len(keys) <= 20:
        hint = f"one of: {', '.join(keys)}"
    elif parent.startswith("reward.terms.") and parent.endswith(".params") and not keys:
        hint = f"leave it out: its option states no parameters; where its score() takes {key}: type +{full_key}=VALUE"
    else:
        package = f" --package {parent}" if parent else ""
        hint = f"python -m rlexp --cfg job{package} lists them"
    return RunError(f"there is no key {full_key}", where=where, hint=hint)


def _wrong_type(error: ValidationError, seen: Scene, places: Places, overrides: Sequence[str]) -> RunError:
    key = error.full_key or seen.key or ""
    if seen.override and SWEEPER in seen.override:
        return of_sweeper(seen.override)
    where, what = seen.where(key), first_line(error)
    if "not Optional" in what:
        hint = f"leave it out: {key} has a value of its own" if key else "write a value"
        return RunError(f"{key or what} cannot be null", where=where, hint=hint)
    if "is not a subclass of" in what:
        return _wrong_node(seen.key or error.full_key or seen.group(places), where, places)
    if choices := re.search(r"expected one of \[(.*?)\]", what):
        names = choices.group(1).split(", ")
        typed = re.search(r"Invalid value '(.*?)'", what)
        guess = nearest(typed.group(1), names) if typed else None
        if typed and typed.group(1) in ("True", "False"):
            what += BOOLEAN
        hint = f"type {key}={guess or names[0]} (one of: {', '.join(names)})" if key else f"one of: {', '.join(names)}"
    elif "is not a ListConfig" in what and key:
        what = f"{key} takes a list"
        given = seen.override or next((one for one in overrides if one.lstrip("+~").startswith(f"{key}=")), "")
        hint = f"type {key}=[{given.partition('=')[2] or 'VALUE'}], in brackets"
    else:
        hint = f"type {key}=VALUE with a value of that type" if key else "write a value of that type"
    return RunError(what, where=where, hint=hint)


def _wrong_node(key: str, where: str | None, places: Places) -> RunError:
    """The answer to one value, or to the option of another kind, where a group of keys stands."""
    if key.startswith("reward.terms."):
        name = key.split(".")[2]
        return RunError(
            f"the term {name} is made by no option of the reward",
            where=where,
            hint=f"put its file and its weight into conf/reward/{name}.yaml, and add it: type reward=format+{name}",
        )
    if places.is_group(key):
        options = list(places.option_files(key))
        sweep = "; two data types: type -m experiment=sums_grpo,sums_dpo" if key == "method" else ""
        return RunError(
            f"{key} is a group, and takes one option",
            where=where,
            hint=f"type {key}={options[0]} (one of: {', '.join(options)}), "
            f"in a file `- override /{key}: OPTION`{sweep}",
        )
    return RunError(f"{key or 'this'} is a group of keys", where=where, hint=f"type {key}.KEY=VALUE, a key at a time")
