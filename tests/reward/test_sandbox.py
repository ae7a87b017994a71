"""Programs and completions that mean harm: none scores, none leaves a trace. Honest ones score what they are worth."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from rlexp.errors import RunError
from rlexp.inputs.script import load_script
from rlexp.reward import syscall_filter
from rlexp.reward.sandbox import NONE, Limits, available, run
from tests.reward.attacks import ATTACKS

ROOT = Path(__file__).parents[2]
code_tests = load_script(ROOT / "rewards/code_tests.py")


def _why_not() -> str:
    """Why bwrap can do nothing here. ``available`` is not asked: a fault of ours must not skip the tests."""
    try:
        walls = ["bwrap", "--unshare-user", "--unshare-pid", "--unshare-net", "--ro-bind", "/", "/", "true"]
        tried = subprocess.run(walls, capture_output=True, text=True)
    except OSError as error:
        return f"no sandbox here: {error}"
    return f"no sandbox here: {tried.stderr.strip()}" if tried.returncode else ""


needs_sandbox = pytest.mark.skipif(bool(_why_not()), reason=_why_not())


def score(completion, tests, **params):
    (scored,) = code_tests.score([completion], [json.dumps(tests)], **{"seconds": 1, "memory_mb": 128, **params})
    return scored


def fenced(code):
    return f"```python\n{code}\n```"


def sandboxed():
    """The processes of all sandboxes on this machine."""
    found = set()
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if b"# rlexp sandbox" in path.read_bytes():
                found.add(path.parent.name)
        except OSError:
            continue
    return found


def outlive(before, seconds=15):
    """Processes of sandboxes that came after ``before`` and are still there: others may run some of their own."""
    left, end = sandboxed() - before, time.monotonic() + seconds
    while left and time.monotonic() < end:
        time.sleep(0.02)
        left &= sandboxed()
    return left


# --- the attacks -----------------------------------------------------------------------------------------------------

PLANTED = "planted-4f1c9a"
"""What the one test expects; it also stands in a file, in the environment and behind a socket of this machine."""


class Host:
    """This machine, with things on it to steal and to break, and a look at what became of them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.secret = folder / "secret.txt"
        self.secret.write_text(PLANTED)
        self.victim = subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(120)"])
        self.server = socket.create_server(("127.0.0.1", 0))
        self.abstract = socket.socket(socket.AF_UNIX)
        self.abstract.bind(f"\0{folder}")
        self.abstract.listen()
        self.visitors = 0
        for server in (self.server, self.abstract):
            threading.Thread(target=self._serve, args=(server,), daemon=True).start()
        self.interpreter = Path(os.path.realpath(sys._base_executable))
        self.library = Path(sysconfig.get_path("stdlib"))
        self.watched = (folder, self.library, self.library / "json", self.interpreter.parent)
        self.never = [Path(path) for path in ("/tmp/rlexp-was-here", "/x", "/usr/x", ROOT / "x")]
        self.before = self.state()
        self.processes = sandboxed()

    def _serve(self, server: socket.socket) -> None:
        while True:
            try:
                visitor, _ = server.accept()
            except OSError:
                return
            self.visitors += 1
            visitor.sendall(PLANTED.encode())

    def state(self) -> list[object]:
        listed = [sorted(os.listdir(folder)) for folder in self.watched]
        files = [(path.stat().st_size, path.stat().st_mtime_ns) for path in (self.secret, self.interpreter)]
        return [listed, files, [path.exists() for path in self.never], os.environ["RLEXP_PLANTED"], dict(vars(json))]

    def filled(self, code: str) -> str:
        """An attack aimed at this machine."""
        aims = {
            "SECRET_FILE": self.secret,
            "FOLDER": self.folder,
            "PROJECT": ROOT,
            "PORT": self.server.getsockname()[1],
            "ABSTRACT": self.folder,
            "VICTIM": self.victim.pid,
            "TRAINER": os.getpid(),
        }
        return re.sub("|".join(aims), lambda found: str(aims[found[0]]), code)

    def close(self) -> None:
        self.victim.kill()
        self.victim.wait()
        for server in (self.server, self.abstract):
            server.shutdown(socket.SHUT_RDWR)  # wakes the thread that accepts
            server.close()


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    monkeypatch.setenv("RLEXP_PLANTED", PLANTED)
    made = Host(tmp_path)
    yield made
    made.close()


