"""``pin``: makes a finished run the project's locked run, which ``dvc repro`` replays."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rlexp import project
from rlexp.cli import benchmark, flags
from rlexp.cli.answer import FORMAT, Answer
from rlexp.cli.arguments import Parser
from rlexp.errors import RunError, printable
from rlexp.evaluate.sweeps import told
from rlexp.evaluate.sweeps.reading import best_run
from rlexp.inputs import reward_versions
from rlexp.record import finished, ship_stage
from rlexp.record.pinned import pin
from rlexp.record.run_folder import LOCK
from rlexp.record.stages import PARAMS, PINNED
from rlexp.record.sweeps import BEST


def command(arguments: list[str], here: Path) -> Answer:
    """``pin RUN|SWEEP@best [export=FORMATS] [eval=TASKS]``: checks the run, copies its record to pinned/, and writes
    DVC's stages and params.yaml.

    Raises:
        RunError: there is no such run, it did not finish, its record is not whole, or its code is not trusted.
    """
    about = f"Makes a finished run (also a point of a sweep) the one that dvc repro replays. {flags.TRUST_HELP}"
    parser = Parser("pin", about)
    parser.add_argument("run", help=f"a run folder, or SWEEP{BEST} for the best point of a sweep")
    parser.add_argument(
        "words", metavar="WORD", nargs="*", help="export=FORMATS, eval=TASKS: dvc repro ships it too, to exports/pinned"
    )
    parser.add_argument("--metric", metavar="NAME", help=f"of SWEEP{BEST}: by what, as sweep takes it")
    benchmark.add_limits(parser)
    options, root = parser.parse_intermixed_args(arguments), project.root()
    named, chosen = _chosen(options.run, options.metric, here, root)
    run = finished.open(named, here, root)
    notes = pin(run, ship_stage.read(options.words, benchmark.limits_typed(options), run))
    content = {
        "format": FORMAT,
        "identity": run.lock["identity"],
        "lock": f"{PINNED}/{LOCK}",
        "notes": notes,
        **({"chosen": chosen} if chosen else {}),
        "next": ["dvc repro", f"git add {PINNED} {PARAMS} dvc.yaml dvc.lock {reward_versions.FILE}"],
    }
    return Answer(lambda: content, lambda: show(content))


def _chosen(typed: str, metric: str | None, here: Path, root: Path) -> tuple[str, str | None]:
    """(what was typed, or the best point of the sweep that it names, why that one).

    Raises:
        RunError: there is no such sweep, it has no best point, or a metric was named for a run.
    """
    if not typed.endswith(BEST):
        if metric:
            what, hint = "--metric chooses among the points of a sweep", f"leave it out, or type SWEEP{BEST}"
            raise RunError(f"{what}, and this is one run", f"--metric {metric}", hint)
        return typed, None
    reading, best = best_run(typed, here, root, metric)
    name = reading.metric.name if reading.metric else ""
    *why, _ = told.best_lines(best, reading.shown, name)
    return str(best.row.run_dir), "; ".join([*map(str.strip, why), f"its run with the best {name}: {best.row.shown}"])


def show(content: dict[str, Any]) -> None:
    """Prints what was pinned, and what is to be done next."""
    if "chosen" in content:
        print(printable(content["chosen"]))
    print(f"pinned: run {content['identity']}, {content['lock']}")
    for note in content["notes"]:
        print(f"note: {note}")
    print(f"next: {', then '.join(content['next'])}")
