"""The versions of reward files: code that changes must say so by a higher ``version``.

``rewards/versions.yaml``, which is committed, keeps the hash of the code that each version of each file stands for.
After the ``metadata.version`` of tasks in EleutherAI/lm-evaluation-harness, where only people watch over it.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import yaml

from rlexp.inputs.reward_source import RewardSource

FILE = Path("rewards") / "versions.yaml"
HEAD = "# What the code of each version hashes to; python -m rlexp score --record adds to it. Never edit a line.\n"


def read(root: Path) -> dict[str, dict[int, str]]:
    """Reward file -> version -> code hash, as recorded; empty where nothing was recorded yet."""
    path = root / FILE
    return yaml.safe_load(path.read_text()) or {} if path.is_file() else {}


def faults(root: Path, sources: Iterable[RewardSource]) -> list[str]:
    """One sentence for every reward whose code is not the one that its version stands for."""
    recorded = read(root)
    said = []
    for source in sources:
        versions = recorded.get(source.file, {})
        if versions.get(source.version, source.code_md5) != source.code_md5:
            said.append(
                f"{source.file} changed, and its version is still {source.version}: "
                f"write version = {max(versions) + 1} in it"
            )
    return said


def record(root: Path, sources: Iterable[RewardSource]) -> list[RewardSource]:
    """Adds the versions that are new to ``rewards/versions.yaml``.

    Returns:
        The sources whose version was added; those with a fault (``faults``) never are.
    """
    recorded = read(root)
    added = [source for source in sources if source.version not in recorded.get(source.file, {})]
    for source in added:
        recorded.setdefault(source.file, {})[source.version] = source.code_md5
    if added:
        (root / FILE).write_text(HEAD + yaml.safe_dump(recorded))
    return added
