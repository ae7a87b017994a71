"""The bound of a compile cache: which of its entries are dropped where it holds more, the oldest first.

An entry is what its owner reads or makes as one: a kernel, a compiled graph, or the whole cache of versions that this
installation does not have. It is as old as its newest file, read or written: file systems note that a file was read
once a day.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

ENTRIES = {
    "vllm": ("torch_compile_cache/torch_aot_compile/*", "torch_compile_cache/*", "*"),
    "inductor": ("fxgraph/*", "aotautograd/*", "triton/*/*", "*"),
    "triton": ("*",),
    "unsloth": ("*",),
    "flashinfer": ("*",),
}
"""Folder of a library -> what is one entry in it; what lies in an entry of an earlier line is none of a later one."""


@dataclass(frozen=True)
class Entry:
    """What is dropped together."""

    path: Path
    size: int
    """Bytes."""
    last: float
    """Unix time at which a file of it was last read or written."""


def trim(used: Path, others: Iterable[Path], most: int) -> int:
    """Drops the oldest entries of several caches until they hold no more than a bound together.

    Args:
        used: the cache of this installation.
        others: those of other versions, each of which is one entry.
        most: bytes.

    Returns:
        the bytes dropped.
    """
    found = sorted([*entries(used), *map(measured, others)], key=lambda entry: entry.last)
    over, dropped = sum(entry.size for entry in found) - most, 0
    for entry in found:
        if dropped >= over:
            break
        if _drop(entry.path):
            dropped += entry.size
    return dropped


def entries(cache: Path) -> Iterator[Entry]:
    """Every entry of a cache."""
    for library, patterns in ENTRIES.items():
        taken: set[Path] = set()
        for pattern in patterns:
            found = [path for path in sorted((cache / library).glob(pattern)) if path not in taken]
            yield from map(measured, found)
            taken |= {above for path in found for above in (path, *path.parents)}


def measured(path: Path) -> Entry:
    """An entry with what its files say; one that is gone meanwhile is empty."""
    size, last = 0, 0.0
    for file in (path, *(path.rglob("*") if path.is_dir() else ())):
        with contextlib.suppress(OSError):
            facts = file.lstat()
            if not file.is_dir():
                size, last = size + facts.st_size, max(last, facts.st_mtime, facts.st_atime)
    return Entry(path, size, last)


def _drop(path: Path) -> bool:
    """Removes an entry so that nobody meets half of it."""
    try:
        aside = Path(tempfile.mkdtemp(prefix=".dropped-", dir=path.parent))
        os.rename(path, aside / path.name)
    except OSError:  # another process drops it too, or may write here and this one not
        return False
    shutil.rmtree(aside, ignore_errors=True)
    return True
