"""The report of a large run: a run folder with 100,000 completions is planted, its report made by the command line in a
process of its own, and opened in headless chromium.

The completions have 60 to 900 characters, of 2,000 prompts, 25 groups of 8 a step; they do not all fit into the file,
so that those that are shown have to be chosen. Printed: seconds that the command took (asked for: under 20), the most
memory it had, megabytes of the file (under 15), seconds from the opening of the file until every filter works and
completions are to be seen (under 2), and until a filter by text over all of them has answered.

Usage: python perf/report.py [COMPLETIONS] (default 100000; a minute)
"""

from __future__ import annotations

import helped  # isort: skip  # noqa: F401
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from rlexp.compose.points import points
from rlexp.compose.run import Run
from rlexp.console import show_table

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.conftest import ROOT, copy_project
from tests.report import browser, planted

GROUPS, PROMPTS, REPEATS = 25, 2000, 3
TEXT = "so the sum of these numbers is first take ten away then add what is left and check it again by counting"
WORDS = TEXT.split()


def step_of(run: Run, step: int, rng: random.Random) -> dict[str, list[Any]]:
    """The completions of a step."""
    size = run.num_generations
    asked = [rng.randrange(PROMPTS) for _ in range(GROUPS)]
    texts = [
        f"<think>{' '.join(rng.choices(WORDS, k=rng.randint(10, 170)))}</think>\n<answer>{rng.randint(0, 999)}</answer>"
        for _ in range(GROUPS * size)
    ]
    scores = {name: [rng.random() for _ in texts] for name in run.reward.terms}
    return {
        "prompt": [f"Prompt {n}: {TEXT} {n}?" for n in asked for _ in range(size)],
        "completion": texts,
        "group": [row // size for row in range(len(texts))],
        "tokens": [len(text) // 4 for text in texts],
        "cut": [rng.random() < 0.05 for _ in texts],
        **scores,
        "reward": [sum(values) for values in zip(*scores.values(), strict=True)],
        "read.answer": [str(n) for n in asked for _ in range(size)],
    }


def plant(project: Path, completions: int) -> None:
    """A project with such a run in outputs/large."""
    run, rng = points(ROOT / "conf", ["hardware=cpu"], multirun=False)[0].run, random.Random(0)
    copy_project(project)
    steps = completions // (GROUPS * run.num_generations)
    planted.write(project / "outputs/large", run, steps=1)
    for step in range(1, steps + 1):
        planted.store(project / "outputs/large", step, step_of(run, step, rng))


def made(project: Path) -> tuple[float, float, str]:
    """(seconds, GiB at most, what was said) of the command."""
    began = time.perf_counter()
    with tempfile.TemporaryFile("w+") as said:
        command = [sys.executable, "-m", "rlexp", "report", "outputs/large"]
        process = subprocess.Popen(command, cwd=project, stdout=said, stderr=subprocess.STDOUT)
        _, status, usage = os.wait4(process.pid, 0)
        said.seek(0)
        text = said.read()
    assert status == 0, text
    return time.perf_counter() - began, usage.ru_maxrss / 2**20, text


def opened(tab: browser.Tab, file: Path) -> tuple[float, float]:
    """(seconds until it can be used, seconds until a filter by text has answered)."""
    began = time.perf_counter()
    tab.open(file)
    tab.until("document.querySelectorAll('#rows .row').length > 0")
    usable = time.perf_counter() - began
    before = tab.run("document.getElementById('matches').textContent")
    began = time.perf_counter()
    tab.run(
        "(() => { const e = document.getElementById('f-text'); e.value = 'counting</think>';"
        " e.dispatchEvent(new Event('input')); })()"
    )
    tab.until(f"document.getElementById('matches').textContent !== {before!r}")
    return usable, time.perf_counter() - began


def main() -> None:
    completions = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    with tempfile.TemporaryDirectory() as place:
        project = Path(place) / "project"
        plant(project, completions)
        seconds, memory, said = made(project)
        file = project / "reports/large.html"
        rows = [[f"{seconds:.1f}", f"{memory:.2f}", f"{file.stat().st_size / 1e6:.1f}"]]
        if browser.PROGRAM:
            with browser.started() as chromium:
                tab = chromium.tab()
                times = [opened(tab, file) for _ in range(REPEATS)]
            rows[0] += [" ".join(f"{one[side]:.2f}" for one in times) for side in (0, 1)]
        else:
            print(f"note: not opened: {browser.MISSING}")
            rows[0] += ["-", "-"]
        print(said)
        show_table(["made, s", "at most, GiB", "MB", "usable, s", "filtered, s"], rows)


if __name__ == "__main__":
    main()
