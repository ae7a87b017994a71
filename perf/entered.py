"""The files that a run enters, in their order, from the command line to its first optimizer step, and how often one
climbs back up: a function of a lower layer calling into a file of a higher one.

Runs the real command line in this process under a profiler hook of Python and stops at the first optimizer step. The
layers are those of the import contract in pyproject.toml. Counted are calls from one file of rlexp into another; a call
that passes through a library (TRL calls a callback, Hydra calls a job) counts from the file of rlexp that called the
library. What a file does while it is imported is left out. Nothing is said about time: the hook slows everything.

Usage, from the project folder: python perf/entered.py [OVERRIDES ...]    (default: method=grpo reward=format+correct)
"""

import os
import sys
import tomllib
from collections import Counter
from pathlib import Path
from types import FrameType
from typing import Any

ROOT = Path(__file__).parents[1]
SRC = str(ROOT / "src" / "rlexp") + os.sep
CO_OPTIMIZED = 1
"""The flag of a function's code; that of modules and classes, which run when they are imported, lacks it."""
LAST = ("train/step_time.py", "on_optimizer_step")


def layers() -> dict[str, int]:
    """Folder or module of rlexp -> the number of its layer, the highest first."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    order = next(contract["layers"] for contract in contracts if contract["type"] == "layers")
    return {name.strip(): -number for number, line in enumerate(order) for name in line.split("|")}


class Walk:
    """Follows the calls between files of rlexp."""

    def __init__(self) -> None:
        self.layer = layers()
        self.entered: dict[str, str] = {}
        """File -> the file that it was first entered from."""
        self.moves: Counter[tuple[str, str]] = Counter()

    def place(self, frame: FrameType | None) -> str:
        """The file of rlexp that a frame belongs to; empty for any other."""
        name = frame.f_code.co_filename if frame else ""
        return name.removeprefix(SRC) if name.startswith(SRC) else ""

    def hook(self, frame: FrameType, event: str, _: Any) -> None:
        """What ``sys.setprofile`` calls."""
        if event != "call" or not (here := self.place(frame)):
            return
        if (here, frame.f_code.co_name) == LAST:
            sys.setprofile(None)
            self.show()
            os._exit(0)
        caller = frame.f_back
        while caller is not None and not self.place(caller):
            caller = caller.f_back
        before = self.place(caller)
        importing = any(f and not f.f_code.co_flags & CO_OPTIMIZED for f in (frame, caller) if self.place(f))
        if before != here and (not importing or before == "__main__.py"):
            self.entered.setdefault(here, before)
            self.moves[before, here] += 1

    def level(self, file: str) -> int:
        """The number of a file's layer."""
        return self.layer[file.split("/")[0].removesuffix(".py")]

    def show(self) -> None:
        """Prints the files in order, and the climbs."""
        out = sys.__stdout__
        for number, (file, before) in enumerate(self.entered.items(), 1):
            print(f"{number:3}  {file}" + (f"   (from {before})" if before else ""), file=out)
        climbs = {move: n for move, n in self.moves.items() if move[0] and self.level(move[1]) > self.level(move[0])}
        pairs = len([move for move in self.moves if move[0]])
        print(f"\n{len(self.entered)} files, {pairs} pairs of files of which one calls the other", file=out)
        print(
            f"climbs back up: {len(climbs)} pairs", *(f"\n  {a} -> {b}: {n}" for (a, b), n in climbs.items()), file=out
        )
        if out:
            out.flush()


if __name__ == "__main__":
    sys.argv = ["rlexp", *(sys.argv[1:] or ["method=grpo", "reward=format+correct"])]
    from rlexp.__main__ import main

    sys.setprofile(Walk().hook)
    main()
