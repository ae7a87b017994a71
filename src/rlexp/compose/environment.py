"""Values that a config takes from the environment: ``${oc.env:NAME}`` in the params of rewards, data and model.

The Run, and so every record of it, holds the reference; the value is put in where a reward or a script is called.
A secret that is typed out is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from rlexp import secrets
from rlexp.errors import RunError
from rlexp.shapes import steers

REFERENCE = re.compile(r"\$\{\s*oc\.env\s*:\s*([^,}\s]+)")
PARAMS = re.compile(r"(model|dataset)\.params\..+|reward\.terms\.[^.]+\.params\..+")
"""The keys whose value may come from the environment."""
SURE = re.compile(
    r"(^|_)(api_?key|access_?key|secret|passw(or)?d|credentials?)$|^((access|api|auth|bearer|hf|hub|refresh)_?)?token$",
    re.I,
)
"""A key of params whose value is a secret, whatever it looks like."""
DENSE = re.compile(r"(?=.*\d)(?=.*[A-Za-z])[\w+/=.-]{20,}")
"""A value that looks drawn: a secret under a key that may be one."""
NAMES_A_PLACE = ("_variable", "_env", "_file", "_path", "_name")
"""Endings of keys that hold where a secret is, not the secret."""


def leaves(tree: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, str]]:
    """(key, text) of every text in a tree of JSON values."""
    items = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, value in items:
        yield from leaves(value, (*path, str(key)))
    if isinstance(tree, str):
        yield ".".join(path), tree


def variables(tree: Any) -> list[str]:
    """The variables of the environment that a tree refers to, in order."""
    return sorted({name for _, text in leaves(tree) for name in REFERENCE.findall(text)})


def kept(tree: Any, path: tuple[str, ...] = ()) -> Any:
    """An unresolved tree in which references to the environment are text that no resolving takes apart.

    Raises:
        RunError: a reference stands elsewhere than in params, or a text is a secret that was typed out or holds control
            characters.
    """
    if isinstance(tree, dict):
        return {key: kept(value, (*path, str(key))) for key, value in tree.items()}
    if isinstance(tree, list):
        return [kept(value, (*path, str(number))) for number, value in enumerate(tree)]
    if not isinstance(tree, str):
        return tree
    key, names = ".".join(path), REFERENCE.findall(tree)
    if steers(tree):
        raise RunError(
            f"{key} holds control characters, and no lock holds any: {tree[:80]!r}",
            where=key,
            hint=f"type {key}= without them; a new line and a tab may be",
        )
    if not names:
        _refuse_secret(key, tree)
        return tree
    if not PARAMS.fullmatch(key):
        raise RunError(
            f"{key} refers to the environment ({', '.join(names)}), and only params may: everything else is recorded",
            where=key,
            hint=f"type its value: {key}=VALUE",
        )
    for name in names:
        secrets.watch(name)
    return re.sub(r"(?<!\\)\$\{", r"\\${", tree)


def resolved(params: Any) -> Any:
    """The params with the values of the environment in them, for the call of a reward or a script only.

    Raises:
        RunError: a variable is not set.
    """
    if isinstance(params, dict):
        return {key: resolved(value) for key, value in params.items()}
    if isinstance(params, list):
        return [resolved(value) for value in params]
    if not isinstance(params, str) or not REFERENCE.search(params):
        return params
    try:
        return OmegaConf.create({"value": params}).value
    except OmegaConfBaseException as error:
        name = REFERENCE.findall(params)[0]
        raise RunError(
            f"{params} has no value: {str(error).splitlines()[0]}",
            where=f"the environment variable {name}",
            hint=f"export {name}=... before the command",
        ) from error


def _refuse_secret(key: str, text: str) -> None:
    name = key.rpartition(".")[2]
    secret, holder = PARAMS.fullmatch(key) and not name.endswith(NAMES_A_PLACE), secrets.holder(text)
    if secret and text and (SURE.search(name) or (secrets.NAMED.search(name) and DENSE.fullmatch(text))):
        holder = holder or ""
    if holder is None:
        return
    variable = holder or re.sub(r"\W+", "_", name).upper()
    raise RunError(
        f"{key} holds what looks like a secret, and a record is made to be handed on",
        where=key,
        hint=f"export {variable}=... and type '{key}=${{oc.env:{variable}}}'"
        if PARAMS.fullmatch(key)
        else f"leave it out of {key}: only params take a secret, as ${{oc.env:{variable}}}",
    )
