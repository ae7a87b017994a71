"""How long ``plan -m`` takes, and the checks of ``train -m`` before its first point: seconds and
processor seconds, together and a point (those of the processor say what it takes on an idle machine).

Usage: python perf/plan_sweep.py [POINTS ...] (in the project; 200 by default). Needs the data of model=tiny.
"""

from __future__ import annotations

import helped  # isort: skip  # noqa: F401
import contextlib
import io
import sys
import time
from pathlib import Path

from rlexp import project
from rlexp.cli import plan
from rlexp.cli.arguments import command_line, hydra_options
from rlexp.console import show_table
from rlexp.train.one_job import make_ready


def line(points: int) -> list[str]:
    """A sweep of so many points over beta, num_generations and seed."""
    betas = ",".join(f"{0.01 * number:.2f}" for number in range(max(points // 8, 1)))
    return ["-m", "model=tiny", f"method.beta={betas}", "method.num_generations=4,8", "seed=range(4)"]


def clocks() -> tuple[float, float]:
    """The clock, and that of the processor."""
    return time.perf_counter(), time.process_time()


def since(began: tuple[float, float]) -> list[float]:
    """The seconds of both since then."""
    return [now - then for now, then in zip(clocks(), began, strict=True)]


def main() -> None:
    """Times both, and prints a table."""
    root, rows = project.root(), []
    for points in map(int, sys.argv[1:] or ["200"]):
        began = clocks()
        with contextlib.redirect_stdout(io.StringIO()):
            plan.command(line(points), Path.cwd())
        planned, began = since(began), clocks()
        made = command_line(hydra_options(line(points)), Path.cwd()).points()
        composed = since(began)
        for point in made:
            make_ready(point.run, root, root)
        ready = since(began)
        for what, took in (("plan -m", planned), ("train -m: composed", composed), ("train -m: ready", ready)):
            cells = [cell for seconds in took for cell in (f"{seconds:.1f}", f"{seconds / len(made):.3f}")]
            rows.append([what, str(len(made)), *cells])
    show_table(("what", "points", "seconds", "a point", "processor", "a point"), rows)


if __name__ == "__main__":
    main()
