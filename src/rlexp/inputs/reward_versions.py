"""The versions of reward files: code that changes must say so by a higher ``version``.

``rewards.lock.yaml``, which is committed, keeps the hash of the code that each version of each file stands for.
After the ``metadata.version`` of tasks in EleutherAI/lm-evaluation-harness, where only people watch over it.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from rlexp.errors import RunError
from rlexp.inputs.reward_source import RewardSource

FILE = Path("rewards.lock.yaml")
HEAD = "# What the code of each version hashes to; python -m rlexp score --record adds to it. Never edit a line.\n"
RECORDED, NEW, CHANGED = "recorded", "new", "changed"


def read(root: Path) -> dict[str, dict[int, str]]:
    """Reward file -> version -> code hash, as recorded; empty where nothing was recorded yet.

    Raises:
        RunError: ``rewards.lock.yaml`` is not what ``record`` writes.
    """
    path = root / FILE
    if not path.is_file():
        return {}
    try:
        recorded = yaml.safe_load(path.read_text())
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{FILE}:{mark.line + 1}" if mark else str(FILE)
        raise _malformed(getattr(error, "problem", None) or str(error), where) from error
    if recorded is None:
        return {}
    if not isinstance(recorded, dict):
        raise _malformed("it does not begin with the name of a reward file", str(FILE))
    for file, versions in recorded.items():
        for version, md5 in versions.items() if isinstance(versions, dict) else [(None, versions)]:
            if type(version) is not int or not isinstance(md5, str):
                raise _malformed("a reward file is followed by lines of the form 1: HASH", f"{FILE}: {file}")
    return recorded


def _malformed(what: str, where: str) -> RunError:
    return RunError(
        f"the record of reward versions cannot be read: {what}",
        where=where,
        hint=f"git checkout {FILE}; after a merge keep the lines of both sides",
    )


def mark(recorded: dict[str, dict[int, str]], source: RewardSource) -> str:
    """The relation of a reward to what is recorded: RECORDED, NEW, or CHANGED (its version stands for other code)."""
    versions = recorded.get(source.file, {})
    if source.version in versions:
        return RECORDED if versions[source.version] == source.code_md5 else CHANGED
    # A number below the newest one was passed over or never was: new code goes on top.
    return NEW if source.version > max(versions, default=source.version - 1) else CHANGED


def faults(root: Path, sources: Iterable[RewardSource]) -> list[str]:
    """One sentence for every reward file whose code is not the one that its version stands for.

    Raises:
        RunError: ``rewards.lock.yaml`` is malformed.
    """
    recorded = read(root)
    changed = {source.file: source for source in sources if mark(recorded, source) == CHANGED}
    return [_fault(recorded[source.file], source) for source in changed.values()]


def _fault(versions: dict[int, str], source: RewardSource) -> str:
    known = [version for version, md5 in versions.items() if md5 == source.code_md5]
    if known:
        return f"{source.file} holds the code of version {max(known)}: write version = {max(known)} in it"
    write = f"write version = {max(versions) + 1} in it"
    if source.version in versions:
        return f"{source.file} changed, and its version is still {source.version}: {write}"
    return f"{source.file} holds new code, and its version {source.version} is lower than {max(versions)}: {write}"


def record(root: Path, sources: Iterable[RewardSource]) -> list[RewardSource]:
    """Adds the versions that are new to ``rewards.lock.yaml``.

    Returns:
        The sources whose version was added; those with a fault (``faults``) never are.

    Raises:
        RunError: ``rewards.lock.yaml`` is malformed.
    """
    recorded: dict[str, Any] = read(root)
    added = list({source.file: source for source in sources if mark(recorded, source) == NEW}.values())
    for source in added:
        recorded.setdefault(source.file, {})[source.version] = source.code_md5
    if added:
        (root / FILE).write_text(HEAD + yaml.safe_dump(recorded))
    return added
