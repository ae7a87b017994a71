"""Every difference between two recorded runs, each with its risk and the variable it belongs to.

Every fact of a run (config, inputs, versions, machine, code) becomes one leaf of one tree; the leaves that differ are
ranked by the table RULES. What only follows from another difference is shown, and not counted.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from rlexp.compare import patches
from rlexp.compare.differences import ABSENT, differences, leaf
from rlexp.compare.facts import facts
from rlexp.compose.methods import METHODS
from rlexp.record.finished import FinishedRun

RISKS = ("high", "medium", "low")
TRAINING = ("unsloth", "unsloth_zoo", "trl", "transformers", "peft", "torch", "vllm", "bitsandbytes")
"""Packages that training itself runs through."""

WATCHING = ("logging_*", "log_*", "save_*", "eval_*", "include_*", "dataloader_num_workers", "dataloader_pin_memory")
"""Arguments of a method that say what is logged, saved and measured, not what is learned."""

RULES = (
    ("model.system_prompt", "template", "high", "template"),
    ("template", "template", "high", "template"),
    ("model.start", "start", "low", ""),
    ("model.start_*", "start", "high", "start"),
    ("model.*", "model", "high", "model"),
    ("dataset.*", "data", "high", "data"),
    ("reward.terms.*.weight", "reward", "medium", "reward.{term}"),
    ("reward.terms.*.params.*", "reward", "medium", "reward.{term}"),
    ("reward.terms.*", "reward", "high", "reward.{term}"),
    ("method.name", "method", "high", "method"),
    *((f"method.{name}", "method", "low", "") for name in WATCHING),
    ("method.*", "method", "medium", "{key}"),
    *((f"software.{name}", "software", "medium", "software") for name in TRAINING),
    ("software.*", "software", "low", ""),
    ("code.*", "code", "medium", "code"),
    *((key, "patches", "medium", "") for key in ("patches.*", "rollout.patches")),
    ("hardware.dtype", "hardware", "medium", ""),
    ("hardware.*", "hardware", "low", ""),
    ("machine.*", "hardware", "low", ""),
    *(("seed", "seed", "low", ""), ("fork", "fork", "low", ""), ("fork_sha256", "fork", "high", "fork")),
    ("*", "other", "low", ""),
)
"""(pattern of a key, area, risk, the big variable it belongs to or nothing); the first that matches holds."""

SOURCES = (
    ("method.learning_rate", "model.learning_rate.{method}"),
    ("method.max_completion_length", "model.max_completion_length"),
    ("method.max_length", "model.max_seq_length"),
    ("reward.terms.*.params.*", "model.max_completion_length"),
    ("held_out.max_new_tokens", "method.max_completion_length"),
    ("held_out.max_new_tokens", "model.max_completion_length"),
)
"""Keys that follow another one by interpolation (conf/method, conf/reward, compose/schema.py), and which."""

NAMES = ("name", "path", "hub_id", "revision", "prepare", "script", "params.*", "type", "size", "size.*")
"""Keys that only name where a model or a data set comes from, or its shape; its files are compared by hash."""

GROWING, FREE = ("model.*", "method.*"), ("model.file.*", "model.params.*", "model.learning_rate.*")
"""Groups in which a key that one run lacks came with another version of TRL or rlexp, and where it did not."""

DEFAULTS = ("model.learning_rate.*", "model.max_completion_length", "model.size.*")
"""Keys that a model option proposes to the method, whose own arguments show the outcome; and the model's shape."""


@dataclass(frozen=True)
class Change:
    """One difference between two runs."""

    area: str
    key: str
    """The key as it is typed, where it is a key of the configuration."""
    a: Any
    b: Any
    """The values; None where a run has none."""
    risk: str
    """high, medium or low: how likely it is to change the results."""
    variable: str = ""
    """The big variable it belongs to, one that could change what is learned; empty where it is none."""
    follows: str = ""
    """The other difference that brought this one along."""
    note: str = ""

    @property
    def big(self) -> bool:
        """Says whether it counts as something that could change what is learned."""
        return bool(self.variable)


def changes(a: FinishedRun, b: FinishedRun, same_code: bool | None = None) -> list[Change]:
    """Every difference of two runs, the riskiest first.

    Args:
        same_code: whether the project's own code was the same in both, whatever the commits are called; None where
            that is not known.
    """
    trees = patches.added(a, b, facts(a), facts(b))
    found = differences(*trees)
    pair = _Pair(found, trees, (*a.lock["overrides"], *b.lock["overrides"]), same_code)
    listed = [_change(pair, key, *values) for key, values in found.items() if not pair.left_out(key)]
    listed += [_only(pair, side) for side in (0, 1) if pair.methods[0] != pair.methods[1]]
    order = {area: number for number, (_, area, _, _) in enumerate(RULES)}
    return sorted(listed, key=lambda c: (RISKS.index(c.risk), not c.big, order[c.area], c.key))


