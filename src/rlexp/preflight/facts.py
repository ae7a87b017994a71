"""The facts of this machine and its installation, gathered once; the checks (``machine``) only read the answer.

Nothing here imports torch or writes a file. Tokens are looked for and never read.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import re
import shutil
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from packaging.utils import canonicalize_name

from rlexp import project
from rlexp.backend import compile_cache, telemetry
from rlexp.compose.places import Places
from rlexp.nvidia import Gpu, driver_cuda, gpus
from rlexp.reward import sandbox

HUB_SECONDS = 2.0
"""After which the hub counts as out of reach."""
SEVERAL = "a run takes one of them, hardware.devices=N several, and points of a sweep go over all"
"""What is said of more than one GPU."""
OTHER = "other versions"
"""The name of a compile cache that this installation does not use."""
WRITTEN = ("outputs", "multirun", "data", "models", "exports")
"""Folders of the project that runs write to."""
TOKENS = ("HF_TOKEN", "WANDB_API_KEY")
GIB = 2**30


@dataclass(frozen=True)
class MachineFacts:
    """A machine, its installation and the project on it."""

    python: str
    """Version of the interpreter, such as 3.11.9."""
    requires_python: str | None
    """The requirement of pyproject.toml; None where there is no pyproject.toml."""
    required: tuple[str, ...]
    """The requirements of pyproject.toml, as they stand there."""
    matrix: str
    """The file that holds the tested versions for this build of torch."""
    tested: Mapping[str, str]
    """Package -> tested version; empty where the project has no such file."""
    installed: Mapping[str, str]
    """Package -> installed version. Names of both are in canonical form (small letters, hyphens)."""
    torch_cuda: str | None
    """The CUDA version that torch was built for; empty for a CPU build, None where there is no torch."""
    driver_cuda: str | None
    """The newest CUDA version of the driver; None where there is no driver."""
    gpus: tuple[Gpu, ...]
    disks: Mapping[str, tuple[Path, int]]
    """Contents -> the folder and the bytes free."""
    memory: int | None
    """Bytes free for a new process; None where the system does not say."""
    unwritable: tuple[str, ...]
    """Folders that runs write to and this user may not."""
    caches: Mapping[str, tuple[Path, int | None]]
    """Whose compile cache -> the folder and its bytes; None where there is none yet."""
    hub: str
    """The address of the hub; empty where HF_HUB_OFFLINE forbids it."""
    hub_fault: str | None
    """Why it cannot be reached; None where it answered."""
    sandbox: str
    """The sandbox for untrusted code; empty where none works."""
    tokens: tuple[str, ...]
    """Which tokens are there; never what they are."""
    telemetry: Mapping[str, str]
    """Variable that switches a library's telemetry off -> ``on`` or ``off``."""

    @property
    def install(self) -> str:
        """What to type to install the tested versions for this machine's build of torch."""
        return project.pip("gpu") if self.torch_cuda else f"{project.pip('cpu')} && {project.pip_unsloth()}"


def gather(root: Path) -> MachineFacts:
    """Looks at the machine and at the project folder ``root``; takes a second, more where the hub is slow to answer."""
    build = _torch_cuda()
    matrix = "constraints-gpu.txt" if build else "constraints.txt"
    places, requires = Places.of(root), _requires()
    hub, hub_fault = _hub()
    return MachineFacts(
        python=".".join(map(str, sys.version_info[:3])),
        requires_python=requires[0],
        required=requires[1],
        matrix=matrix,
        tested={**_pinned(places.path(matrix)), **_pinned(places.path("requirements-unsloth.txt"))},
        installed=_installed(),
        torch_cuda=build,
        driver_cuda=driver_cuda(),
        gpus=gpus(),
        disks={
            name: (folder, free(folder))
            for name, folder in (
                ("the project", root),
                ("the hub's cache", hub_home()),
                ("temporary files", Path(tempfile.gettempdir())),
            )
        },
        memory=free_memory(),
        unwritable=tuple(name for name in WRITTEN if not os.access(_existing(root / name), os.W_OK)),
        caches={name: (folder, compile_cache.size(folder)) for name, folder in cache_folders().items()},
        hub=hub,
        hub_fault=hub_fault,
        sandbox=sandbox.available(),
        tokens=_tokens(),
        telemetry=telemetry.state(),
    )


