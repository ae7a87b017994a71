"""``python -m rlexp`` with the main thread's stack read several times a second: where the time went, as a tree.

Usage: python perf/sides/sampled.py CALLS.txt OVERRIDES (``--samples`` of startup_gpu.py); CALLS.txt is written at
the end. A sample counts with the time since the one before: a call that keeps the interpreter to itself delays it.
"""

from __future__ import annotations

import atexit
import re
import sys
import threading
import time
from collections import Counter
from pathlib import Path

EVERY = 0.05
"""Seconds between two samples."""

Stack = tuple[str, ...]


def tree(samples: Counter[Stack], least: float = 0.5) -> list[str]:
    """The calls, outermost first, each with the seconds spent in it and below it; of those that took at least so many.
    Calls that only hand on are left out.

    Args:
        samples: stacks, outermost first, and their seconds.
    """
    seconds: Counter[Stack] = Counter()
    for stack, took in samples.items():
        for depth in range(1, len(stack) + 1):
            seconds[stack[:depth]] += took
    children: dict[Stack, list[Stack]] = {}
    for call in seconds:
        children.setdefault(call[:-1], []).append(call)
    lines: list[str] = []

    def walk(call: Stack, depth: int) -> None:
        below = sorted((c for c in children.get(call, []) if seconds[c] >= least), key=lambda c: -seconds[c])
        hands_on = len(below) == 1 and seconds[below[0]] > 0.97 * seconds[call]
        if call and not hands_on:
            lines.append(f"{seconds[call]:6.1f} {'. ' * depth}{call[-1]}")
        for inner in below:
            walk(inner, depth if hands_on or not call else depth + 1)

    walk((), 0)
    return lines


def short(path: str) -> str:
    """A file's path behind the folder of the installed packages."""
    return re.sub(r".*/(site-packages|dist-packages|site2?|src|python3\.\d+)/", "", path)


def watch(into: Path) -> None:
    """Samples the calling thread from now on; the tree is written when the process ends."""
    samples: Counter[Stack] = Counter()
    watched = threading.get_ident()

    def sample() -> None:
        before = time.perf_counter()
        while True:
            time.sleep(EVERY)
            frame, stack = sys._current_frames().get(watched), []
            while frame is not None:
                if not frame.f_code.co_filename.startswith("<frozen"):  # Python's own, of an import
                    stack.append(f"{short(frame.f_code.co_filename)}:{frame.f_code.co_name}")
                frame = frame.f_back
            now = time.perf_counter()
            samples[tuple(reversed(stack))] += now - before  # type: ignore[assignment]
            before = now

    threading.Thread(target=sample, daemon=True).start()
    atexit.register(lambda: into.write_text("\n".join(tree(samples.copy()))))


if __name__ == "__main__":
    watch(Path(sys.argv[1]))
    sys.argv = ["rlexp", *sys.argv[2:]]
    from rlexp.__main__ import main

    main()
