"""Is this machine fit? Small pure checks over ``facts.Facts``; ``doctor`` shows them, a run takes two of them along."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from rlexp import project
from rlexp.compose import optimizers
from rlexp.preflight.facts import GIB, OTHER, SEVERAL, MachineFacts
from rlexp.verdict import Level, Verdict

DECISIVE = (
    *("torch", "transformers", "trl", "peft", "datasets", "accelerate", "unsloth", "unsloth-zoo", "vllm"),
    *("bitsandbytes", "hydra-core", "omegaconf", "tokenizers", "math-verify", "reasoning-gym"),
)
"""Packages a result depends on: another version of these than the tested one is worth a warning."""
DISK_LOW, DISK_LEAST = 5 * GIB, GIB // 2
"""Bytes free below which a disk warns, and fails."""
MEMORY_LOW, MEMORY_LEAST = 3 * GIB, GIB
"""The same of memory: importing torch and Unsloth takes most of the second."""


def python(facts: MachineFacts) -> Verdict:
    """The interpreter is one that rlexp allows."""
    name = "python.version"
    if facts.requires_python is None:
        return Verdict(name, Level.skipped, f"{facts.python}; rlexp is not installed, so nothing says which it needs")
    if facts.python not in SpecifierSet(facts.requires_python):
        message = f"{facts.python}, and rlexp needs {facts.requires_python}"
        return Verdict(name, Level.failed, message, "rlexp", "install it with another Python: python3.12 -m venv .venv")
    return Verdict(name, Level.passed, f"{facts.python} ({facts.requires_python})")


def required(facts: MachineFacts) -> Verdict:
    """Every requirement of rlexp is installed, in a version that it allows; and Unsloth is."""
    name = "packages.required"
    if not facts.required:
        return Verdict(name, Level.skipped, "rlexp is not installed, so nothing says which it needs")
    wrong = []
    for item in (*map(Requirement, facts.required), Requirement("unsloth")):
        if item.marker is not None and not item.marker.evaluate():
            continue
        version = facts.installed.get(canonicalize_name(item.name))
        if version is None:
            wrong.append(f"{item.name} is missing")
        elif not item.specifier.contains(version, prereleases=True):
            wrong.append(f"{item.name} {version} is outside of {item.specifier}")
    if wrong:
        return Verdict(name, Level.failed, "; ".join(wrong), "rlexp", facts.install)
    return Verdict(name, Level.passed, f"all {len(facts.required)} that rlexp requires, and Unsloth")


def tested(facts: MachineFacts) -> Verdict:
    """The packages a result depends on are those that were tested together."""
    name = "packages.tested"
    both = {package for package in facts.tested if package in facts.installed}
    if not both:
        return Verdict(name, Level.skipped, f"the project has no {facts.matrix} to compare with")
    # The local part (+cpu, +cu130) says how it was built, not what it is.
    other = sorted(p for p in both if facts.installed[p].partition("+")[0] != facts.tested[p].partition("+")[0])
    decisive = [f"{p} {facts.installed[p]} (tested: {facts.tested[p]})" for p in other if p in DECISIVE]
    count = f"{len(both) - len(other)} of {len(both)} installed packages are the tested ones"
    if decisive:
        hint = f"{facts.install}; or run the tests with these"
        return Verdict(name, Level.warning, f"{', '.join(decisive)}; {count}", facts.matrix, hint)
    return Verdict(name, Level.passed, count)


def torch(facts: MachineFacts) -> Verdict:
    """The driver can run what torch was built for."""
    name = "torch.cuda"
    if facts.torch_cuda is None:
        return Verdict(name, Level.failed, "torch is not installed", hint=project.pip("cpu"))
    built = f"torch is built for CUDA {facts.torch_cuda}" if facts.torch_cuda else "torch is a CPU build"
    if not facts.gpus:
        return Verdict(name, Level.passed, f"{built}; no GPU here: hardware=cpu")
    if not facts.torch_cuda:
        message = f"{built}, and this machine has a GPU: it would stay idle"
        return Verdict(name, Level.warning, message, hint=project.pip("gpu"))
    if facts.driver_cuda is None:
        return Verdict(name, Level.warning, f"{built}; the driver does not say which CUDA it runs", hint="nvidia-smi")
    if _major(facts.torch_cuda) > _major(facts.driver_cuda):
        message = f"{built}, and driver {facts.gpus[0].driver} runs CUDA {facts.driver_cuda} at most"
        return Verdict(
            name, Level.failed, message, hint=f"a driver for CUDA {facts.torch_cuda}, or an older build of torch"
        )
    return Verdict(name, Level.passed, f"{built}, the driver runs up to {facts.driver_cuda}")


def gpu(facts: MachineFacts) -> Verdict:
    """The GPUs, and whether somebody else fills their memory."""
    name = "gpu.memory"
    if not facts.gpus:
        return Verdict(name, Level.skipped, "no GPU that nvidia-smi knows")
    message = "; ".join(
        f"{gpu.name}, {_gib(gpu.free)} of {_gib(gpu.total)} free, driver {gpu.driver}" for gpu in facts.gpus
    )
    taken = [number for number, gpu in enumerate(facts.gpus) if gpu.free < gpu.total / 2]
    if taken:
        hint = f"nvidia-smi shows who holds GPU {', '.join(map(str, taken))}; CUDA_VISIBLE_DEVICES=N takes another"
        return Verdict(name, Level.warning, message, hint=hint)
    return Verdict(name, Level.passed, message, hint=SEVERAL if len(facts.gpus) > 1 else None)


def disk(facts: MachineFacts) -> Verdict:
    """There is room for checkpoints, models and compiled kernels."""
    name = "disk.free"
    message = ", ".join(f"{_gib(free)} for {what}" for what, (_, free) in facts.disks.items())
    what, (folder, least) = min(facts.disks.items(), key=lambda item: item[1][1])
    level = _level(least, DISK_LOW, DISK_LEAST)
    if level is Level.passed:
        return Verdict(name, level, message)
    hint = "remove old runs below outputs/ and multirun/" if what == "the project" else f"make room there, for {what}"
    return Verdict(name, level, f"only {_gib(least)} for {what} ({message})", str(folder), hint)


def memory(facts: MachineFacts) -> Verdict:
    """There is memory for the libraries and a small model."""
    name = "memory.free"
    if facts.memory is None:
        return Verdict(name, Level.skipped, "this system does not say how much memory is free")
    level = _level(facts.memory, MEMORY_LOW, MEMORY_LEAST)
    hint = None if level is Level.passed else "end other processes; the libraries alone take about a GiB"
    return Verdict(name, level, f"{_gib(facts.memory)} free", hint=hint)


def writing(facts: MachineFacts) -> Verdict:
    """Runs may write where they write."""
    name = "project.writable"
    if facts.unwritable:
        message = f"this user may not write to {', '.join(f'{folder}/' for folder in facts.unwritable)}"
        return Verdict(
            name, Level.failed, message, hint="change the owner of these folders, or clone the project elsewhere"
        )
    return Verdict(name, Level.passed, "outputs/, data/ and the other folders of runs can be written")


def caches(facts: MachineFacts) -> Verdict:
    """The cache of compiled kernels; with them a run on a GPU starts in a fraction of the time."""
    name = "caches.compiled"
    if not facts.caches:
        return Verdict(name, Level.skipped, "nothing is compiled without a GPU")
    shown = [
        f"{which}: {folder}, {_gib(size)}" if size is not None else f"{which}: none yet ({folder})"
        for which, (folder, size) in facts.caches.items()
    ]
    old = [str(folder) for which, (folder, _) in facts.caches.items() if which.startswith(OTHER)]
    hint = f"rm -r {' '.join(old)} frees what this installation does not use" if old else None
    if hint is None and any(size for _, size in facts.caches.values()):
        hint = "rm -r of a folder frees it; the next run compiles again"
    return Verdict(name, Level.passed, "; ".join(shown), hint=hint)


def hub(facts: MachineFacts) -> Verdict:
    """Models and data sets by hub id can be had."""
    name = "hub.access"
    if not facts.hub:
        return Verdict(name, Level.passed, f"offline: {facts.hub_fault}; what is in its cache is used")
    if facts.hub_fault:
        message = f"{facts.hub} cannot be reached: {facts.hub_fault}"
        hint = "models and data by hub id need it (HF_ENDPOINT names a mirror); those in folders do not"
        return Verdict(name, Level.warning, message, hint=hint)
    return Verdict(name, Level.passed, f"{facts.hub} answers")


def untrusted(facts: MachineFacts) -> Verdict:
    """There is a sandbox for programs that a model writes."""
    name = "sandbox.present"
    if facts.sandbox:
        return Verdict(name, Level.passed, f"{facts.sandbox} works")
    message = "no sandbox works here: reward=code_tests refuses to run, everything else does"
    return Verdict(name, Level.warning, message, hint="apt install bubblewrap")


def tokens(facts: MachineFacts) -> Verdict:
    """Which tokens are set; they are never shown."""
    message = f"{', '.join(facts.tokens)} (not shown)" if facts.tokens else "none; gated models need HF_TOKEN"
    return Verdict("tokens.present", Level.passed, message)


def telemetry(facts: MachineFacts) -> Verdict:
    """What the libraries send about runs."""
    name, on = "telemetry.off", [name for name, state in facts.telemetry.items() if state == "on"]
    if on:
        return Verdict(name, Level.warning, f"on by your environment: {', '.join(on)}", hint=f"unset {' '.join(on)}")
    return Verdict(name, Level.passed, f"nothing is sent: {', '.join(facts.telemetry)} are set for every run")


CHECKS: tuple[Callable[[MachineFacts], Verdict], ...] = (
    *(python, required, tested, torch, gpu),
    *(disk, memory, writing, caches, hub, untrusted, tokens, telemetry),
)
"""The checks, in the order in which they are shown."""


def verdicts(facts: MachineFacts) -> list[Verdict]:
    """The verdict of every check."""
    return [check(facts) for check in CHECKS]


def worst(verdicts: Iterable[Verdict]) -> Level:
    """The gravest level among them."""
    return max((verdict.level for verdict in verdicts), key=list(Level).index, default=Level.skipped)


def room(free: int, needed: int, folder: str) -> Verdict:
    """The disk of the run folder holds what the run will write.

    Args:
        free: bytes there.
        needed: bytes of the checkpoints that are kept, and of the weights at the end.
    """
    name = "disk.free"
    least = max(needed, DISK_LEAST // 4)
    if free < least:
        message = f"{_gib(free)} free, and no run is started with less than {_gib(least)}: "
        message += f"the checkpoints and weights of this run take about {_gib(needed)}"
        hint = "remove old runs below outputs/ and multirun/, or type method.save_total_limit=1"
        return Verdict(name, Level.failed, message, folder, hint)
    return Verdict(name, Level.passed, f"{_gib(free)} free, the run takes about {_gib(needed)}")


def optimizer(optim: str, installed: Callable[[str], bool]) -> Verdict:
    """The packages of the run's optimizer are there.

    Args:
        installed: says whether a package is.
    """
    name, needed = "packages.optimizer", optimizers.packages(optim)
    missing = [package for package in needed if not installed(package)]
    if missing:
        message = f"{optim} needs {', '.join(missing)}, which is not installed"
        return Verdict(name, Level.failed, message, "method.optim", f"pip install {' '.join(missing)}")
    return Verdict(name, Level.passed, f"{optim} needs {', '.join(needed) or 'torch alone'}")


def _level(value: int, low: int, least: int) -> Level:
    return Level.failed if value < least else Level.warning if value < low else Level.passed


def _gib(size: int) -> str:
    return f"{size / GIB:.1f} GiB" if size >= GIB / 10 else f"{size / 2**20:.0f} MiB"


def _major(version: str) -> int:
    return int(version.partition(".")[0])
