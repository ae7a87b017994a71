"""The code of the completion passes tests: the share of them, or all or nothing. It runs in a sandbox.

The code is the content of the last answer tag, or else the whole completion; in it, the last fenced block of Python.
The column ``tests`` is JSON text: ``[{"call": "f(2, 3)", "expected": 5}, ...]``, an expression and its JSON value.

The verdict is reached where the code cannot reach. Inside of the sandbox (``rlexp.reward.sandbox``) the code is
executed and the calls are evaluated; what comes out is one line of JSON a test, in their order, and nothing else.
Outside, this process compares each line with ``expected``, which never goes in. So whatever the code does to json, to
the builtins or to the process that runs it (all of which it can), the best it can do is to write lines: lines that are
right only if it knows the values. It can read the calls, so it could answer known ones from a table, as any program
can; tests that the prompt does not show are the remedy. An exit, a crash or the end of its time leaves the remaining
lines unwritten, and those tests failed. An object whose ``__eq__`` is always true is no JSON.

Values are compared as JSON: tuples are lists, keys are text, true is not 1; 2 equals 2.0, and a float is close enough
at 1e-9. Let a call be ``f(4)`` with the value, not ``f(4) == 2`` with ``true``: that verdict would be reached inside.
Sets and objects: ``sorted(f(3))``, ``str(f(3))``.

``sandbox=none`` runs the code as a plain process under rlimits, where there is no bubblewrap. It protects nothing: the
code can read, write, send and delete whatever you can.
"""

import functools
import json
import math
import textwrap
from typing import Any

from rlexp.errors import RunError
from rlexp.reward.sandbox import Limits, require, run

version = 1
bounds = (0.0, 1.0)

PYTHON = ("", "python", "python3", "py")
# The generator is seeded because a score must come out the same again. Prints of the completion go nowhere.
INSIDE = """
import json, os, random, sys
task = json.load(sys.stdin)
lines = os.fdopen(os.dup(1), "w")
os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
random.seed(0)
sys.modules["completion"] = completion = type(sys)("completion")
exec(compile(task["code"], "<completion>", "exec"), vars(completion))
for call in task["calls"]:
    try:
        line = json.dumps([eval(call, vars(completion))], allow_nan=False)
    except BaseException:
        line = "[]"
    print(line, file=lines, flush=True)
"""


def score(
    completions: list[str],
    tests: list[str],
    *,
    all_or_nothing: bool = False,
    seconds: float = 2,
    memory_mb: int = 512,
    sandbox: str = "bubblewrap",
) -> list[float]:
    """One score in [0, 1] a completion, from one run of its code.

    Args:
        tests: JSON text, ``[{"call": "f(2, 3)", "expected": 5}, ...]``.
        all_or_nothing: 1.0 only if all tests pass, instead of the share that does.
        seconds: of processor time, rounded up, for all tests of a completion; by the clock three times as many.
        memory_mb: address space.
        sandbox: ``bubblewrap``, or ``none``, which protects nothing.

    Raises:
        RunError: the sandbox does not work here, or the tests are not in their form.
    """
    require(sandbox)
    # Nothing to write to: a million empty files would cost memory that no limit counts.
    limits = Limits(cpu_seconds=seconds, seconds=3 * seconds, memory_mb=memory_mb, disk_mb=0)
    shares = [_share(text, _read(wanted), limits, sandbox) for text, wanted in zip(completions, tests, strict=True)]
    return [float(share == 1) if all_or_nothing else share for share in shares]


def _share(completion: str, tests: tuple[tuple[str, Any], ...], limits: Limits, sandbox: str) -> float:
    code = _code(completion)
    if not code.strip():
        return 0.0
    task = json.dumps({"code": code, "calls": [call for call, _ in tests]})
    lines = run(INSIDE, task, limits, sandbox).stdout.split("\n")
    return sum(_agrees(line, expected) for line, (_, expected) in zip(lines, tests, strict=False)) / len(tests)


def _code(completion: str) -> str:
    """The code that counts; empty where there is none."""
    opened = completion.rfind("<answer>")
    closed = completion.find("</answer>", opened)
    answered = -1 < opened < closed
    text = completion[opened + len("<answer>") : closed] if answered else completion
    found, block, language = text if answered else "", None, ""
    for line in text.split("\n"):
        fence = line.strip()
        if block is None:
            if fence.startswith("```"):
                block, language = [], fence[3:].strip().casefold()
        elif fence != "```":
            block.append(line)
        else:
            found = "\n".join(block) if language in PYTHON else found
            block = None
    return textwrap.dedent(found)


