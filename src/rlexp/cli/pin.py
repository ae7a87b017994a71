"""``pin``: makes a finished run the project's locked run, which ``dvc repro`` replays."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rlexp import project
from rlexp.cli import benchmark, flags
from rlexp.cli.answer import FORMAT, Answer
from rlexp.cli.arguments import Parser
from rlexp.inputs import reward_versions
from rlexp.record import finished, ship_stage
from rlexp.record.pinned import pin
from rlexp.record.run_folder import LOCK
from rlexp.record.stages import PARAMS, PINNED


def command(arguments: list[str], here: Path) -> Answer:
    """``pin RUN [export=FORMATS] [eval=TASKS]``: checks the run, copies its record to pinned/, and writes DVC's stages
    and params.yaml.

    Raises:
        RunError: there is no such run, it did not finish, its record is not whole, or its code is not trusted.
    """
    about = f"Makes a finished run (also a point of a sweep) the one that dvc repro replays. {flags.TRUST_HELP}"
    parser = Parser("pin", about)
    parser.add_argument("run", help="a run folder")
    parser.add_argument(
        "words", metavar="WORD", nargs="*", help="export=FORMATS, eval=TASKS: dvc repro ships it too, to exports/pinned"
    )
    benchmark.add_limits(parser)
    options, root = parser.parse_intermixed_args(arguments), project.root()
    run = finished.open(options.run, here, root)
    notes = pin(run, ship_stage.read(options.words, benchmark.limits_typed(options), run))
    content = {
        "format": FORMAT,
        "identity": run.lock["identity"],
        "lock": f"{PINNED}/{LOCK}",
        "notes": notes,
        "next": ["dvc repro", f"git add {PINNED} {PARAMS} dvc.yaml dvc.lock {reward_versions.FILE}"],
    }
    return Answer(lambda: content, lambda: show(content))


def show(content: dict[str, Any]) -> None:
    """Prints what was pinned, and what is to be done next."""
    print(f"pinned: run {content['identity']}, {content['lock']}")
    for note in content["notes"]:
        print(f"note: {note}")
    print(f"next: {', then '.join(content['next'])}")
