"""What a reward may answer: one finite number, or None, for every completion."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from rlexp.errors import RunError


def checked(name: str, scores: Any, completions: Sequence[str], file: str) -> list[float | None]:
    """``scores`` as plain floats, one a completion.

    Raises:
        RunError: the wrong number of them, or one that is not a finite number (nor None).
    """
    if not isinstance(scores, list | tuple) or len(scores) != len(completions):
        got = f"{len(scores)} scores" if isinstance(scores, list | tuple) else type(scores).__name__
        raise RunError(f"the reward {name} answered {got} for {len(completions)} completions", where=f"{file}: score()")
    for number, value in enumerate(scores):
        if value is not None and not (isinstance(value, int | float) and math.isfinite(value)):
            raise RunError(
                f"the reward {name} scored {value!r}, which is no finite number",
                where=f"{file}: score(), on the completion {completions[number][:200]!r}",
            )
    return [None if value is None else float(value) for value in scores]