@functools.lru_cache(maxsize=4096)
def _read(tests: str) -> tuple[tuple[str, Any], ...]:
    """(call, expected value) of every test."""
    try:
        found = [(test["call"], test["expected"]) for test in json.loads(tests, parse_constant=_no_json)]
        for call, _ in found:
            compile(call, "<call>", "eval")
    except (KeyError, SyntaxError, TypeError, ValueError) as error:
        raise _malformed(tests, f"{type(error).__name__}: {error}") from error
    if not found:
        raise _malformed(tests, "there are none")
    return tuple(found)


def _malformed(tests: object, why: str) -> RunError:
    return RunError(
        f"the tests of a row cannot be read ({why})",
        where=f"the column tests: {str(tests)[:80]!r}",
        hint='JSON text of the form [{"call": "f(2, 3)", "expected": 5}]',
    )


def _agrees(line: str, expected: Any) -> bool:
    """Whether a line from inside is right. Anybody may have written it: nothing in it may raise or take long."""
    try:
        given = json.loads(line, parse_constant=_no_json)
        return isinstance(given, list) and len(given) == 1 and _same(given[0], expected)
    except (ValueError, OverflowError, RecursionError):
        return False


def _same(given: Any, expected: Any) -> bool:
    if isinstance(given, bool) or isinstance(expected, bool):
        return given is expected
    if isinstance(given, list) and isinstance(expected, list):
        return len(given) == len(expected) and all(map(_same, given, expected))
    if isinstance(given, dict) and isinstance(expected, dict):
        return given.keys() == expected.keys() and all(_same(given[key], expected[key]) for key in expected)
    if isinstance(given, int | float) and isinstance(expected, float):
        return math.isclose(given, expected, rel_tol=1e-9, abs_tol=1e-9)
    return bool(given == expected)


def _no_json(name: str) -> None:
    """NaN and Infinity, which Python reads and JSON does not know."""
    raise ValueError(name)


ADD = '[{"call": "add(2, 3)", "expected": 5}, {"call": "add(-7, 7)", "expected": 0}]'
HALF = '[{"call": "half(3)", "expected": 1.5}, {"call": "half(4)", "expected": 2.0}]'
RIGHT = "def add(a, b):\n    return a + b\n"

cases = [
    {"completion": f"So:\n```python\n{RIGHT}```\nDone.", "tests": ADD, "score": 1.0},
    {"completion": f"<think>Easy</think><answer>{RIGHT}</answer>", "tests": ADD, "score": 1.0},
    {"completion": f"<answer>\n```\n{RIGHT}```</answer>", "tests": ADD, "score": 1.0},
    {"completion": f"```python\nadd = 3\n```\nNo:\n```python\n{RIGHT}```", "tests": ADD, "score": 1.0},  # the last
    {"completion": f"```python\n{RIGHT}```\nTry:\n```sh\npython add.py\n```", "tests": ADD, "score": 1.0},  # of Python
    {"completion": f"```python\n{RIGHT}print('trace')\n```", "tests": ADD, "score": 1.0},  # prints do not matter
    {"completion": "```python\ndef half(n):\n    return n / 2\n```", "tests": HALF, "score": 1.0},
    {"completion": "```python\ndef add(a, b):\n    return 5\n```", "tests": ADD, "score": 0.5},
    {"completion": "```python\ndef add(a, b):\n    return 5\n```", "tests": ADD, "all_or_nothing": True, "score": 0.0},
    {"completion": f"```python\n{RIGHT}", "tests": ADD, "score": 0.0},  # cut off
    {"completion": RIGHT, "tests": ADD, "score": 0.0},  # no block and no tag
    {"completion": "```python\ndef add(a, b)\n```", "tests": ADD, "score": 0.0},
    {"completion": "```python\ndef add(a, b):\n    return float('nan')\n```", "tests": ADD, "score": 0.0},
    {"completion": f"```python\n{RIGHT}exit = __import__('sys').exit(0)\n```", "tests": ADD, "score": 0.0},  # cheat
    {"completion": "```python\nprint('[5]')\nprint('[0]')\n```", "tests": ADD, "score": 0.0},  # cheat: prints lines
    {"completion": "", "tests": ADD, "score": 0.0},
]
