"""The cache of kernels compiled for a GPU, which spares the next run from compiling them again.

``~/.cache/rlexp/compiled/<key>/`` (below XDG_CACHE_HOME where that is set), shared by all projects and runs. The key
stands for what decides whether a compiled kernel may be used again: the versions of the libraries that generate and run
kernels, Python, the GPU and its driver, and whether kernels are chosen by timing. What lies below is keyed further by
its owner (the graph, the model, the options). Inductor, Triton, vLLM and Unsloth write a file beside its name and
rename it, FlashInfer writes under a lock, so that runs may share the folder at the same time.

Unsloth's generated modules (``unsloth_compiled_cache``) are not kept: Unsloth generates their source in every process
anyway, only compares it with the file, and writes the file in place, so that a process may read another's half-written
one. Every process has a folder of its own for them.
"""

from __future__ import annotations

import atexit
import functools
import json
import os
import platform
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from rlexp import files
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
KEY = "key.json"
"""Below the key's folder: what the key stands for."""
MOST_FILES = 50_000
"""Files of a cache that are counted."""


@dataclass(frozen=True)
class Cache:
    """The compile cache of this installation on this machine."""

    stands_for: Mapping[str, Any]
    """The facts that the key names: package -> version, python, the GPUs with their driver, and whether kernels are
    chosen without timing them."""
    home: Path

    @property
    def key(self) -> str:
        """Twelve hex digits that name what it stands for."""
        return json_sha256(dict(self.stands_for))[:12]

    @property
    def folder(self) -> Path:
        """The folder of the cache, which need not exist yet."""
        return self.home / self.key

    def variables(self, given: Mapping[str, str]) -> dict[str, str]:
        """The environment variables of FOLDERS: what the user gave, else the cache's."""
        return {name: given.get(name) or str(self.folder / part) for name, part in FOLDERS.items()}

    def others(self) -> list[Path]:
        """The caches of other versions, GPUs or drivers."""
        return sorted(path.parent for path in self.home.glob(f"*/{KEY}") if path.parent != self.folder)


def repeatable() -> bool:
    """Says whether the kernels that Inductor compiles are those of the next process; yes unless the user set
    REPEATABLE."""
    return (os.environ.get(REPEATABLE) or "1") == "1"


def cache() -> Cache:
    """The cache in use, or that would be; nothing is made."""
    stands_for: dict[str, Any] = {
        "python": platform.python_version(),
        "gpus": sorted({f"{g.name} {g.driver}" for g in gpus()}),
        "repeatable": repeatable(),
    }
    for package in PACKAGES:
        try:
            stands_for[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return Cache(stands_for, Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "rlexp" / "compiled")


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
    before and now, and which folders the user set. A run that found all it needed adds next to nothing."""
    chosen, _, facts = _chosen()
    return {**facts, "bytes_after": size(chosen.folder) or 0}


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
