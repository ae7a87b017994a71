"""The cache of kernels compiled for a GPU, which spares the next run from compiling them again.

``~/.cache/rlexp/compiled/<name>/`` (below XDG_CACHE_HOME where that is set), shared by all projects and runs; or below
the folder that ``cache.dir`` names, which can be carried to another machine of its kind. The name stands for what
decides whether a compiled kernel may be used again: the versions of the libraries that generate and run kernels,
Python, the GPU, the processor's instructions, and whether kernels are chosen by timing. The driver is not of it: what
lies here is code of the GPU, which every driver loads that the libraries run with. What lies below is keyed further by
its owner (the graph, the model, the options). Inductor, Triton, vLLM and Unsloth write a file beside its name and
rename it, FlashInfer writes under a lock, so that runs may share the folder at the same time.

Unsloth's generated modules (``unsloth_compiled_cache``) are not kept: Unsloth generates their source in every process
anyway, only compares it with the file, and writes the file in place, so that a process may read another's half-written
one. Every process has a folder of its own for them.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import json
import os
import platform
import re
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from rlexp import files
from rlexp.backend import bounded_cache
from rlexp.compose.cache import BOUND, FOLDER
from rlexp.inputs.digest import json_sha256
from rlexp.nvidia import gpus

FOLDERS = {
    "VLLM_CACHE_ROOT": "vllm",
    "TORCHINDUCTOR_CACHE_DIR": "inductor",
    "TRITON_CACHE_DIR": "triton",
    "FLASHINFER_WORKSPACE_BASE": "flashinfer",
    "UNSLOTH_MEGA_CACHE_DIR": "unsloth",
}
"""Environment variable -> the folder below the key's that it names, unless the user set it."""
REPEATABLE = "TORCHINDUCTOR_DETERMINISTIC"
"""Inductor does not time which of several kernels is fastest where they sum in different order: the next process would
choose another one now and then, sample other tokens, and train another model. Set to 1 unless the user set it."""
GENERATED = "UNSLOTH_COMPILE_LOCATION"
"""Names the folder of Unsloth's generated modules."""
PACKAGES = ("torch", "triton", "vllm", "flashinfer-python", "unsloth", "unsloth_zoo", "transformers", "trl")
SHOWN = ("torch", "vllm")
"""Packages whose versions a person reads in the name of the folder."""
KEY = "key.json"
"""Below the key's folder: what the key stands for."""
VECTORS = ("sse", "avx", "amx", "fma", "bmi", "vaes", "gfni", "sve", "asimd")
"""Beginnings of the names of the processor's instructions that a compiler is told to use where it finds them."""
MOST_GIB = 20.0
"""What the caches of all names hold at most, unless ``cache.max_gib`` says otherwise."""
MOST_FILES = 50_000
"""Files of a cache that are counted."""


@dataclass(frozen=True)
class Cache:
    """The compile cache of this installation on this machine."""

    stands_for: Mapping[str, Any]
    """The facts that the key names: package -> version, python, the GPUs, the processor's instructions, and whether
    kernels are chosen without timing them."""
    home: Path

    @property
    def key(self) -> str:
        """Twelve hex digits that name what it stands for."""
        return json_sha256(dict(self.stands_for))[:12]

    @property
    def folder(self) -> Path:
        """The folder of the cache, which need not exist yet: ``NVIDIA-H200_torch-2.11.0+cu130_vllm-0.26.0_KEY``."""
        named = [*self.stands_for["gpus"], *(f"{p}-{self.stands_for[p]}" for p in SHOWN if p in self.stands_for)]
        return self.home / re.sub(r"[^\w.+-]+", "-", "_".join([*named, self.key]))

    def variables(self, given: Mapping[str, str]) -> dict[str, str]:
        """The environment variables of FOLDERS: what the user gave, else the cache's."""
        return {name: given.get(name) or str(self.folder / part) for name, part in FOLDERS.items()}

    def others(self) -> list[Path]:
        """The caches of other versions, GPUs or processors."""
        return sorted(path.parent for path in self.home.glob(f"*/{KEY}") if path.parent != self.folder)