@needs_sandbox
@pytest.mark.parametrize("attack", ATTACKS)
def test_an_attack_scores_nothing_and_harms_nothing(host, attack):
    began = time.monotonic()
    assert score(fenced(host.filled(ATTACKS[attack])), [{"call": "answer()", "expected": PLANTED}]) == 0.0
    assert time.monotonic() - began < 15
    assert host.state() == host.before
    assert host.victim.poll() is None
    assert host.visitors == 0
    assert outlive(host.processes) == set()


def test_the_attacks_would_succeed_without_a_sandbox(host):
    for attack in (
        "reading a file beside the project",
        "the network",
        "a socket of the machine",
        "the environment of the machine",
    ):
        code = fenced(host.filled(ATTACKS[attack]))
        assert score(code, [{"call": "answer()", "expected": PLANTED}], sandbox=NONE) == 1.0, attack


@needs_sandbox
def test_all_guesses_at_once_count_as_the_first_one():
    guesses = "import os\nfor guess in range(100):\n    os.write(3, b'[%d]\\n' % guess)"
    assert score(fenced(guesses), [{"call": "answer()", "expected": 42}]) == 0.0
    assert score(fenced(guesses), [{"call": "answer()", "expected": 0}]) == 1.0  # it is the value that counts


# --- honest completions ----------------------------------------------------------------------------------------------

SUM = [
    {"call": "add(2, 3)", "expected": 5},
    {"call": "add(-2, 2)", "expected": 0},
    {"call": "add(1, 1)", "expected": 2},
]
ADD = "def add(a, b):\n    return a + b\n"
HONEST = [
    (ADD, SUM, 1.0),
    ("add = lambda a, b: a + b", SUM, 1.0),
    (f"{ADD}print('a trace ' * 10**6)", SUM, 1.0),  # more than may come out: it does not
    (f"{ADD}if __name__ == '__main__':\n    print(add(*map(int, input().split())))", SUM, 1.0),
    (f"import sys\nprint(sys.stdin.read(), file=sys.stderr)\n{ADD}", SUM, 1.0),
    (
        "from __future__ import annotations\nfrom dataclasses import dataclass\n@dataclass\nclass Pair:\n    a: int\n"
        "    b: int\ndef add(a, b):\n    pair = Pair(a, b)\n    return pair.a + pair.b",
        SUM,
        1.0,
    ),
    (
        "import asyncio\nasync def sum_of(*n):\n    return sum(n)\ndef add(*n):\n    return asyncio.run(sum_of(*n))",
        SUM,
        1.0,
    ),
    (
        "import math, re, collections, itertools, functools, heapq, bisect, string, fractions, statistics\n" + ADD,
        SUM,
        1.0,
    ),
    ("def add(a, b):\n    return a if b == 0 else add(a + (b > 0) - (b < 0), b + (b < 0) - (b > 0))", SUM, 1.0),
    ("def add(a, b):\n    return 5", SUM, 1 / 3),
    ("def add(a, b):\n    return {2: 5}[a]", SUM, 1 / 3),  # raises in two
    ("def add(a, b):\n    return abs(a) + b", SUM, 2 / 3),
    ("def add(a, b):\n    while a == -2:\n        pass\n    return a + b", SUM, 1 / 3),  # what came before counts
    ("import os\ndef add(a, b):\n    return a + b if a != 1 else os._exit(0)", SUM, 2 / 3),
    (
        "def f():\n    return (1, (2.0, 'ü')), {'k': None, 3: True}",
        [{"call": "f()", "expected": [[1, [2, "ü"]], {"k": None, "3": True}]}],
        1.0,
    ),
    ("def f():\n    return 0.1 + 0.2", [{"call": "f()", "expected": 0.3}], 1.0),
    ("def f():\n    return None", [{"call": "f()", "expected": None}], 1.0),
    ("def f():\n    raise ValueError", [{"call": "f()", "expected": None}], 0.0),
    ("f = {3, 1, 2}", [{"call": "sorted(f)", "expected": [1, 2, 3]}], 1.0),
    ("x = 1\x00", [{"call": "x", "expected": 1}], 0.0),
    ("x = '\ud800'", [{"call": "1", "expected": 1}], 0.0),
]


