"""The GPUs of this machine as the driver names them; asked of ``nvidia-smi`` once in each process, without torch."""

from __future__ import annotations

import functools
import os
import re
import shutil
import subprocess
from dataclasses import dataclass

QUERY = "name,memory.total,memory.free,driver_version"


@dataclass(frozen=True)
class Gpu:
    """One GPU."""

    name: str
    total: int
    """Bytes of memory; 0 where the driver does not say."""
    free: int
    driver: str


@functools.cache
def gpus() -> tuple[Gpu, ...]:
    """The GPUs in the driver's order; none where there is no driver, or it does not answer."""
    return read(_answer(f"--query-gpu={QUERY}", "--format=csv,noheader,nounits"))


@functools.cache
def visible() -> tuple[str, ...]:
    """The GPUs of this process as CUDA_VISIBLE_DEVICES names them; read once, since a run leaves itself only one."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is not None:
        return tuple(name.strip() for name in named.split(",") if name.strip())
    return tuple(str(number) for number in range(len(gpus())))


def driver_cuda() -> str | None:
    """The newest version of CUDA that the driver runs; None where there is no GPU."""
    match = re.search(r"CUDA Version *: *([\d.]+)", _answer()) if gpus() else None
    return match[1] if match else None


def _answer(*arguments: str) -> str:
    """The output of ``nvidia-smi``; nothing where there is none, or it does not answer."""
    if not shutil.which("nvidia-smi"):
        return ""
    try:
        done = subprocess.run(["nvidia-smi", *arguments], capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout if done.returncode == 0 else ""


def read(answer: str) -> tuple[Gpu, ...]:
    """The GPUs of an answer to QUERY, one on each line, memory in MiB."""
    rows = ([part.strip() for part in line.split(",")] for line in answer.splitlines())
    return tuple(Gpu(row[0], _bytes(row[1]), _bytes(row[2]), row[3]) for row in rows if len(row) == 4)


def _bytes(mebibytes: str) -> int:
    return int(mebibytes) * 2**20 if mebibytes.isdigit() else 0
