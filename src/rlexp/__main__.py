"""The single entrypoint: ``python -m rlexp [verb] [overrides]``.

The first word may be a verb; without one a run is trained. A user's mistake ends in one message and exit code 2; a
traceback is a bug of ours (HYDRA_FULL_ERROR=1 shows it always). With ``--json`` stdout holds one document, whatever
happens.
"""

from __future__ import annotations

import importlib
import os
import re
import signal
import sys
from pathlib import Path
from typing import TextIO

from rlexp import command, files, project, secrets
from rlexp.backend import telemetry
from rlexp.cli import answer, flags, usage
from rlexp.cli.answer import Answer
from rlexp.cli.flags import Flags
from rlexp.cli.usage import HELP, HYDRA
from rlexp.errors import Interrupted, RunError, nearest

VERBS = {
    "train": "rlexp.cli.train",
    "plan": "rlexp.cli.plan",
    "prepare": "rlexp.cli.prepare",
    "data": "rlexp.cli.data",
    "difficulty": "rlexp.cli.difficulty",
    "smoke": "rlexp.cli.smoke",
    "score": "rlexp.cli.score",
    "inspect": "rlexp.cli.inspect",
    "ladder": "rlexp.cli.ladder",
    "evaluate": "rlexp.cli.evaluate",
    "export": "rlexp.cli.export",
    "card": "rlexp.cli.card",
    "ship": "rlexp.cli.ship",
    "benchmark": "rlexp.cli.benchmark",
    "report": "rlexp.cli.report",
    "sweep": "rlexp.cli.sweep",
    "pin": "rlexp.cli.pin",
    "replay": "rlexp.cli.replay",
    "pack": "rlexp.cli.pack",
    "unpack": "rlexp.cli.unpack",
    "diff": "rlexp.cli.diff",
    "runs": "rlexp.cli.runs",
    "doctor": "rlexp.cli.doctor",
    "init": "rlexp.cli.init",
}
"""Verb -> the module of ``cli`` whose ``command(arguments, here)`` does it and gives its ``Answer``."""

ANYWHERE = ("doctor", "init")
"""Verbs that need no project."""

ALONE = ("train", "smoke", "replay", "difficulty", "score", "evaluate", "benchmark", "export", "ship")
"""Verbs that train or load a model: one process each, whatever a launcher started."""

FULL_ERROR = bool(os.environ.get("HYDRA_FULL_ERROR"))


def main() -> None:
    """Runs the verb of the command line; the exit code says how it ended."""
    command.begin()
    telemetry.switch_off()
    signal.signal(signal.SIGTERM, _heard)
    stream = answer.claim_stdout() if flags.asks_json(sys.argv[1:]) else None
    try:
        own, arguments = flags.take(sys.argv[1:])
        found = _dispatch(arguments, own)
        if stream:
            answer.write(stream, found.content())
        else:
            found.show()
        sys.exit(found.exit_code)
    except RunError as error:
        _end(error, stream)
    except BrokenPipeError:
        # The reader went away (`| head`): nobody is left to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except Exception as error:
        if fault := files.disk_fault(error):
            _end(fault, stream)
        answer.last_words(stream, answer.of_unforeseen(error))
        raise
    except KeyboardInterrupt as error:
        interrupted = error if isinstance(error, Interrupted) else Interrupted()
        print(f"interrupted; {answer.after(interrupted)}", file=sys.stderr)
        _show_go_on(interrupted.go_on)
        answer.last_words(stream, answer.of_interrupt(interrupted))
        sys.exit(interrupted.exit_code)


def _heard(number: int, frame: object) -> None:
    """SIGTERM ends what is under way as Ctrl-C does: nothing half-written stays.

    Raises:
        Interrupted: always.
    """
    raise Interrupted(number)


def _end(error: RunError, stream: TextIO | None) -> None:
    """Ends the process with a message, without secrets: it may quote what a reward or a script raised."""
    answer.last_words(stream, answer.of_error(error))
    if FULL_ERROR:
        raise error
    secrets.learn(Path())
    print(f"error: {secrets.masked(str(error))}", file=sys.stderr)
    _show_go_on(error.go_on)
    sys.exit(error.exit_code)


def _show_go_on(line: str | None) -> None:
    """Says, last of all, how a run that was ended goes on."""
    if line:
        print(f"go on: {line}", file=sys.stderr)


def _here() -> Path:
    """The folder in which the command was typed.

    Raises:
        RunError: it is gone.
    """
    try:
        return Path.cwd()
    except OSError as error:
        raise RunError(
            "the folder you are in is gone", where="the shell's folder", hint="cd into one that is"
        ) from error


def _dispatch(arguments: list[str], own: Flags) -> Answer:
    verb, named = "train", False
    if arguments and re.fullmatch(r"[\w-]+", arguments[0]) and not arguments[0].startswith("-"):
        verb, named = arguments.pop(0), True
    if "--version" in arguments or verb == "version":
        return usage.version()
    helps = bool(set(arguments) & set(HELP))
    if verb == "help" or (helps and (not named or verb in HYDRA)):
        return usage.of_verb(verb, VERBS[verb]) if verb in HYDRA and named else usage.overview(VERBS)
    if verb not in VERBS:
        flags.refuse_bare([verb])
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
    if own.save_as and verb not in flags.SAVING:
        raise RunError(
            f"{verb} does not take {flags.SAVE_AS}",
            where=f"{flags.SAVE_AS}={own.save_as[0]}",
            hint=f"leave it out, or type plan {flags.SAVE_AS}={own.save_as[0]} with the same overrides first",
        )
    if own.save_as:
        importlib.import_module("rlexp.cli.save_as").ask(own.save_as)
    # Relative paths of the configuration (data/, outputs/) mean the project's, from wherever the command is typed.
    here = _here()
    if verb not in ANYWHERE:
        os.chdir(project.root())
    if verb in ALONE and not helps:
        begins = verb in ("train", "smoke") and not any(word.startswith("resume=") for word in arguments)
        importlib.import_module("rlexp.train.guards").require_one_process(begins)
    work = importlib.import_module(VERBS[verb]).command
    return usage.of_parser(verb, lambda: work(arguments, here)) if helps else work(arguments, here)


if __name__ == "__main__":
    main()
