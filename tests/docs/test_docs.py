"""The documentation's console blocks are run as a reader would type them, and print what the pages show.

The conventions, which docs/contributing.md shows to writers:

- A ``console`` block holds commands behind ``$ `` (a backslash goes on in the next line) and what each prints. The
  blocks of a page run in order, in one fresh clone of the project a page.
- A command must end with exit code 0, or with the one that a comment behind it names: ``# exit 2``.
- Shown output is compared with numbers, bars, hashes and spaces masked; ``...`` stands for anything, alone on a line
  for any number of lines. A command without shown output prints what it likes.
- A ``console`` block whose title names a GPU (``title="Needs a GPU"``) is not run: ``plan`` composes its commands, with
  ``hardware=h100`` where they name none, and its scripts must exist.
- A block whose title is the path of a file (``title="rewards/brief.py"``) is written there.
- A block of another language is not run, so no command of rlexp may stand in one.
"""

from __future__ import annotations

import dataclasses
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from rlexp.__main__ import VERBS
from rlexp.compose.methods import METHODS, Method
from rlexp.compose.points import points
from rlexp.export.formats import Making
from rlexp.health.rules import RULES
from rlexp.record.finished import run_folders
from rlexp.record.run_folder import LOCK, MANIFEST
from tests.conftest import ROOT, copy_project


def options(group: str) -> list[str]:
    """The options of a config group."""
    return sorted(path.stem for path in (ROOT / "conf" / group).glob("*.yaml"))


PAGES = [ROOT / "README.md", ROOT / "SKILL.md", *sorted((ROOT / "docs").glob("*.md"))]
FENCE = re.compile(r"^```(?P<info>[^\n`]*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
TITLE = re.compile(r'title="([^"]+)"')
FILE = re.compile(r"[\w./-]+\.(py|yaml|csv|jsonl)")
COMMAND = re.compile(r"\s*(\$ )?([\w./]*python3? -m rlexp|rlexp) ")
RLEXP = "python -m rlexp"
MASKS = (
    (re.compile(r" *█+"), ""),  # bars
    (re.compile(r"\b(?=[a-f]*\d)[0-9a-f]{7,}\b"), "#"),  # hashes, commits
    (re.compile(r"[-+±]?\d[\d,]*(\.\d+)?(e[-+]?\d+)?"), "#"),  # numbers, the parts of a date
    (re.compile(r"\s+"), " "),
)


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    language: str
    title: str
    text: str

    @property
    def gpu(self) -> bool:
        """Whether its commands are only composed."""
        return "GPU" in self.title


@dataclass(frozen=True)
class Command:
    """A command of a console block."""

    line: str
    code: int
    """The exit code that it must end with."""
    shown: tuple[str, ...]


def blocks(page: str) -> list[Block]:
    """The fenced blocks of a page, in order."""
    found = []
    for match in FENCE.finditer(page):
        title = TITLE.search(match["info"])
        language = match["info"].split()[0] if match["info"].strip() else ""
        found.append(Block(language, title[1] if title else "", match["text"]))
    return found


def commands(block: Block) -> list[Command]:
    """The commands of a console block, each with the output that is shown below it."""
    found: list[Command] = []
    for part in re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]:
        line, _, shown = part.replace("\\\n", "").partition("\n")
        line, _, code = line.partition("  # exit ")
        found.append(Command(line.strip(), int(code or 0), tuple(shown.splitlines())))
    return found


def masked(line: str) -> str:
    """A line of output without what differs from run to run and from machine to machine."""
    for pattern, mark in MASKS:
        line = pattern.sub(mark, line)
    return line.strip()


