"""Runs a Python program that nobody trusts: code that a model wrote, executed to score it.

The sandbox is bubblewrap (https://github.com/containers/bubblewrap). Inside, the program is a single process of its own
user, PID, IPC, UTS, cgroup and network namespaces; it has no capability, no environment, no /proc and no device but
/dev/null; it sees the interpreter and the system's libraries read-only, no installed package, no home, no project, and
may write to a tmpfs of limited size that is gone with it. What a namespace cannot refuse, a filter of system calls does
(``syscall_filter``): other processes and threads, sockets, further namespaces. rlimits bound processor time, memory and
files; the clock and the size of the output are watched from outside, and whoever outstays them is killed. When the
trainer dies, the sandbox dies with it.

What it does not protect from: a hole in the kernel itself, and what the kernel holds for a process beside its memory
(a million empty files cost memory outside of every limit here, for as long as the processor time lasts).
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import math
import os
import platform
import selectors
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rlexp.errors import RunError, nearest
from rlexp.reward.syscall_filter import compiled

BUBBLEWRAP, NONE = "bubblewrap", "none"
HINT = (
    "install bubblewrap 0.7 or newer (apt or dnf install bubblewrap). A container must allow user namespaces: docker "
    "run --security-opt seccomp=unconfined --security-opt apparmor=unconfined; Ubuntu 24.04: sysctl "
    "kernel.apparmor_restrict_unprivileged_userns=0. The reward's parameter sandbox=none runs without any protection"
)
START = 30.0
"""Seconds that the sandbox itself may take to start: machines that train are busy."""
GRACE = 2.0
"""Seconds for the output of a killed program to end."""

ENVIRONMENT = {"PYTHONHASHSEED": "0", "LANG": "C.UTF-8", "HOME": "/tmp", "TMPDIR": "/tmp"}
"""The whole of it. The seed settles the order of sets: the same program gives the same output."""
FLAGS = ("-P", "-s", "-S", "-B", "-X", "utf8")
"""-I without its -E, which would ignore the hash seed (the environment holds nothing else); no installed package."""
START_PROGRAM = """# rlexp sandbox
import os, resource, sys
program, started, cpu, memory, disk, files = map(int, sys.argv[1:])
for limit, most in (
    (resource.RLIMIT_CPU, cpu),
    (resource.RLIMIT_AS, memory),
    (resource.RLIMIT_FSIZE, disk),
    (resource.RLIMIT_NOFILE, files),
    (resource.RLIMIT_NPROC, 1),
    (resource.RLIMIT_MSGQUEUE, 0),
    (resource.RLIMIT_CORE, 1),  # a limit of 0 still lets a core_pattern with a pipe have its core
):
    hard = most + (limit == resource.RLIMIT_CPU)  # SIGXCPU first, which says why; SIGKILL a second later
    if resource.getrlimit(limit)[1] != resource.RLIM_INFINITY:
        hard = min(hard, resource.getrlimit(limit)[1])
    resource.setrlimit(limit, (min(most, hard), hard))
with open(program, encoding="utf-8", errors="surrogatepass") as stream:
    text = stream.read()
sys.argv[1:] = []
os.write(started, b"1")
os.close(started)
exec(compile(text, "<program>", "exec"), {"__name__": "__main__", "__builtins__": __builtins__})
"""
"""Sets the limits, then becomes the program. They are hard limits: nobody inside may raise them again."""


@dataclass(frozen=True)
class Limits:
    """The resources that a program may use."""

    cpu_seconds: float = 2.0
    """Processor time, in whole seconds (rounded up): the same on a busy machine and an idle one."""
    seconds: float = 6.0
    """By the clock, for whoever sleeps."""
    memory_mb: int = 512
    """Address space, the interpreter's 20 MB included."""
    disk_mb: int = 16
    """Bytes of the tmpfs, and of a single file; 0: nothing can be written at all."""
    files: int = 32
    """Open at a time."""
    output_kb: int = 1024
    """Bytes of stdout, and of stderr."""


@dataclass(frozen=True)
class Result:
    """The outcome of a program."""

    code: int
    """Exit code; 128 + the signal that ended it."""
    stdout: str
    stderr: str
    seconds: float
    """By the clock, the start of the sandbox included."""
    why: str
    """Why it did not end by itself: timed out, too much output, memory, killed, crashed; empty where it did."""


def available() -> str:
    """The name of the sandbox that works on this machine; empty where none does. Tried once in each process."""
    return "" if _fault() else BUBBLEWRAP


