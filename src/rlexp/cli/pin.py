"""``pin``: makes a finished run the project's locked run, which ``dvc repro`` replays."""

from __future__ import annotations

from pathlib import Path

from rlexp import project
from rlexp.cli import trusted
from rlexp.cli.arguments import Parser
from rlexp.inputs import reward_versions
from rlexp.record import finished
from rlexp.record.pinned import pin
from rlexp.record.run_folder import LOCK
from rlexp.record.stages import PARAMS, PINNED


def command(arguments: list[str], here: Path) -> int:
    """``pin RUN``: checks the run, copies its record to pinned/, and writes DVC's stage and params.yaml.

    Raises:
        RunError: there is no such run, it did not finish, its record is not whole, or its code is not trusted.
    """
    about = f"Makes a finished run (also a point of a sweep) the one that dvc repro replays. {trusted.HELP}"
    parser = Parser("pin", about)
    parser.add_argument("run", help="a run folder")
    options, root = parser.parse_args(trusted.take(arguments)), project.root()
    run = finished.open(options.run, here, root)
    notes = pin(run)
    print(f"pinned: run {run.lock['identity']}, {PINNED}/{LOCK}")
    for note in notes:
        print(f"note: {note}")
    print(f"next: dvc repro, then git add {PINNED} {PARAMS} dvc.yaml dvc.lock {reward_versions.FILE}")
    return 0
