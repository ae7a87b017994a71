"""The size of the groups that share a scale: a model's widths say which fit."""

from __future__ import annotations

from pathlib import Path

from rlexp.errors import RunError
from rlexp.export.formats import Making

GROUPS = (128, 64, 32)
"""Sizes that vLLM's and torchao's kernels take, largest first."""
LEFT = ("embed_tokens", "lm_head")
"""What stays in 16 bits: the embedding, and the head, which may be tied to it."""


def widths(folder: Path) -> set[int]:
    """How many inputs the linear layers have that are quantised."""
    from safetensors import safe_open

    found = set()
    for file in folder.glob("*.safetensors"):
        with safe_open(file, "pt") as tensors:
            shapes = {name: tensors.get_slice(name).get_shape() for name in tensors.keys()}  # noqa: SIM118
        found |= {
            shape[-1]
            for name, shape in shapes.items()
            if len(shape) > 1 and name.endswith(".weight") and not any(one in name for one in LEFT)
        }
    return found


def largest_group(making: Making) -> tuple[int, str | None]:
    """The largest size of a group that divides all widths, and what is to be said of it.

    Raises:
        RunError: none does.
    """
    held = sorted(widths(making.merged))
    for group in GROUPS:
        if all(width % group == 0 for width in held):
            said = f"groups of {group}: {GROUPS[0]} does not divide {' and '.join(map(str, held))}"
            return group, None if group == GROUPS[0] else said
    sizes = ", ".join(map(str, GROUPS))
    raise RunError(
        f"{making.type} takes groups of {sizes} weights, and none divides all of the model's widths ({held})",
        where=str(making.merged),
        hint="leave this type out: name the others, as in export.compressed.types=[fp8]",
    )
