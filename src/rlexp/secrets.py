"""Secrets: which strings are ones, and texts without them.

What a run writes passes ``masked``: values of the environment (and of ``.env``, netrc and the hub's login) whose name
says that they are secret, and texts that look like a well-known provider's key.
"""

from __future__ import annotations

import contextlib
import json
import netrc
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

MASK = "***"
SHORTEST = 8
"""Characters that a secret has at least; shorter values stand in too many texts by chance."""
NAMED = re.compile(r"KEY|TOKEN|SECRET|PASSW|CREDENTIAL", re.I)
"""A name that says that its value is secret."""
LOOKS = re.compile(
    r"\bhf_[A-Za-z0-9]{20,}|\bsk-(?=[\w-]*\d)[\w-]{20,}|\bgh[pousr]_[A-Za-z0-9]{20,}|\bgithub_pat_\w{20,}"
    r"|\bglpat-[\w-]{16,}|\bAKIA[0-9A-Z]{16}\b|\bxox[abeoprs]-[\w-]{10,}|\bAIza[\w-]{30,}"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)"
)
"""Keys of well-known providers (Hugging Face, OpenAI, GitHub, GitLab, AWS, Slack, Google), and private keys."""
LOGIN = re.compile(r"(?<=://)[^/\s@'\"]+(?=@)")
"""The user and password in a URL."""

_watched: set[str] = set()
_learned: set[str] = set()


def watch(variable: str) -> None:
    """Counts a variable of the environment as secret, whatever its name: a config refers to it."""
    _watched.add(variable)


def learn(root: Path) -> None:
    """Reads the secrets that lie in files: ``.env*`` of the project, netrc, the hub's login.

    Args:
        root: the project folder.
    """
    with contextlib.suppress(OSError):  # the folder is gone
        for file in root.glob(".env*"):
            _learned.update(_of_dotenv(file))
    home = Path(os.environ.get("HF_HOME", "~/.cache/huggingface")).expanduser()
    _learned.add(_text(Path(os.environ.get("HF_TOKEN_PATH", home / "token"))).strip())
    try:
        hosts = netrc.netrc(os.environ.get("NETRC")).hosts
    except (OSError, netrc.NetrcParseError, RuntimeError):
        hosts = {}
    _learned.update(entry[2] for entry in hosts.values() if entry[2])


def values() -> list[str]:
    """The secret values that are known, the longest first."""
    named = {value for name, value in os.environ.items() if NAMED.search(name) or name in _watched}
    return sorted(filter(_counts, named | _learned), key=len, reverse=True)


def holder(text: str) -> str | None:
    """The name of the variable whose secret value stands in a text; "" where no variable holds it, None without one."""
    found = next((value for value in values() if value in text), None)
    if found is None:
        return "" if LOOKS.search(text) else None
    return next((name for name, value in os.environ.items() if value == found), "")


def masker() -> Callable[[str], str]:
    """``masked`` for many texts: the secrets that are known now are looked up once."""
    forms: dict[str, None] = {}
    for value in values():
        written = (value, json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1], repr(value)[1:-1])
        forms |= dict.fromkeys((*written, quote(value, safe=""), quote(value)))

    def mask(text: str) -> str:
        for form in forms:
            text = text.replace(form, MASK)
        return LOGIN.sub(MASK, LOOKS.sub(MASK, text))

    return mask


def masked(text: str) -> str:
    """The text with ``***`` in place of every secret, also of those that JSON, ``repr`` or a URL wrote otherwise."""
    return masker()(text)


def masked_tree(tree: Any) -> Any:
    """The same of every text in a tree of JSON values."""
    mask = masker()

    def every(part: Any) -> Any:
        if isinstance(part, dict):
            return {every(name): every(value) for name, value in part.items()}
        if isinstance(part, list):
            return [every(value) for value in part]
        return mask(part) if isinstance(part, str) else part

    return every(tree)


def clean_file(path: Path) -> None:
    """Masks a text file that others wrote."""
    if not path.is_file():
        return
    text = path.read_bytes().decode(errors="surrogateescape")
    if (clean := masked(text)) != text:
        path.write_bytes(clean.encode(errors="surrogateescape"))


def _of_dotenv(file: Path) -> set[str]:
    lines = [line.strip().removeprefix("export ") for line in _text(file).splitlines()]
    return {line.partition("=")[2].strip().strip("'\"") for line in lines if "=" in line and not line.startswith("#")}


def _text(file: Path) -> str:
    try:
        return file.read_text(errors="replace")
    except OSError:
        return ""


def _counts(value: str) -> bool:
    """Says whether a value can be told from ordinary text: long enough, no plain word, no path that is there."""
    if len(value) < SHORTEST or (len(value) < 20 and re.fullmatch(r"[a-z_-]+", value)):
        return False
    return not (value.startswith(("/", "~", ".")) and os.path.exists(os.path.expanduser(value)))
