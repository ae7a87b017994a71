"""Pass rates as ``rlexp difficulty`` leaves them, without sampling."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rlexp.inputs import difficulty
from rlexp.inputs.digest import file_md5, folder_md5
from rlexp.inputs.pass_rates import UNKNOWN, Rate

N = 4


def write(project: Path, passed: Sequence[int | None], name: str = "arithmetic", **other: Any) -> Path:
    """Writes rates of N completions each beside a snapshot that is there.

    Args:
        passed: of each training row, how many are right; None where that is not known.
        other: keys of the description that are otherwise.
    """
    data, folder = project / f"data/{name}", project / f"data/{name}.difficulty"
    reward = {"term": "correct", "file": "rewards/correct.py", "version": 3, "params": {}}
    asked = {
        "snapshot": folder_md5(data),
        "model": {"name": "other", "md5": "0" * 32, "hub_id": None, "revision": None},
        "reward": {**reward, "md5": file_md5(project / "rewards/correct.py")},
        **{"at": 1.0, "n": N, "first": None, "sampling": {"temperature": 1.0}, "seed": 0},
        **other,
    }
    rates = [UNKNOWN if count is None else Rate(N, count) for count in passed]
    difficulty.write(folder, difficulty.prompt_hashes(data), rates, asked, len(rates))
    return folder
