"""Facts about the machine and the code a run was made with."""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
import sys
import tempfile
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from rlexp.git import git
from rlexp.secrets import masked

CODE = ("src/", "conf/", "rewards/", "data_prep/", "eval/", "environments/")
"""Folders whose changes are kept in the patch."""
PROJECT_FILES = ("pyproject.toml", "Makefile", "constraints*.txt", "requirements*.txt", "*.lock.yaml", "dvc.yaml")
"""Files of the project folder itself whose changes are kept."""
SECRET = (
    *(".env*", "*.pem", "*.key", "*.p12", "*.pfx", "*.jks", "*.kdbx", "id_rsa*", "id_dsa*", "id_ecdsa*", "id_ed25519*"),
    *("*credential*", "*secret*", ".netrc", "_netrc", ".pypirc", ".npmrc", "*.token", "token", "token.*", ".git-cred*"),
)
"""Names of files, or of folders above them, that hold keys: never kept. (secrets.py would be code, and is named.)"""
LARGE = 256 * 1024
"""Bytes from which a file is only named, not kept in the patch."""
NAMED = 50
"""Files of each kind that the record names."""


def machine() -> dict[str, Any]:
    """The machine, as far as a trajectory depends on it bit by bit; torch is asked only where it is loaded already.

    Returns:
        ``platform``, ``python``, ``processor`` (its model name) and ``cpus``; with torch also ``instructions`` (the
        vector instructions it uses), ``threads``, and on a GPU machine ``gpus`` and ``cuda``.
    """
    facts: dict[str, Any] = {
        "platform": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "processor": processor(),
        "cpus": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
    }
    torch = sys.modules.get("torch")
    if torch is not None:
        facts["instructions"] = torch.backends.cpu.get_cpu_capability()
        facts["threads"] = torch.get_num_threads()
        if torch.cuda.is_available():
            facts["gpus"] = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
            facts["cuda"] = torch.version.cuda
    return facts


def processor() -> str:
    """The processor's model name; where /proc does not say it, what ``platform`` knows."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor() or platform.machine())


def left_out(root: Path, name: str) -> str | None:
    """The reason why a changed file is not kept in the patch; None where it is.

    Args:
        root: the project folder.
        name: the file, from there.
    """
    if any(fnmatch(part.lower(), pattern) for part in Path(name).parts for pattern in SECRET if part != "secrets.py"):
        return "may hold a key"
    if not name.startswith(CODE) and not ("/" not in name and any(fnmatch(name, p) for p in PROJECT_FILES)):
        return "no code of the project"
    path = root / name
    if path.is_symlink() or not path.is_file():  # removed, or only a name
        return None
    if path.stat().st_size >= LARGE:
        return f"{LARGE} bytes or more"
    return "binary" if b"\0" in path.read_bytes()[:8192] else None


def commit_and_patch(root: Path) -> tuple[dict[str, Any], str]:
    """(commit and whether the tree differs from it, the difference as a patch) of the project folder.

    The patch holds the code, new files too, and what it leaves out is named with the reason (``left_out``). Secrets are
    masked in it. Both are empty outside a git repository.
    """
    sha = git(root, "rev-parse", "HEAD")
    if not sha:
        return {}, ""
    untracked = _names(git(root, "ls-files", "--others", "--exclude-standard", "-z"))
    with tempfile.TemporaryDirectory() as scratch:
        # A copy of the index, which git may refresh, and in which new files are announced: the user's is left alone.
        index = Path(scratch) / "index"
        with contextlib.suppress(OSError):
            shutil.copyfile(
                (git(root, "rev-parse", "--path-format=absolute", "--git-path", "index") or "").strip(), index
            )
        copied = {"GIT_INDEX_FILE": str(index)} if index.is_file() else {}
        tracked = _names(git(root, "diff", "HEAD", "--name-only", "--relative", "--no-renames", "-z", **copied))
        reasons = {name: left_out(root, name) for name in [*tracked, *untracked]}
        kept = [name for name, reason in reasons.items() if reason is None]
        new = [name for name in kept if name in set(untracked)]
        literal = {"GIT_LITERAL_PATHSPECS": "1", **copied}
        if new and copied:
            git(root, "add", "--intent-to-add", "--", *new, **literal)
        patch = (git(root, "diff", "HEAD", "--no-renames", "--", *kept, **literal) or "") if kept else ""
    facts = {"sha": sha.strip(), "dirty": bool(reasons), "untracked": untracked[:NAMED]}
    out = {name: reason for name, reason in reasons.items() if reason}
    return facts | ({"left_out": dict(list(out.items())[:NAMED])} if out else {}), masked(patch)


def _names(answer: str | None) -> list[str]:
    return [name for name in (answer or "").split("\0") if name]
