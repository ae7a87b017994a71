"""What a lock asks for beyond code that is named by its hash: it chooses what code that is trusted does.

Params decide where a judge sends data, which file is read and whether a sandbox is used. So every one that this
project's ``conf/`` does not say for the same file is a request, and the lock that holds it needs a yes; only numbers
may be others.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from rlexp import secrets
from rlexp.compose.environment import leaves, variables
from rlexp.compose.places import Places

VARIABLE_NAME = re.compile(r"[A-Z][A-Z0-9_]+")
LOCAL_TRACKERS = ("tensorboard", "none")
"""Trackers that send nothing away."""
ABSENT = object()


def requests(lock: dict[str, Any], root: Path) -> list[str]:
    """What a lock has done that this project does not do by itself.

    Args:
        lock: the content of a lock, whose shape was verified.
        root: the project folder, whose options, beside those of rlexp, say which params are ordinary.
    """
    config, source = lock["config"], lock["inputs"]["data"].get("source", {})
    made = _sources(source)
    tree = {**config, "source": {key: one.get("params", {}) for key, one in made.items()}}
    found = [f"model.{name}" for name in ("trust_remote_code", "allow_pickle") if config["model"].get(name)]
    named = {text for _, text in leaves(tree) if VARIABLE_NAME.fullmatch(text) and secrets.NAMED.search(text)}
    found += [f"the environment variable {name}" for name in sorted({*variables(tree), *named})]
    found += list(_params(config, made, Places.of(root)))
    rollout, tracking = _mapping(config.get("rollout")), _mapping(config.get("tracking"))
    found += ["rollout.server_url"] if rollout.get("server_url") else []
    found += _other("rollout.engine", rollout.get("engine"), [])
    trackers = [name for _, name in leaves(tracking.get("report_to")) if name not in LOCAL_TRACKERS]
    return found + [f"tracking.report_to={name}" for name in trackers]


def _sources(source: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Key -> what a lock says of where rows come from: those of the data, and of the parts of a mixture."""
    parts = source.get("parts", {})
    return {
        "inputs.data.source": source,
        **{f"inputs.data.source.parts.{name}.source": part["source"] for name, part in parts.items()},
    }


def _params(config: dict[str, Any], made: dict[str, dict[str, Any]], places: Places) -> Iterator[str]:
    """The keys of params whose values are not this project's."""
    rewards: dict[str, list[Any]] = {}
    for option in _options(places, "reward"):
        for term in _mapping(option.get("terms")).values():
            term = _mapping(term)
            rewards.setdefault(str(term.get("file")), []).append(term.get("params"))
    for name, term in config["reward"]["terms"].items():
        yield from _other(f"reward.terms.{name}.params", term.get("params"), rewards.get(term["file"], []))
    asked = [("dataset", "dataset", config["dataset"]), ("model", "model", config["model"])]
    parts = _mapping(config["dataset"].get("parts"))
    asked += [(f"dataset.parts.{name}", "dataset", part) for name, part in parts.items()]
    for key, group, option in asked:
        option = _mapping(option)
        known = [o.get("params") for o in _options(places, group) if o.get("prepare") == option.get("prepare")]
        yield from _other(f"{key}.params", option.get("params"), known)
    for key, one in made.items():
        script = PurePosixPath(one.get("script", "")).stem
        known = [option.get("params") for option in _options(places, "dataset") if option.get("prepare") == script]
        yield from _other(f"{key}.params", one.get("params"), known)


def _other(key: str, params: Any, known: list[Any]) -> Iterator[str]:
    """The keys of params that have another value than in each of the known ones."""
    if params and not isinstance(params, dict):
        yield key
        return
    for name, value in _mapping(params).items():
        if not any(_ordinary(value, _mapping(own).get(name, ABSENT)) for own in known or [{}]):
            yield f"{key}.{name}"


def _ordinary(value: Any, own: Any) -> bool:
    """Says whether a value is the project's own, or differs from it in numbers only."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return True
    if isinstance(value, dict) and isinstance(own, dict):
        return all(_ordinary(part, own.get(name, ABSENT)) for name, part in value.items())
    if isinstance(value, list) and all(isinstance(part, int | float) for part in value):
        return True
    return type(value) is type(own) and value == own


def _options(places: Places, group: str) -> Iterator[dict[str, Any]]:
    """The options of a group as their files say them; a file that cannot be read makes nothing ordinary."""
    for file in places.option_files(group).values():
        try:
            option = yaml.safe_load(file.read_text(encoding="utf-8"))
        except (OSError, ValueError, yaml.YAMLError):
            continue
        if isinstance(option, dict):
            yield option


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