@needs_sandbox
@pytest.mark.parametrize(("code", "tests", "expected"), HONEST)
def test_an_honest_completion_scores_its_share(code, tests, expected):
    assert score(fenced(code), tests) == pytest.approx(expected)
    assert score(fenced(code), tests, all_or_nothing=True) == float(expected == 1)


@pytest.mark.parametrize(
    ("line", "expected", "agrees"),
    [
        ("[5]", 5, True),
        ("[5.0]", 5, True),
        ("[5]", 5.0, True),
        ("[0.30000000000000004]", 0.3, True),
        ("[0.31]", 0.3, False),
        ("[1]", True, False),
        ("[true]", 1, False),
        ("[0]", False, False),
        ("[null]", None, True),
        ("[null]", 0, False),
        ("[[1, 2]]", [1, 2], True),
        ("[[1, true]]", [1, 1], False),
        ("[[1]]", [1, 2], False),
        ('[{"a": 1.0}]', {"a": 1}, True),
        ('[{"a": 1, "b": 2}]', {"a": 1}, False),
        ('["5"]', 5, False),
        ("[]", None, False),  # the call raised
        ("", None, False),
        ("5", 5, False),
        ("[5, 5]", 5, False),
        ("[5] ", 5, True),
        ("[5", 5, False),  # cut off
        ("[NaN]", 1.0, False),
        ("[Infinity]", 1.0, False),
        ("[1e999]", 1.0, False),
        (f"[1{'0' * 400}]", 1.0, False),  # beyond every float
        (f"[1{'0' * 9999}]", 1.0, False),
        ("[" * 10**5, [], False),
        ("[" * 10**5 + "]" * 10**5, [], False),
    ],
)
def test_a_line_agrees_with_a_value_as_json_does(line, expected, agrees):
    assert code_tests._agrees(line, expected) is agrees


@pytest.mark.parametrize(
    "tests",
    [
        *("", "[]", "5", "{}", None, "[5]", '[{"call": "f()"}]', '[{"call": "f(", "expected": 1}]'),
        *('[{"call": 1, "expected": 1}]', '[{"call": "f()", "expected": NaN}]', '[{"call": "f(); 2", "expected": 1}]'),
    ],
)
def test_tests_that_are_no_tests_are_a_mistake_of_the_data(tests):
    with pytest.raises(RunError, match="tests of a row cannot be read") as caught:
        code_tests.score(["x"], [tests], sandbox=NONE)
    assert '"expected": 5' in caught.value.hint


# --- the sandbox itself ----------------------------------------------------------------------------------------------


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
    for call in (lambda: run("print(1)"), lambda: score("", SUM), lambda: score(fenced(ADD), SUM)):
        with pytest.raises(RunError, match="no sandbox to run untrusted code in") as caught:
            call()
        assert where in caught.value.where
        assert "install bubblewrap" in caught.value.hint and "sandbox=none" in caught.value.hint


def test_another_machine_has_no_filter_and_so_no_sandbox():
    assert syscall_filter.compiled("riscv64") == b""
    assert len(syscall_filter.compiled("aarch64")) % 8 == 0


def test_who_asks_for_no_sandbox_by_name_gets_limits_only(monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert score(fenced(ADD), SUM, sandbox=NONE) == 1.0
    assert score(fenced("while True:\n    pass"), SUM, sandbox=NONE) == 0.0
    assert run("bytearray(1 << 40)", sandbox=NONE).why == "memory"
    assert run("import time; time.sleep(99)", limits=Limits(seconds=0.3), sandbox=NONE).why == "timed out"


@pytest.mark.parametrize(("name", "hint"), [("bubblewarp", "did you mean bubblewrap?"), (None, "did you mean none?")])
def test_an_unknown_sandbox_is_refused(name, hint):
    with pytest.raises(RunError, match="no sandbox named") as caught:
        score(fenced(ADD), SUM, sandbox=name)
    assert caught.value.hint == hint
