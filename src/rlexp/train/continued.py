"""The config of a run that another attempt or another run goes on with: the locked one, and what is typed over it.

What ``conf/`` composes otherwise by now is not taken. An override changes what it changes in a composition of the run's
own overrides: the key or the group that it names, and what follows these.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rlexp.compare.differences import ABSENT, differences, lines
from rlexp.compose.points import CommandLine
from rlexp.compose.run import Run
from rlexp.errors import RunError
from rlexp.record import locked_config
from rlexp.record.finished import FinishedRun
from rlexp.record.go_on import key_of
from rlexp.record.run_folder import LOCK

LENGTHS = ("method.max_steps", "method.num_train_epochs")
"""Keys of which one takes the place of the other."""
FREE = ("rollout.gpu_memory_utilization", "rollout.why", "model.size")
"""Keys that follow the machine, or are only estimated from."""
Tree = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Continued:
    """What is done with every run that is composed over another one; a launcher may send it to another process."""

    root: Path
    config: Tree
    """The locked config, its newer keys at their defaults."""
    overrides: tuple[str, ...]
    """Those of the locked run."""
    composed: Tree | None
    """What these compose now; None where they do not compose any more."""
    note: str
    """What of it is not taken, in words; empty where nothing is."""

    def __call__(self, run: Run, overrides: Sequence[str]) -> Run:
        """The run to go on with.

        Args:
            run: as Hydra composed it.
            overrides: those that it was composed of.

        Raises:
            RunError: the config with its changes is no run.
        """
        now, tree = run.config(), copy.deepcopy(self.config)
        keys = [key_of(one) for one in overrides if one not in self.overrides]
        if self.composed is not None:
            for key, (_, value) in differences(self.composed, now).items():
                _put(tree, key, value)
        for key in keys:
            if (value := _get(now, key)) is not ABSENT:
                _put(tree, key, value)
        return locked_config.run_of(tree, self.root, LOCK) if tree != self.config else self._as_locked()

    def _as_locked(self) -> Run:
        return locked_config.run_of(self.config, self.root, LOCK)


def over(line: CommandLine, original: FinishedRun, typed: Sequence[str], more: Sequence[str] = ()) -> CommandLine:
    """The command line that composes a locked run with what was typed over it.

    Args:
        line: how it was typed: its folders of options, and whether it sweeps.
        typed: the overrides, without ``resume=`` and ``fork=``.
        more: overrides of our own that stand behind them.

    Raises:
        RunError: the lock's config is no run of this version.
    """
    locked = list(original.lock["overrides"])
    config, composed = original.run.config(), None
    try:
        plain = dataclasses.replace(line, overrides=locked, multirun=False, over=None)
        composed = plain.points()[0].run.config()
        note = _drift(config, composed)
    except RunError as error:
        note = f"conf/ no longer composes the lock's overrides ({error.what}): the lock's config is taken"
        locked = [f"method={config['method']['name']}"]
    continued = Continued(original.root, config, tuple(locked), composed, note)
    return dataclasses.replace(line, overrides=[*without(locked, [*typed, *more]), *typed, *more], over=continued)


def without(locked: Sequence[str], typed: Sequence[str]) -> list[str]:
    """The locked overrides less those that typed ones take the place of: the same key, or one of a group that is chosen
    anew."""
    keys = {key_of(one) for one in typed}
    if keys & set(LENGTHS):
        keys |= set(LENGTHS)
    return [one for one in locked if not any(key_of(one) == key or key_of(one).startswith(f"{key}.") for key in keys)]


def _drift(locked: Tree, composed: Tree) -> str:
    """What the same overrides compose otherwise now, but for what follows the machine."""
    skipped = ["hardware.", *FREE, *(["rollout."] if locked["rollout"]["why"] else [])]
    found = {k: v for k, v in differences(locked, composed).items() if not k.startswith(tuple(skipped))}
    return f"conf/ composes otherwise now, the lock's config is taken ({'; '.join(lines(found))})" if found else ""


def _get(tree: Tree, key: str) -> Any:
    found: Any = tree
    for name in key.split("."):
        found = found.get(name, ABSENT) if isinstance(found, dict) else ABSENT
    return found


def _put(tree: Tree, key: str, value: Any) -> None:
    *above, name = key.split(".")
    for one in above:
        if not isinstance(tree.get(one), dict):
            tree[one] = {}
        tree = tree[one]
    if value is ABSENT or value == ABSENT:
        tree.pop(name, None)
    else:
        tree[name] = copy.deepcopy(value)
