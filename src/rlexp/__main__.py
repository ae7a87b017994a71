"""The single entrypoint: ``python -m rlexp [verb] [overrides]``.

The first word may be a verb; without one a run is trained. A user's mistake ends in one message and exit code 2; a
traceback is a bug of ours (HYDRA_FULL_ERROR=1 shows it always).
"""

from __future__ import annotations

import importlib
import os
import re
import sys
from importlib import metadata
from pathlib import Path

from rlexp import files, project, secrets
from rlexp.backend import telemetry
from rlexp.cli.usage import HELP, HYDRA, of_verb, overview
from rlexp.errors import RunError, nearest

VERBS = {
    "train": "rlexp.cli.train",
    "plan": "rlexp.cli.plan",
    "prepare": "rlexp.cli.prepare",
    "smoke": "rlexp.cli.smoke",
    "score": "rlexp.cli.score",
    "inspect": "rlexp.cli.inspect",
    "ladder": "rlexp.cli.ladder",
    "pin": "rlexp.cli.pin",
    "replay": "rlexp.cli.replay",
    "diff": "rlexp.cli.diff",
    "runs": "rlexp.cli.runs",
    "doctor": "rlexp.cli.doctor",
    "init": "rlexp.cli.init",
}
"""Verb -> the module of ``cli`` whose ``command(arguments, here)`` does it and answers the exit code."""

ANYWHERE = ("doctor", "init")
"""Verbs that need no project."""

FULL_ERROR = bool(os.environ.get("HYDRA_FULL_ERROR"))


def main() -> None:
    """Runs the verb of the command line; the exit code says how it ended."""
    telemetry.switch_off()
    try:
        sys.exit(_dispatch(sys.argv[1:]))
    except RunError as error:
        if FULL_ERROR:
            raise
        _say(error)
        sys.exit(error.exit_code)
    except BrokenPipeError:
        # The reader went away (`| head`): nobody is left to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except Exception as error:
        fault = files.disk_fault(error)
        if FULL_ERROR or fault is None:
            raise
        _say(fault)
        sys.exit(2)
    except KeyboardInterrupt:
        print("interrupted; the run folder holds what was done so far", file=sys.stderr)
        sys.exit(130)


def _say(error: RunError) -> None:
    """Prints a message without secrets: it may quote what a reward or a script raised."""
    secrets.learn(Path.cwd())
    print(f"error: {secrets.masked(str(error))}", file=sys.stderr)


def _dispatch(arguments: list[str]) -> int:
    verb, named = "train", False
    if arguments and re.fullmatch(r"[\w-]+", arguments[0]) and not arguments[0].startswith("-"):
        verb, named = arguments.pop(0), True
    if "--version" in arguments or verb == "version":
        print(f"rlexp {metadata.version('rlexp')}")
        return 0
    if verb == "help" or (set(arguments) & set(HELP) and (not named or verb in HYDRA)):
        print(of_verb(verb, VERBS[verb]) if verb in HYDRA and named else overview(VERBS))
        return 0
    if verb not in VERBS:
        guess = nearest(verb, VERBS)
        raise RunError(
            f"there is no verb {verb!r}",
            where="the first word of the command line",
            hint=f"{'did you mean ' + guess + '? ' if guess else ''}one of: {', '.join(VERBS)}; "
            f"a group or a key takes a value: {verb}=VALUE",
        )
    if second := next((word for word in arguments[:1] if word in VERBS and verb in HYDRA), None):
        raise RunError(
            f"{second} is a verb, and {verb} is one already",
            where=f"{verb} {second}",
            hint=f"leave one of them out: python -m rlexp {verb}",
        )
    # Relative paths of the configuration (data/, outputs/) mean the project's, from wherever the command is typed.
    here = Path.cwd()
    if verb not in ANYWHERE:
        os.chdir(project.root())
    return importlib.import_module(VERBS[verb]).command(arguments, here)


if __name__ == "__main__":
    main()
