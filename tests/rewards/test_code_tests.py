"""Code in completions that means harm: none scores, none leaves a trace. Honest ones score what they are worth."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import sysconfig
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from rlexp.errors import RunError
from rlexp.inputs.script import load_script
from rlexp.reward.sandbox import NONE
from tests.reward.sandboxes import needs_sandbox, outlive, sandboxed
from tests.rewards.attacks import ATTACKS

ROOT = Path(__file__).parents[2]
code_tests = load_script(ROOT / "rewards/code_tests.py")


def score(completion, tests, **params):
    (scored,) = code_tests.score([completion], [json.dumps(tests)], **{"seconds": 1, "memory_mb": 128, **params})
    return scored


def fenced(code):
    return f"```python\n{code}\n```"


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


@pytest.mark.parametrize("completion", ["", fenced(ADD)])
def test_a_machine_without_a_sandbox_scores_nothing_unless_told_to_go_without(monkeypatch, completion):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(RunError, match="no sandbox to run untrusted code in"):
        score(completion, SUM)
    assert score(fenced(ADD), SUM, sandbox=NONE) == 1.0
    assert score(fenced("while True:\n    pass"), SUM, sandbox=NONE) == 0.0
    with pytest.raises(RunError, match="no sandbox named"):
        score(completion, SUM, sandbox="bubblewarp")
