"""What locking costs: hashing a large folder against reading it and against DVC, and the locking of a whole run.

The first table: seconds for a folder of GIGABYTES in parquet-sized files, from the disk (the page cache is dropped
first) and from memory: only reading it with as many threads, our hash, DVC's hash, our hash once it is remembered.
The second: all that a run does for its record, with the main job's inputs and with the large folder as its snapshot.
Usage: python perf/lock_time.py [GIGABYTES]
"""

from __future__ import annotations

import helped  # isort: skip  # noqa: F401

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

from rlexp.compose.points import points
from rlexp.inputs import digest, hashes
from rlexp.inputs.prepare import prepare
from rlexp.record import lock
from rlexp.record.run_folder import Record

ROOT = Path(__file__).parents[1]
FILE_BYTES = 512 * 2**20
THREADS = min(16, 2 * (os.cpu_count() or 1))


def fill(folder: Path, gigabytes: float) -> None:
    """Writes files of random bytes; the first block is repeated with another number in front."""
    block = os.urandom(2**20)
    for number in range(max(1, round(gigabytes * 2**30 / FILE_BYTES))):
        with (folder / f"shard-{number:05d}.parquet").open("wb") as stream:
            for part in range(FILE_BYTES // 2**20):
                stream.write(f"{number} {part}".encode().ljust(16) + block[16:])
            stream.flush()
            os.fsync(stream.fileno())


def forget(folder: Path) -> None:
    """Drops the folder's files from the page cache, so that they are read from the disk."""
    for path in folder.iterdir():
        with path.open("rb") as stream:
            os.posix_fadvise(stream.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def read(folder: Path) -> None:
    """Reads every byte, as many files at a time as the hash does: the bound of the disk."""

    def whole(path: Path) -> None:
        buffer = bytearray(2**20)
        with path.open("rb", buffering=0) as stream:
            while stream.readinto(buffer):
                pass

    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(whole, folder.iterdir()))


def ours(folder: Path) -> None:
    """Our hash, nothing remembered."""
    digest._memory().clear()
    digest.folder_md5(folder)


def dvc(folder: Path) -> None:
    """DVC's own hash, nothing remembered."""
    from dvc.fs import localfs
    from dvc_data.hashfile.build import build
    from dvc_data.hashfile.db import HashFileDB

    build(HashFileDB(localfs, str(folder.parent / "cache")), str(folder), localfs, "md5", dry_run=True)


def seconds(action: Callable[[], object]) -> float:
    """Wall time of one call."""
    began = time.perf_counter()
    action()
    return time.perf_counter() - began


def locking(snapshot: Path | None) -> float:
    """Everything a run does for its lock and manifest: hashes at the start and the end, both files written."""
    run = points(ROOT / "conf", [], multirun=False)[0].run
    inputs = prepare(run, ROOT)
    if snapshot:
        inputs = replace(inputs, data=snapshot)
    with tempfile.TemporaryDirectory() as scratch:
        began = time.perf_counter()
        with Record(Path(scratch) / "run", ROOT, lock.identity(run), []) as record:
            held = hashes.inputs_digest(run, inputs)
            content = lock.lock(run, held, [], SimpleNamespace(chat_template=""), None, {})
            record.write_lock(content, hashes.files_of(run, inputs, held))
            hashes.inputs_digest(run, inputs)
        return time.perf_counter() - began


def main(gigabytes: float) -> None:
    """Prints both tables."""
    with tempfile.TemporaryDirectory(dir=ROOT) as scratch:
        os.environ["XDG_CACHE_HOME"] = scratch
        folder = Path(scratch) / "snapshot"
        folder.mkdir()
        fill(folder, gigabytes)
        print(f"{gigabytes:g} GB, {len(list(folder.iterdir()))} files, {THREADS} at a time")
        print(f"| {'what':<28} | from disk s | GB/s | from memory s | GB/s |")
        print(f"|{'-' * 30}|------------:|-----:|--------------:|-----:|")
        for name, action in (("read only", read), ("rlexp hash", ours), ("DVC hash", dvc)):
            cold, warm = [], []
            for _ in range(3):
                forget(folder)
                cold.append(seconds(lambda action=action: action(folder)))  # type: ignore[misc]
                warm.append(seconds(lambda action=action: action(folder)))  # type: ignore[misc]
            one, two = statistics.median(cold), statistics.median(warm)
            print(f"| {name:<28} | {one:11.2f} | {gigabytes / one:4.2f} | {two:13.2f} | {gigabytes / two:4.2f} |")
        digest.folder_md5(folder)
        known = seconds(lambda: digest.folder_md5(folder))
        print(f"| {'rlexp hash, remembered':<28} | {known:11.4f} |      |               |      |")
        print()
        print(f"| {'locking a run, inputs known':<28} | median s | max s |")
        print(f"|{'-' * 30}|---------:|------:|")
        for name, snapshot in (("the main job", None), (f"a snapshot of {gigabytes:g} GB", folder)):
            taken = [locking(snapshot) for _ in range(7)]
            print(f"| {name:<28} | {statistics.median(taken):8.3f} | {max(taken):5.3f} |")


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 10)