def big_variables(found: list[Change]) -> list[str]:
    """The variables that could change what is learned, each once, the riskiest first."""
    return list(dict.fromkeys(change.variable for change in found if change.big))


class _Pair:
    """Two runs side by side, and what of their differences explains another one."""

    def __init__(self, found: dict, trees: tuple[dict, dict], overrides: tuple[str, ...], same_code: bool | None):
        self.found, self.trees, self.same_code = found, trees, same_code
        self.methods = [tree["method"]["name"] for tree in trees]
        self.typed = {match[0] for o in overrides if (match := re.match(r"[\w./@-]+", o.lstrip("+~")))}
        self.online = any(METHODS[name].online for name in self.methods if name in METHODS)
        self.same_files = {
            "model": all(t["model"]["file"] for t in trees) and trees[0]["model"]["file"] == trees[1]["model"]["file"],
            "dataset": "dataset.snapshot" not in found,
        }
        names = ("model.file.*", *(f"model.{name}" for name in NAMES))
        self.other_model = not self.same_files["model"] and any(_any(key, names) for key in found)

    def left_out(self, key: str) -> bool:
        """Says whether another line shows it already."""
        if self.methods[0] != self.methods[1] and key.startswith("method.") and ABSENT in self.found[key]:
            return True
        elsewhere = key.startswith("model.learning_rate.") and key.rpartition(".")[2] not in self.methods
        return elsewhere or (self.other_model and _any(key, DEFAULTS))

    def follows(self, key: str) -> str:
        """The difference that brought this one along, empty where it stands for itself or was typed."""
        if key in self.typed:
            return ""
        if key.startswith(("model.lora.", "model.file.")) and {"model.start_sha256", "model.start_merged"} & {
            *self.found
        }:
            return "start"  # an adapter's shape is its own, and merged it is the model
        if key.startswith("patches."):
            return patches.follows(self.found)
        if key in ("template", "model.system_prompt"):
            return "model" if self.other_model else ""
        sources = [source for pattern, source in SOURCES if fnmatchcase(key, pattern)]
        if any(all(self._equal(side, key, source) for side in (0, 1)) for source in sources):
            model = self.other_model or any(_any(other, DEFAULTS) and not self.left_out(other) for other in self.found)
            return "model" if model else "method" if self.methods[0] != self.methods[1] else sources[0]
        if key.startswith("method.") and key != "method.name" and self.methods[0] != self.methods[1]:
            return "method"
        if ABSENT in self.found[key] and _any(key, GROWING) and not _any(key, FREE):
            by_trl = key.startswith("method.") and "software.trl" in self.found
            return "software" if by_trl else "code" if any(_any(other, ("code.*",)) for other in self.found) else ""
        return ""

    def _equal(self, side: int, key: str, source: str) -> bool:
        tree = self.trees[side]
        return leaf(tree, key) == leaf(tree, source.format(method=self.methods[side]))

    def no_variable(self, key: str) -> str:
        """Why a difference cannot change what is learned, in words; empty where it can."""
        group, _, rest = key.partition(".")
        if self.same_files.get(group) and _any(rest, NAMES):
            return "by hash the same files" if group == "model" else "by hash the same rows"
        if group == "reward" and not self.online:
            return f"{self.methods[0]} does not train on it"
        if group == "code" and rest != "rlexp":
            if self.same_code:
                return "src/ is the same"
            if not all(tree["code"]["commit"] for tree in self.trees):
                return "not recorded in one of them"
        return ""


def _change(pair: _Pair, key: str, a: Any, b: Any) -> Change:
    area, risk, variable = next((area, *rest) for pattern, area, *rest in RULES if fnmatchcase(key, pattern))
    term = key.split(".")[2] if area == "reward" else ""
    follows, note = pair.follows(key), pair.no_variable(key)
    variable = "" if follows or note else variable
    if note:
        risk = "low"
    elif key.endswith(".code") and str(a).split()[0] == str(b).split()[0]:
        note = "other code under the same version"
    a, b = (None if value == ABSENT else value for value in (a, b))
    return Change(area, key, a, b, risk, variable.format(key=key, term=term), follows, note)


def _only(pair: _Pair, side: int) -> Change:
    """The arguments that one method alone has, in one line."""
    own, others = pair.trees[side]["method"], pair.trees[1 - side]["method"]
    count = f"{len(own.keys() - others.keys())} arguments"
    a, b = (count, None) if side == 0 else (None, count)
    return Change("method", f"arguments of {pair.methods[side]} only", a, b, "medium", follows="method")


def _any(key: str, patterns: tuple[str, ...] | list[str]) -> bool:
    return any(fnmatchcase(key, pattern) for pattern in patterns)
