"""``replay``: runs a lock again and says how far it agrees with the run that left it."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

from rlexp import project
from rlexp.cli import trusted
from rlexp.cli.arguments import Parser
from rlexp.compare import agreement
from rlexp.record import finished
from rlexp.train.params import train_params
from rlexp.train.replay import replay, require_replaceable

NOT_REACHED = 3
"""Exit code of a replay that does not agree as far as was asked."""


def command(arguments: list[str], here: Path) -> int:
    """``replay RUN_OR_LOCK``: verifies every input, trains, compares.

    Returns:
        0 when the asked level is reached, 3 when not.

    Raises:
        RunError: there is no such run, its lock was changed, or an input is not the locked one and cannot be had.
    """
    options, root = _options(trusted.take(arguments)), project.root()
    if options.dir:
        require_replaceable(root, options.dir)
    original = finished.open(options.run, here, root)
    if options.params and train_params(original, options.params, options.dir):
        return 0
    return 0 if replay(original, options.level, options.check, options.dir) else NOT_REACHED


def _options(arguments: list[str]) -> Namespace:
    parser = Parser("replay", f"Runs a lock again and says how far it agrees with the run that left it. {trusted.HELP}")
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