def free(folder: Path) -> int:
    """Bytes free where ``folder`` lies, or would lie."""
    return shutil.disk_usage(_existing(folder)).free


def free_memory() -> int | None:
    """Bytes that a new process may take: the system's, and where it is less, those of the control group."""
    found: list[int] = []
    with contextlib.suppress(OSError, ValueError, IndexError):
        lines = Path("/proc/meminfo").read_text().splitlines()
        found += [int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable")]
    with contextlib.suppress(OSError, ValueError):
        group = Path("/sys/fs/cgroup")
        most, used = (int((group / f"memory.{name}").read_text()) for name in ("max", "current"))
        stat = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
        found.append(most - used + int(stat.get("inactive_file", 0)))
    return min(found, default=None)


def hub_home() -> Path:
    """The folder where huggingface_hub keeps its cache and token."""
    return Path(os.environ.get("HF_HOME") or Path.home() / ".cache" / "huggingface")


def cache_folders() -> dict[str, Path]:
    """Which compile cache -> its folder: the one that runs on this machine use, those set by the user, and those of
    other versions, which this installation does not use."""
    found = compile_cache.cache()
    folders = {f"in use ({found.key})": found.folder} if gpus() else {}
    folders |= {f"set by {name}": Path(os.environ[name]) for name in compile_cache.FOLDERS if os.environ.get(name)}
    return folders | {f"{OTHER} ({folder.name})": folder for folder in found.others()}


def _requires() -> tuple[str | None, tuple[str, ...]]:
    """The Python and the packages that rlexp needs, as its installation says; None and none without one."""
    try:
        about = metadata.metadata("rlexp")
    except metadata.PackageNotFoundError:
        return None, ()
    packages = about.get_all("Requires-Dist") or []
    return about["Requires-Python"], tuple(one for one in packages if "extra ==" not in one)


def _pinned(file: Path) -> dict[str, str]:
    """Package -> version of the lines ``name==version``."""
    lines = file.read_text().splitlines() if file.is_file() else []
    found = (re.match(r"\s*([\w.-]+)(?:\[[^]]*\])?==([^\s;#]+)", line) for line in lines)
    return {canonicalize_name(match[1]): match[2] for match in found if match}


def is_installed(package: str) -> bool:
    """Says whether a package is installed here, by the name that pip knows."""
    try:
        metadata.version(package)
    except metadata.PackageNotFoundError:
        return False
    return True


def _installed() -> dict[str, str]:
    found: dict[str, str] = {}
    for package in metadata.distributions():
        name = package.metadata["Name"]
        if name:  # what an uninstall left behind has none
            found.setdefault(canonicalize_name(name), package.version)
    return found


def _torch_cuda() -> str | None:
    spec = importlib.util.find_spec("torch")
    if spec is None or spec.origin is None:
        return None
    version = Path(spec.origin).with_name("version.py")
    found = re.search(r"^cuda\b[^=\n]*= *'([\d.]+)'", version.read_text(), re.MULTILINE) if version.is_file() else None
    return found[1] if found else ""


def _existing(folder: Path) -> Path:
    """The folder, or the nearest one above it that is there."""
    return next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())


def _hub() -> tuple[str, str | None]:
    """(where the hub is, why it cannot be reached)."""
    if os.environ.get("HF_HUB_OFFLINE", "").lower() in ("1", "on", "yes", "true"):
        return "", "HF_HUB_OFFLINE is set"
    address = os.environ.get("HF_ENDPOINT") or "https://huggingface.co"
    try:
        with urllib.request.urlopen(urllib.request.Request(address, method="HEAD"), timeout=HUB_SECONDS):
            return address, None
    except urllib.error.HTTPError as error:  # somebody answered
        return address, None if error.code < 500 else f"it answers {error.code}"
    except (OSError, ValueError) as error:
        return address, str(getattr(error, "reason", error))


def _tokens() -> tuple[str, ...]:
    found = [name for name in TOKENS if os.environ.get(name)]
    if Path(os.environ.get("HF_TOKEN_PATH") or hub_home() / "token").is_file():
        found.append("the hub's token file")
    return tuple(found)
