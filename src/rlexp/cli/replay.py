"""``replay``: runs a lock again and says how far it agrees with the run that left it."""

from __future__ import annotations

import os
from argparse import Namespace
from pathlib import Path
from typing import Any

from rlexp import project
from rlexp.cli import flags, ran
from rlexp.cli.answer import FORMAT, Answer
from rlexp.cli.arguments import Parser
from rlexp.compare import agreement
from rlexp.record import finished
from rlexp.record.finished import FinishedRun
from rlexp.record.run_folder import read_manifest
from rlexp.train.params import train_params
from rlexp.train.replay import Replayed, replay, require_replaceable

NOT_REACHED = 3
"""Exit code of a replay that does not agree as far as was asked."""


def command(arguments: list[str], here: Path) -> Answer:
    """``replay RUN_OR_LOCK``: verifies every input, trains, compares.

    The exit code is 0 when the asked level is reached, 3 when not.

    Raises:
        RunError: there is no such run, its lock was changed, or an input is not the locked one and cannot be had.
    """
    options, root = _options(arguments), project.root()
    if options.dir:
        require_replaceable(root, options.dir)
    original = finished.open(options.run, here, root)
    if options.params and (trained := train_params(original, options.params, options.dir)):
        return Answer(lambda: {"format": FORMAT, **ran.of_run(trained, root), "notes": []})
    found = replay(original, options.level, options.check, options.dir)
    return Answer(lambda: to_json(original, found), exit_code=0 if found.reached else NOT_REACHED)


def to_json(original: FinishedRun, found: Replayed) -> dict[str, Any]:
    """The new run with its agreement; of a check, what was checked."""
    root, lock = original.root, original.lock
    if found.run_dir:
        new = ran.of_run(found.run_dir, root)
        manifest = read_manifest(found.run_dir) or {}
        more = {name: manifest[name] for name in ("replay_of", "agreement")}
        return {"format": FORMAT, **new, **more, "notes": found.notes}
    source = {
        "run": os.path.relpath(original.run_dir, root),
        "identity": lock["identity"],
        "checksum": lock["checksum"],
    }
    return {"format": FORMAT, "status": "checked", "replay_of": source, "notes": found.notes}


def _options(arguments: list[str]) -> Namespace:
    about = "Runs a lock again and says how far it agrees with the run that left it."
    parser = Parser("replay", f"{about} {flags.TRUST_HELP}")
    parser.add_argument("run", help="a run folder, its run.lock.yaml, or pinned")
    parser.add_argument(
        "--level",
        choices=agreement.LEVELS,
        help="how far it must agree for exit code 0; default: trajectory on the same kind of machine with the same "
        "versions, else inputs",
    )
    parser.add_argument("--check", action="store_true", help="verify the inputs only; train nothing")
    parser.add_argument("--dir", help="the folder of the new run; an earlier replay in it is replaced")
    parser.add_argument("--params", help="a composed tree (DVC's params.yaml); where it differs, it is trained instead")
    return parser.parse_args(arguments)
