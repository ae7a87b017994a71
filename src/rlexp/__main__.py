"""The single entrypoint: ``python -m rlexp [verb] [overrides]``.

The first word may be a verb; everything else is Hydra's own grammar. A user's mistake ends in one message and exit
code 2; a traceback is a bug of ours (HYDRA_FULL_ERROR=1 shows it always).
"""

from __future__ import annotations

import os
import sys
from argparse import Namespace
from collections.abc import Callable

from rlexp import project
from rlexp.errors import RunError, nearest

FULL_ERROR = bool(os.environ.get("HYDRA_FULL_ERROR"))


def main() -> None:
    """Runs the verb of the command line; the exit code says how it ended."""
    try:
        sys.exit(_dispatch(sys.argv[1:]))
    except RunError as error:
        if FULL_ERROR:
            raise
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except BrokenPipeError:
        # The reader went away (`| head`): nobody is left to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except KeyboardInterrupt:
        print("interrupted; the run folder holds what was done so far", file=sys.stderr)
        sys.exit(130)


def _dispatch(arguments: list[str]) -> int:
    verb = "train"
    if arguments and not arguments[0].startswith("-") and "=" not in arguments[0] and arguments[0][:1] not in "+~":
        verb = arguments.pop(0)
        sys.argv.pop(1)
    if verb not in VERBS:
        guess = nearest(verb, VERBS)
        raise RunError(
            f"there is no verb {verb!r}",
            where="the first word of the command line",
            hint=f"{'did you mean ' + guess + '? ' if guess else ''}one of: {', '.join(VERBS)}",
        )
    # Relative paths (conf/, data/, outputs/) mean the project's, from wherever the command is typed.
    os.chdir(project.root())
    from hydra._internal.utils import get_args_parser

    parser = get_args_parser()
    return VERBS[verb](parser.parse_args(arguments))


def _train(options: Namespace) -> int:
    """Train: compose, lock, train, compare."""
    from rlexp.train.jobs import run_jobs

    return run_jobs(options)


def _plan(options: Namespace) -> int:
    """Print the resolved run, or every point of a sweep (-m); loads nothing."""
    from rlexp import plan
    from rlexp.compose.points import points
    from rlexp.inputs.check import check

    root = project.root()
    for number, point in enumerate(points(root / "conf", options.overrides, options.multirun)):
        if number:
            print()
        print(plan.render(plan.describe(point.run, check(point.run, root), root)))
    return 0


def _prepare(options: Namespace) -> int:
    """Make the data snapshot and the base model of a run where they are missing."""
    from rlexp.compose.points import points
    from rlexp.inputs.prepare import prepare

    root = project.root()
    for point in points(root / "conf", options.overrides, options.multirun):
        prepare(point.run, root)
        print(f"ready: {point.run.dataset.path}, {point.run.model.path or point.run.model.hub_id}")
    return 0


VERBS: dict[str, Callable[[Namespace], int]] = {"train": _train, "plan": _plan, "prepare": _prepare}


if __name__ == "__main__":
    main()