def require(sandbox: str) -> None:
    """Checks that programs can run in ``sandbox``, BUBBLEWRAP or NONE.

    Raises:
        RunError: there is no such sandbox, or it does not work here.
    """
    if sandbox not in (BUBBLEWRAP, NONE):
        guess = nearest(str(sandbox), (BUBBLEWRAP, NONE))
        hint = f"did you mean {guess}?" if guess else f"one of: {BUBBLEWRAP}, {NONE}"
        raise RunError(f"there is no sandbox named {sandbox!r}", where="params.sandbox", hint=hint)
    if sandbox == BUBBLEWRAP and (fault := _fault()):
        raise RunError("there is no sandbox to run untrusted code in", where=fault, hint=HINT)


def run(program: str, stdin: str = "", limits: Limits = Limits(), sandbox: str = BUBBLEWRAP) -> Result:
    """Runs a Python program to its end or its limits. May be called from several processes and threads at a time.

    Args:
        program: its source. It may import the standard library; it can start neither processes nor threads.
        stdin: what it reads from its standard input.
        limits: what it may use.
        sandbox: BUBBLEWRAP, or NONE: a plain process under rlimits, which protects nothing.

    Raises:
        RunError: there is no such sandbox, it does not work here, or it did not start. Never for what the program does.
    """
    require(sandbox)
    return _run(_bubblewrap() if sandbox == BUBBLEWRAP else "", program, stdin, limits)


def _fault() -> str:
    path = _bubblewrap()
    return _trial(path) if path else "bwrap is not on the PATH"


def _bubblewrap() -> str:
    return shutil.which("bwrap") or ""


PROBE = f"""
import os
try:
    os.fork()
except PermissionError:
    print("alone" if not os.path.exists({__file__!r}) else "sees rlexp")
"""


@functools.cache
def _trial(bubblewrap: str) -> str:
    """The fault of this bwrap: in many containers it is there and may do nothing. Empty where it works."""
    if not compiled():
        return f"there is no system call filter for {platform.machine()}"
    try:
        tried = _run(bubblewrap, PROBE, "", Limits(cpu_seconds=10, seconds=START))
    except RunError as error:
        return f"{error.what}: {error.where}"
    isolated = tried.code == 0 and tried.stdout == "alone\n"
    return "" if isolated else f"{bubblewrap} does not isolate: {tried.stdout[-200:]}{tried.stderr[-200:]}{tried.why}"


def _run(bubblewrap: str, program: str, stdin: str, limits: Limits) -> Result:
    began = time.monotonic()
    with contextlib.ExitStack() as stack:
        # Handed over as sealed memory: nothing to feed, so nobody waits, and nothing the program could write to.
        source = stack.enter_context(_sealed(program))
        entry = stack.enter_context(_sealed(stdin))
        calls = stack.enter_context(_sealed(compiled()))
        if bubblewrap:
            command, folder = [*_command(bubblewrap, limits), "--seccomp", str(calls), "--"], "/"
        else:
            command, folder = [], stack.enter_context(tempfile.TemporaryDirectory(prefix="rlexp-"))
        started, started_inside = os.pipe()
        stack.callback(os.close, started)
        room = (limits.memory_mb << 20, limits.disk_mb << 20)
        numbers = (source, started_inside, math.ceil(limits.cpu_seconds), *room, limits.files)
        python = [_interpreter(), *FLAGS, "-c", START_PROGRAM, *map(str, numbers)]
        try:
            process = subprocess.Popen(
                [*command, *python],
                stdin=entry,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=ENVIRONMENT,
                cwd=folder,
                pass_fds=(source, started_inside, calls) if bubblewrap else (source, started_inside),
                start_new_session=True,
            )
        except OSError as error:
            raise RunError("the sandbox did not start", where=str(error), hint=HINT) from error
        finally:
            os.close(started_inside)
        stack.enter_context(process)
        stack.callback(_kill, process)  # whatever happens here
        stdout, stderr, why, ran = _watch(process, started, limits)
    if not ran:  # no verdict on the program, so the machine's trouble must not look like one
        raise RunError("the sandbox did not start", where=why or stderr.strip()[-400:], hint=HINT)
    code = process.returncode if process.returncode >= 0 else 128 - process.returncode
    return Result(code, stdout, stderr, time.monotonic() - began, why or _reason(code, stderr))


