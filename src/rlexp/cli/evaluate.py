"""``evaluate``: is it better, and by how much? Tasks on runs, checkpoints, models and endpoints, in one table.

``eval=a+b`` names the tasks of eval/ (without it the run's held-out rows), ``eval.samples=4``, ``eval.rows=512``,
``eval.want=0.03`` and ``eval.TASK.KEY=VALUE`` change them. A run is held against what it began with.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from rlexp import project
from rlexp.api.evaluate import evaluate_plan, plan_of, sort_words
from rlexp.cli import evaluate_view, flags
from rlexp.cli.answer import FORMAT, Answer
from rlexp.cli.arguments import Parser
from rlexp.cli.progress import Counter
from rlexp.console import RunConsole
from rlexp.evaluate.evaluation import Evaluated, Plan


def command(arguments: list[str], here: Path) -> Answer:
    """``evaluate RUN|RUN@STEP|FOLDER|MODEL|URL [more...] [eval=TASKS] [eval.KEY=VALUE]``.

    Raises:
        RunError: a word names nothing, a task cannot be composed, or an input is missing; nothing was written.
    """
    parser = Parser("evaluate", f"Measures tasks on runs and models, and compares them. {flags.TRUST_HELP}")
    parser.add_argument(
        "words",
        metavar="WORD",
        nargs="*",
        help="a run, RUN@STEP, RUN@best, RUN@base, a model's folder or option, hub:ORG/NAME, http://HOST/v1#MODEL; and "
        "eval=TASKS, eval.KEY=VALUE, or overrides that say how a model is spoken to",
    )
    parser.add_argument("--again", action="store_true", help="measure also what was measured before")
    parser.add_argument(
        "--rescore", metavar="REWARD", help="score the stored samples by these options of conf/reward; sample nothing"
    )
    options = parser.parse_intermixed_args(arguments)
    words, overrides = sort_words(options.words, here)
    root, console = project.root(), RunConsole()
    plan = plan_of(words, overrides, here, root, options.again, options.rescore)
    done = evaluate_plan(plan, console.print, lambda total: Counter(console, total, "prompts"))
    return Answer(lambda: to_json(plan, done, root), lambda: evaluate_view.show(plan, done, root))


def to_json(plan: Plan, done: Evaluated, root: Path) -> dict[str, Any]:
    """The evaluation as JSON values: its record, and where it is."""
    content = {key: value for key, value in done.content.items() if key != "format"}
    seconds = [{"task": task, "subject": name, "seconds": s} for (task, name), s in done.measured.items()]
    return {"format": FORMAT, "file": os.path.relpath(done.file, root), **content, "measured": seconds}
