"""The sandbox itself: what a program sees, may use, and says of its end."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from rlexp.errors import RunError
from rlexp.reward import sandbox
from rlexp.reward.sandbox import NONE, Limits, available, run
from tests.reward.sandboxes import needs_sandbox, outlive, sandboxed

ROOT = Path(__file__).parents[2]


@needs_sandbox
@pytest.mark.parametrize(
    ("program", "limits", "why"),
    [
        ("print(1)", Limits(), ""),
        ("raise SystemExit(3)", Limits(), ""),
        ("1 / 0", Limits(), ""),
        ("while True: pass", Limits(cpu_seconds=1), "timed out"),
        ("import time; time.sleep(99)", Limits(seconds=0.3), "timed out"),
        ("bytearray(1 << 40)", Limits(), "memory"),
        ("x = bytearray(200 << 20)", Limits(memory_mb=128), "memory"),
        ("x = bytearray(200 << 20)", Limits(memory_mb=300), ""),
        ("print('x' * 5000)", Limits(output_kb=4), "too much output"),
        ("print('x' * 5000)", Limits(output_kb=8), ""),
        ("import os; os.kill(os.getpid(), 9)", Limits(), "killed"),
        ("import os; os.abort()", Limits(), "crashed"),
    ],
)
def test_a_program_says_why_it_ended(program, limits, why):
    before, began = sandboxed(), time.monotonic()
    done = run(program, limits=limits)
    assert done.why == why
    assert len(done.stdout) <= limits.output_kb << 10
    assert 0 < done.seconds <= time.monotonic() - began
    assert outlive(before) == set()


@needs_sandbox
def test_exit_code_and_both_streams_come_out():
    done = run("import sys; print('out'); print('err', file=sys.stderr); sys.exit(7)")
    assert (done.code, done.stdout, done.stderr, done.why) == (7, "out\n", "err\n", "")
    assert run("import os; os.abort()").code == 128 + signal.SIGABRT
    assert run("while True: pass", limits=Limits(cpu_seconds=1, seconds=20)).code == 128 + signal.SIGXCPU


@needs_sandbox
def test_much_input_and_output_do_not_wait_for_one_another():
    program = "import sys\nwhile text := sys.stdin.read(1000):\n    sys.stdout.write(text)\n    sys.stderr.write(text)"
    text = "0123456789" * 50_000
    done = run(program, stdin=text)
    assert done.stdout == done.stderr == text


@needs_sandbox
def test_a_program_sees_the_interpreter_and_nothing_else():
    looked = run(
        "import os, sys\n"
        "packages = [p for p, _, _ in os.walk('/') if p.endswith('-packages') and os.listdir(p)]\n"
        "print([sorted(os.listdir('/tmp')), sorted(os.listdir('/dev')), os.path.exists('/proc'), packages,\n"
        f"  os.path.exists({str(ROOT)!r}), sorted(os.environ), os.getuid(), os.getcwd(), os.uname().nodename])\n"
    )
    environment = "['HOME', 'LANG', 'PWD', 'PYTHONHASHSEED', 'TMPDIR']"
    shown = f"[[], ['null'], False, [], False, {environment}, 65534, '/tmp', 'sandbox']\n"
    assert looked.stdout == shown, looked.stderr


@needs_sandbox
def test_what_is_written_is_limited_and_gone_the_next_time():
    fill = (
        "import os\nprint(os.listdir('/tmp'))\nwritten = 0\ntry:\n    while True:\n"
        "        with open(f'/tmp/{written}', 'wb') as stream:\n            written += stream.write(bytes(1 << 20))\n"
        "except OSError as error:\n    print(error.strerror, written >> 20)\n"
    )
    for size in (1, 8):
        done = run(fill, limits=Limits(disk_mb=size))
        listed, refused = done.stdout.splitlines()
        assert listed == "[]"
        assert refused in (f"No space left on device {size}", f"No space left on device {size - 1}")
    assert run(fill, limits=Limits(disk_mb=0)).stdout.splitlines()[1] == "Read-only file system 0"
    one = "with open('/tmp/x', 'wb') as f:\n    f.write(bytes(3 << 20))"
    assert "File too large" in run(one, limits=Limits(disk_mb=2)).stderr


@needs_sandbox
def test_the_same_program_gives_the_same_output():
    program = "import random\nprint({str(n) for n in range(50)}, hash('x'))"
    assert run(program).stdout == run(program).stdout != ""


@needs_sandbox
def test_programs_may_run_at_the_same_time():
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda n: run(f"print({n} * {n})").stdout, range(24))) == [f"{n * n}\n" for n in range(24)]


@needs_sandbox
def test_a_sandbox_dies_with_the_process_that_started_it():
    before = sandboxed()
    program = (
        "from rlexp.reward.sandbox import Limits, available, run\nprint(available(), flush=True)\n"
        "run('import time; time.sleep(60)', limits=Limits(seconds=60))"
    )
    trainer = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    try:
        assert trainer.stdout.readline() == "bubblewrap\n"  # its trial is over
        end = time.monotonic() + 30
        while len(sandboxed() - before) < 3 and time.monotonic() < end:  # bwrap outside, bwrap inside, the program
            time.sleep(0.02)
        time.sleep(1)  # a program that has just begun would end by itself, of a broken pipe
        assert len(sandboxed() - before) >= 3
    finally:
        trainer.kill()
        trainer.communicate()
    assert outlive(before, seconds=5) == set()


LOOK = """
import sys
sys.path.insert(0, {source!r})
from rlexp.reward.sandbox import available, run
done = run("import json, sys, ctypes, hashlib, zlib; print(sys.prefix)")
print(available(), done.code, done.stdout, done.stderr)
"""


@needs_sandbox
@pytest.mark.parametrize("kind", ["the system's", "a folder of its own"])
def test_any_interpreter_finds_itself_inside(tmp_path, kind):
    interpreter, prefix = Path("/usr/bin/python3"), "/usr"
    version = Path(os.path.realpath(interpreter)).name
    if version not in ("python3.11", "python3.12", "python3.13"):
        pytest.skip("there is no /usr/bin/python3 that rlexp runs on")
    if kind != "the system's":  # as conda and uv lay it out
        prefix = str(tmp_path / "env")
        interpreter = tmp_path / "env/bin" / version
        interpreter.parent.mkdir(parents=True)
        shutil.copy(os.path.realpath("/usr/bin/python3"), interpreter)
        library = tmp_path / "env/lib" / version
        left_out = shutil.ignore_patterns(
            "test*", "idlelib", "lib2to3", "*.a", "__pycache__", "config-*", "sitecustom*"
        )
        shutil.copytree(Path("/usr/lib") / version, library, ignore=left_out, ignore_dangling_symlinks=True)
        (library / "site-packages").mkdir()
    look = LOOK.format(source=str(ROOT / "src"))
    done = subprocess.run([interpreter, "-I", "-c", look], capture_output=True, text=True)
    assert done.stdout == f"bubblewrap 0 {prefix}\n \n", done.stderr + done.stdout


# --- where there is none ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("script", "where"),
    [
        (None, "bwrap is not on the PATH"),
        ("echo 'bwrap: No permissions to create new namespace' >&2; exit 1", "No permissions to create new namespace"),
        (
            'while [ "$1" != -- ]; do shift; done; shift; exec "$@"',
            "does not isolate",
        ),  # takes all, and walls off nothing
    ],
)
def test_a_machine_without_a_sandbox_refuses_untrusted_code(tmp_path, monkeypatch, script, where):
    if script:
        (tmp_path / "bwrap").write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / "bwrap").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path) if script else "")
    assert available() == ""
    with pytest.raises(RunError, match="no sandbox to run untrusted code in") as caught:
        run("print(1)")
    assert where in caught.value.where
    assert "install bubblewrap" in caught.value.hint and "sandbox=none" in caught.value.hint


def test_another_machine_has_no_filter_and_so_no_sandbox(monkeypatch):
    monkeypatch.setattr(sandbox, "compiled", lambda: b"")
    assert sandbox._trial.__wrapped__("bwrap").startswith("there is no system call filter for ")


def test_who_asks_for_no_sandbox_by_name_gets_limits_only(monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert run("print(1)", sandbox=NONE).stdout == "1\n"
    assert run("while True: pass", limits=Limits(cpu_seconds=1), sandbox=NONE).why == "timed out"
    assert run("bytearray(1 << 40)", sandbox=NONE).why == "memory"
    assert run("import time; time.sleep(99)", limits=Limits(seconds=0.3), sandbox=NONE).why == "timed out"


@pytest.mark.parametrize(("name", "hint"), [("bubblewarp", "did you mean bubblewrap?"), (None, "did you mean none?")])
def test_an_unknown_sandbox_is_refused(name, hint):
    with pytest.raises(RunError, match="no sandbox named") as caught:
        run("print(1)", sandbox=name)
    assert caught.value.hint == hint


@pytest.mark.parametrize("content", ["print('\ud800')", b"\x00\xff"])
def test_what_is_handed_over_can_be_read_and_by_nobody_written(content):
    with sandbox._sealed(content) as number:
        data = content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass")
        assert os.read(number, 100) == data
        for change in (lambda: os.pwrite(number, b"x", 0), lambda: os.ftruncate(number, 0)):
            with pytest.raises(PermissionError):
                change()
    with pytest.raises(OSError):
        os.read(number, 1)
