"""Plants every failure of tests/end_to_end/planted.py in a copy of the project, and prints where each was caught.

Each goes through the real command line with model=tiny: first those that the checks in front of a run know, then those
that the smoke steps see, then those that the health rules stop where no smoke went before. ``caught at`` is read from
what the run left: no folder, no loaded model, the smoke's folder only, or the last step of metrics.jsonl.

Usage, from the project folder: python perf/planted_failures.py
"""

import helped  # isort: skip  # noqa: F401
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from tests.conftest import copy_project
from tests.end_to_end.planted import PLANTED, SMOKED, WATCHED, Planted, caught_at

LISTS = ((PLANTED, ("method.max_steps=2",)), (SMOKED, ()), (WATCHED, ("preflight.smoke=never",)))


def plant(planted: Planted, more: tuple[str, ...]) -> tuple[bool, str]:
    """Runs one: (was it caught by its rule, its row of the table)."""
    with tempfile.TemporaryDirectory() as scratch:
        project = copy_project(Path(scratch) / "project")
        arguments = planted.plant(project)
        began = time.monotonic()
        command = [sys.executable, "-m", "rlexp", "hydra.run.dir=outputs/planted", "held_out.rows=0", *more, *arguments]
        done = subprocess.run(command, cwd=project, capture_output=True, text=True)
        took = time.monotonic() - began
        said = done.stdout + done.stderr
        where = "warned, runs on" if planted.warns else caught_at(project / "outputs/planted")
        named = re.findall(r"\[([a-z]+\.[a-z_]+)\]", "\n".join(line for line in said.splitlines() if "error: " in line))
        named = named or ([planted.rule] if f"warning [{planted.rule}]" in said else ["nothing"])
        ended = done.returncode == (0 if planted.warns else 2) and "Traceback" not in said
        caught = ended and planted.rule == named[0]
        message = next((line for line in said.splitlines() if f"[{planted.rule}]" in line), said.strip()[-200:])
        message = message.removeprefix("error: ").removeprefix("warning ").removeprefix(f"[{planted.rule}] ")
        shown = (message if len(message) <= 110 else message[:107] + "...").replace("|", r"\|")
        mark = "" if caught else " **NOT BY ITS RULE**"
        return (
            caught,
            f"| {planted.name} | `{named[0]}`{mark} | {where} | {took:.0f} | {shown} |",
        )


def main() -> None:
    """Prints the table; exit code 1 where one was not caught by its rule."""
    print("| planted | rule | caught at | s | what is said |\n|---|---|---|---:|---|")
    results = []
    for items, more in LISTS:
        for planted in items:
            caught, row = plant(planted, more)
            results.append(caught)
            print(row, flush=True)
    print(f"\n{sum(results)} of {len(results)} caught by their rule")
    sys.exit(0 if all(results) else 1)


if __name__ == "__main__":
    main()
