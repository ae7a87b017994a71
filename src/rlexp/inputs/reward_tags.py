"""The tags, such as <think>, that the reward of a run looks for in a completion."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable

from rlexp.compose.run import Run
from rlexp.inputs.reward_source import RewardSource

TAG = re.compile(r"</?[A-Za-z_][\w-]*>")


def looked_for(run: Run, rewards: Iterable[RewardSource]) -> tuple[str, ...]:
    """The tags that a reward file names as text (docstrings do not count) and those of the data's gold completion.

    Only those that are opened and closed somewhere; none for a method without a reward.
    """
    if not run.method.online:
        return ()
    found = {tag for template in run.dataset.golds for tag in TAG.findall(template)}
    for source in rewards:
        tree = ast.parse(source.path.read_bytes())
        message = [n.value for n in ast.walk(tree) if isinstance(n, ast.Expr) and isinstance(n.value, ast.Constant)]
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in message:
                found |= set(TAG.findall(node.value))
    return tuple(sorted(tag for tag in found if {_other(tag), tag} <= found))


def _other(tag: str) -> str:
    return tag.replace("</", "<") if tag.startswith("</") else tag.replace("<", "</", 1)
