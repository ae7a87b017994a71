"""SFT: completions to imitate."""

from __future__ import annotations

from typing import Any

from rlexp.build.parts import Parts


def trainer(parts: Parts) -> Any:
    """A ``trl.SFTTrainer`` of these parts; Unsloth is imported already."""
    from trl import SFTConfig, SFTTrainer

    return SFTTrainer(args=SFTConfig(**parts.arguments), **parts.common)