def agrees(shown: tuple[str, ...], printed: str) -> bool:
    """Whether a command printed what the page shows; where it shows nothing, any output will do."""
    if not any(line.strip() for line in shown):
        return True
    pattern = ""
    for line in shown:
        text = re.escape(masked(line)).replace(r"\.\.\.", "[^\n]*?")
        pattern += "(?:[^\n]*\n)*?" if line.strip() == "..." else text + "\n"
    text = "".join(masked(line) + "\n" for line in printed.splitlines())
    return re.fullmatch(pattern.rstrip("\n") + r"\n*", text.rstrip("\n") + "\n") is not None


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A fresh clone of the project, with its pinned run."""
    folder = copy_project(tmp_path / "project")
    shutil.copytree(ROOT / "pinned", folder / "pinned", ignore=shutil.ignore_patterns("replay"))
    for name in ("params.yaml", "pyproject.toml", "constraints.txt", "constraints-gpu.txt"):
        shutil.copyfile(ROOT / name, folder / name)
    for line in ("git init -q", "git add -A", "git commit -qm clone"):
        typed(line, folder)
    return folder


def typed(line: str, folder: Path) -> tuple[int, str]:
    """(exit code, everything printed) of a command line in a folder, with the tools of this test's environment."""
    author = {f"GIT_{who}_{what}": "a@b" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    source = os.pathsep.join(filter(None, [str(ROOT / "src"), os.environ.get("PYTHONPATH", "")]))
    environment = {**os.environ, **author, "PATH": path, "PYTHONPATH": source, "COLUMNS": "100"}
    done = subprocess.run(
        ["bash", "-c", line],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=400,
    )
    return done.returncode, done.stdout


def compose(line: str) -> None:
    """Composes a command that needs a GPU, as ``plan`` does."""
    words = shlex.split(line, comments=True)
    if words[:1] == ["python"] and len(words) > 1 and words[1].endswith(".py"):
        assert (ROOT / words[1]).is_file(), f"there is no {words[1]}"
    if shlex.join(words[:3]) != RLEXP:
        return
    words = words[4:] if words[3:4] and words[3] in VERBS else words[3:]
    multirun, overrides = "-m" in words, [word for word in words if not word.startswith("-")]
    if not any(word.startswith("hardware=") for word in overrides):
        overrides.append("hardware=h100")
    assert points(ROOT / "conf", overrides, multirun)


@pytest.mark.long
@pytest.mark.end_to_end
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_console_blocks_of_a_page_do_what_they_show(page, clone):
    for block in blocks(page.read_text()):
        if FILE.fullmatch(block.title):
            (clone / block.title).parent.mkdir(parents=True, exist_ok=True)
            (clone / block.title).write_text(block.text)
        if block.language != "console" or block.gpu:
            continue
        for command in commands(block):
            code, printed = typed(command.line, clone)
            assert code == command.code, f"{page.name}: $ {command.line}\nexit {code}\n{printed}"
            if not agrees(command.shown, printed):
                pytest.fail(f"{page.name}: $ {command.line}\nprinted otherwise than shown:\n{printed}", pytrace=False)
    assert not undocumented(clone)


def undocumented(project: Path) -> set[str]:
    """What the run folders of a project hold, files and keys of lock and manifest, and docs/record.md does not name."""
    found: set[str] = set()
    for path in run_folders(project):
        lock = yaml.safe_load((path / LOCK).read_text()) if (path / LOCK).is_file() else {}
        inputs = {f"inputs.{name}" for name in lock.pop("inputs", {})}
        found |= {entry.name for entry in path.iterdir()} | {*lock, *inputs, *json.loads((path / MANIFEST).read_text())}
    return {name for name in found if not re.search(rf"`{re.escape(name)}[`/]", (ROOT / "docs/record.md").read_text())}


@pytest.mark.parametrize(
    ("page", "names"),
    [
        ("README.md", VERBS),
        ("docs/debugging.md", RULES),
        ("docs/add-a-method.md", [field.name for field in dataclasses.fields(Method)]),
        ("docs/add-a-format.md", [field.name for field in dataclasses.fields(Making)]),
        ("docs/methods.md", METHODS),
        ("docs/security.md", ["code_tests", "sandbox=none"]),
        *(("docs/compose.md", options(group)) for group in ("model", "method", "dataset", "reward")),
        *(("docs/compose.md", options(group)) for group in ("rollout", "tracking", "health", "experiment")),
        ("docs/gpu.md", options("hardware")),
        ("docs/rewards.md", options("reward")),
        ("docs/data.md", options("dataset")),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_page_names_all_there_is(page, names):
    text = (ROOT / page).read_text()
    assert names and [name for name in names if f"`{name}`" not in text and f"{name}`" not in text] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_gpu_blocks_of_a_page_compose(page):
    for block in blocks(page.read_text()):
        if block.language == "console" and block.gpu:
            for command in commands(block):
                compose(command.line)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_command_of_a_page_stands_in_a_console_block(page):
    for block in blocks(page.read_text()):
        if block.language == "console":
            assert commands(block), f"no command in:\n{block.text}"
            assert block.text.startswith("$ "), f"output without its command:\n{block.text}"
        else:
            assert not any(COMMAND.match(line) for line in block.text.splitlines()), block.text


@pytest.mark.parametrize(
    ("shown", "printed", "same"),
    [
        ((), "anything\n", True),
        (("step 1/60  reward 0.986",), "step 1/5  reward 1\n", True),
        (("step 1/60  reward 0.986",), "step 1/60  loss 0.986\n", False),
        (("first", "...", "last"), "first\nlast\n", True),
        (("first", "...", "last"), "first\n1\n2\nlast\n", True),
        (("first", "...", "last"), "first\n1\n2\n", False),
        (("first",), "first\nsecond\n", False),  # what is left out must be said
        (("a step 0.4 s: ...",), "a step 12 s: generate 3\n", True),
        (("run 0ca3ed73c5b72c23 in outputs/2026-11-24/x",), "run ffff0000ffff0000 in outputs/2027-01-01/x\n", True),
        (("", "table   before", ""), "\ntable before\n\n", True),
        (("change +162%",), "change -3%\n", True),
    ],
)
def test_output_agrees_where_only_numbers_and_what_is_left_out_differ(shown, printed, same):
    assert agrees(shown, printed) is same


def test_a_console_block_is_read_into_commands_with_output_and_exit_code():
    page = '```console\n$ a b \\\n  c\none\ntwo\n$ d  # exit 2\n```\n\n```python title="x.py"\n1\n```\n'
    console, python = blocks(page)
    assert commands(console) == [Command("a b   c", 0, ("one", "two")), Command("d", 2, ())]
    assert (python.language, python.title, python.text) == ("python", "x.py", "1\n")
    assert blocks('```console title="Needs a GPU"\n$ x\n```\n')[0].gpu


def test_a_gpu_block_that_does_not_compose_is_refused():
    compose("python -m rlexp model=qwen3_4b rollout=unsloth")
    compose("pip install x")
    with pytest.raises(Exception, match="no_such_model"):
        compose("python -m rlexp model=no_such_model")
    with pytest.raises(AssertionError, match="there is no perf/none"):
        compose("python perf/none.py 135m")