@contextlib.contextmanager
def _sealed(content: str | bytes) -> Iterator[int]:
    """A file descriptor from which ``content`` can be read, and which nobody can write to."""
    number = os.memfd_create("rlexp", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        with open(number, "wb", closefd=False) as stream:
            stream.write(content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass"))
        os.lseek(number, 0, os.SEEK_SET)
        seals = fcntl.F_SEAL_WRITE | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_SEAL
        fcntl.fcntl(number, fcntl.F_ADD_SEALS, seals)
        yield number
    finally:
        os.close(number)


def _watch(process: subprocess.Popen[bytes], started: int, limits: Limits) -> tuple[str, str, str, bool]:
    """(stdout, stderr, why, whether the program ran): reads until all output has ended, or kills."""
    assert process.stdout and process.stderr
    outputs = process.stdout.fileno(), process.stderr.fileno()
    kept = {number: bytearray() for number in (*outputs, started)}
    most, why, ran = limits.output_kb << 10, "", False
    end = time.monotonic() + START
    with selectors.DefaultSelector() as selector:
        for number in kept:
            selector.register(number, selectors.EVENT_READ)
        while selector.get_map():
            for key, _ in selector.select(max(0.0, end - time.monotonic())):
                chunk = os.read(key.fd, 1 << 16)
                if not chunk:
                    selector.unregister(key.fd)
                kept[key.fd] += chunk[: most - len(kept[key.fd])]
                if key.fd == started and chunk:
                    ran, end = True, time.monotonic() + limits.seconds
                elif len(kept[key.fd]) == most and not why:
                    why, end = _kill(process, "too much output"), time.monotonic() + GRACE
            if time.monotonic() >= end:
                if why:  # killed, and something that left the sandbox=none still holds the pipe
                    break
                why, end = _kill(process, "timed out"), time.monotonic() + GRACE
    try:  # a program may close its output and go on
        process.wait(max(0.0, end - time.monotonic()))
    except subprocess.TimeoutExpired:
        why = why or _kill(process, "timed out")
        process.wait()
    out, err = (kept[number].decode("utf-8", "replace") for number in outputs)
    return out, err, why, ran


def _kill(process: subprocess.Popen[bytes], why: str = "") -> str:
    """Kills the process and its group; of a sandbox this is the outside, and the kernel ends all that is inside."""
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    return why


def _reason(code: int, stderr: str) -> str:
    """Why a program that was not stopped from outside ended."""
    if code in (128 + signal.SIGXCPU, 128 + signal.SIGKILL):
        return "timed out" if code == 128 + signal.SIGXCPU else "killed"
    if stderr.rstrip().rpartition("\n")[2].startswith("MemoryError"):
        return "memory"
    return "crashed" if code > 128 else ""


def _command(bubblewrap: str, limits: Limits) -> list[str]:
    room = ["--size", str(limits.disk_mb << 20), "--tmpfs"] if limits.disk_mb else ["--dir"]
    return [
        *(bubblewrap, "--unshare-all", "--unshare-user", "--uid", "65534", "--gid", "65534", "--cap-drop", "ALL"),
        *("--hostname", "sandbox", "--die-with-parent", "--new-session"),
        *(*room, "/tmp"),  # before the mounts: an interpreter may lie in /tmp
        *_mounts(Path(_interpreter()), Path(sys.base_prefix), Path(sysconfig.get_path("stdlib"))),
        *("--dev-bind", "/dev/null", "/dev/null"),
        *("--remount-ro", "/", "--chdir", "/tmp"),  # the root is a tmpfs without a limit
    ]


def _interpreter() -> str:
    """The interpreter that the virtual environment was made from, by its own path: it finds its library from there."""
    return os.path.realpath(getattr(sys, "_base_executable", None) or sys.executable)


@functools.cache
def _mounts(interpreter: Path, prefix: Path, library: Path) -> list[str]:
    """The parts of the machine that are seen, read-only: the interpreter, its standard library, shared libraries.

    Args:
        interpreter: the executable.
        prefix: where it is installed: /usr, or a folder of its own (pyenv, conda, uv).
        library: its standard library.
    """
    found = [interpreter, library]
    # A prefix of its own brings shared libraries along; in the system's lie other people's things.
    found += list((prefix / "lib").glob("libpython*.so*")) if prefix in SYSTEM else [prefix / "lib"]
    command: list[str] = []
    for folder in LIBRARIES:
        if folder.is_symlink():
            command += ["--symlink", os.readlink(folder), str(folder)]
        elif folder.is_dir():
            narrow = folder / f"{platform.machine()}-linux-gnu"
            found.append(narrow if narrow.is_dir() else folder)
    names = {Path(name) for path in found for name in (path, os.path.realpath(path)) if path.exists()}
    bound: list[Path] = []
    for path in sorted(names):  # a folder stands before what it holds
        if not any(path.is_relative_to(above) for above in bound):
            bound.append(path)
            command += ["--ro-bind", str(path), str(path)]
    for folder in bound:
        for packages in (*folder.glob("*-packages"), *folder.glob("python*/*-packages")):
            command += ["--size", "4096", "--tmpfs", str(packages), "--remount-ro", str(packages)]
    return [*command, "--ro-bind-try", "/etc/ld.so.cache", "/etc/ld.so.cache"]


SYSTEM = (Path("/usr"), Path("/usr/local"))
LIBRARIES = (Path("/lib"), Path("/lib64"), Path("/usr/lib"), Path("/usr/lib64"))