def repeatable() -> bool:
    """Says whether the kernels that Inductor compiles are those of the next process; yes unless the user set
    REPEATABLE."""
    return (os.environ.get(REPEATABLE) or "1") == "1"


def cache() -> Cache:
    """The cache in use, or that would be; nothing is made."""
    stands_for: dict[str, Any] = {
        "python": platform.python_version(),
        "gpus": sorted({gpu.name for gpu in gpus()}),
        "instructions": instructions(),
        "repeatable": repeatable(),
    }
    for package in PACKAGES:
        try:
            stands_for[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    own = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "rlexp" / "compiled"
    return Cache(stands_for, Path(os.environ.get(FOLDER) or own))


def instructions() -> str:
    """Those of the processor that compiled code may use, named by eight hex digits, behind the machine's kind."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith(("flags", "Features")):
                found = sorted(word for word in line.partition(":")[2].split() if word.startswith(VECTORS))
                return f"{platform.machine()} {json_sha256(found)[:8]}"
    return platform.machine()


@functools.cache
def _chosen() -> tuple[Cache, dict[str, str], dict[str, Any]]:
    """(cache, environment variables, facts for the record) of this process, decided before a library sees them."""
    chosen = cache()
    given = sorted(name for name in FOLDERS if os.environ.get(name))
    facts = {"key": chosen.key, "warm": (chosen.folder / KEY).is_file(), "bytes_before": size(chosen.folder) or 0}
    variables = chosen.variables(os.environ)
    try:
        # Nobody else may write there: Unsloth does not load what another user could have changed.
        chosen.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        files.write_text(chosen.folder / KEY, json.dumps(dict(chosen.stands_for), indent=1) + "\n")
    except OSError as error:  # the libraries find places of their own
        variables = {name: os.environ[name] for name in given}
        facts["not_kept"] = str(error)
    variables[REPEATABLE] = str(int(repeatable()))
    if given:
        facts["set_by_user"] = given
    if not os.environ.get(GENERATED):
        variables[GENERATED] = tempfile.mkdtemp(prefix="unsloth_compiled_")
        atexit.register(shutil.rmtree, variables[GENERATED], ignore_errors=True)
    return chosen, variables, facts


def keep() -> None:
    """Points every library at its folder.

    Called before they are imported, and again after: ``import unsloth`` forgets TORCHINDUCTOR_CACHE_DIR, and vLLM
    points it and Triton's at a folder of its own while it compiles, in which the trainer's kernels would be found again
    by runs with the same engine only.
    """
    os.environ.update(_chosen()[1])


def used() -> dict[str, Any]:
    """The cache's facts for the record at the end of a run: the key, whether it was there before (``warm``), its bytes
    before and now, and which folders the user set. A run that found all it needed adds next to nothing. What is over
    the bound is dropped; ``bytes_dropped`` says so."""
    chosen, _, facts = _chosen()
    dropped = bounded_cache.trim(chosen.folder, chosen.others(), most_bytes()) if "not_kept" not in facts else 0
    return {**facts, "bytes_after": size(chosen.folder) or 0, **({"bytes_dropped": dropped} if dropped else {})}


def most_bytes() -> int:
    """What the caches of all versions hold at most; a variable that is no number says nothing."""
    gib = MOST_GIB
    with contextlib.suppress(ValueError):
        gib = float(os.environ.get(BOUND) or MOST_GIB)
    return int(gib * 2**30)


def size(folder: Path) -> int | None:
    """Bytes of the files of a folder, the first MOST_FILES of them; None where there is none."""
    if not folder.is_dir():
        return None
    total = 0
    for number, path in enumerate(folder.rglob("*")):
        if number == MOST_FILES:
            break
        try:
            total += path.lstat().st_size
        except OSError:  # a process that compiles has renamed it
            continue
    return total
