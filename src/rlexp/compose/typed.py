"""What was typed goes before what an option or an experiment states: settings that the composed tree alone cannot say.

Pure. A replay composes from a lock, where all of it is settled.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from omegaconf import DictConfig, OmegaConf, open_dict

from rlexp.errors import RunError

TEXTS = ("model.system_prompt", "dataset.gold")
"""Keys of texts that a person writes in several lines."""
EPOCHS = 3.0
"""transformers' own num_train_epochs, which nobody asked for."""
LATEX = r"\\(nabla|natural|ncong|ne|nearrow|neg|neq|newline|nexists|ngeq|ngtr|ni|nleq|nless|nmid|not|notin|nparallel"
LATEX += r"|nprec|nsim|nsubset|nsucc|nu)(?![a-zA-Z])"
ESCAPE = re.compile(rf"(?!{LATEX})\\n")
"""A line break as Python and JSON write it, and no command of LaTeX (``\\neq``)."""


def settle(tree: DictConfig, typed: Collection[str]) -> None:
    """Changes a composed tree so that it says what was meant.

    - ``method.num_train_epochs`` typed: max_steps of an option or an experiment no longer counts.
    - ``method.loss_type=dr_grpo``: rewards are not scaled by their spread, unless that was typed.

    Args:
        typed: the keys that were typed (``keys_of``).

    Raises:
        RunError: two typed keys contradict each other, or one that was typed would not be read.
    """
    _length(tree, typed)
    if OmegaConf.select(tree, "method.loss_type") == "dr_grpo" and "method.scale_rewards" not in typed:
        _put(tree, "scale_rewards", "none")
    if "model.hub_id" in typed and "model.path" not in typed and OmegaConf.select(tree, "model.path"):
        path, name = OmegaConf.select(tree, "model.path"), str(OmegaConf.select(tree, "model.hub_id"))
        raise RunError(
            f"the folder {path} goes before the hub id: {name} would not be loaded",
            where="model.hub_id, model.path",
            hint=f"type model.path=null model.name={name.rpartition('/')[2] or 'NAME'} as well",
        )
    for key in TEXTS:
        text = OmegaConf.select(tree, key) if key in typed else None
        if text and ESCAPE.search(text):
            raise RunError(
                "a backslash and an n were typed, and Hydra keeps them as these two characters",
                where=key,
                hint=f"type a real line break inside the quotes ({key}=$'\"one\\ntwo\"' in bash), or write the text in "
                "an option's YAML file",
            )


def _length(tree: DictConfig, typed: Collection[str]) -> None:
    steps, epochs = (OmegaConf.select(tree, f"method.{name}") for name in ("max_steps", "num_train_epochs"))
    if steps in (None, -1):
        return
    if "method.num_train_epochs" in typed:
        if "method.max_steps" in typed:
            raise RunError(
                f"both are typed: {steps} steps, and {epochs} passes over the data",
                where="method.max_steps, method.num_train_epochs",
                hint="leave one of them out",
            )
        _put(tree, "max_steps", -1)
    elif epochs != EPOCHS and "method.max_steps" not in typed:
        raise RunError(
            f"an option says {epochs} passes over the data, and max_steps is {steps}: the passes would not be read",
            where="method.max_steps, method.num_train_epochs",
            hint=f"write max_steps: -1 beside num_train_epochs, or type method.num_train_epochs={epochs}",
        )


def keys_of(overrides: Collection[str]) -> set[str]:
    """The keys of overrides as they are typed: ``+model.params.a=1`` is ``model.params.a``."""
    return {override.partition("=")[0].lstrip("+~") for override in overrides}


def _put(tree: DictConfig, name: str, value: object) -> None:
    with open_dict(tree.method):
        tree.method[name] = value
