"""The process of one tracker: ``python -m rlexp.tracking.follow wandb RUN_DIR ...``, which ``beside`` starts.

It follows the run folder until the process that trains says so or is gone, then reads how
the run ended and ends the tracker's run so. What it prints goes to the run's log; its one answer is a line of JSON.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import traceback
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import Any

from rlexp import secrets
from rlexp.tracking import told
from rlexp.tracking.tracker import NAMES, Ended, Tracker, begin

POLL = 0.5
"""Seconds between two looks at the run folder."""
NICE = 5
"""How far this process steps back behind the one that trains."""


def main(arguments: list[str]) -> int:
    """Follows a run to its end.

    Returns:
        The exit code: 1 where the tracker failed.
    """
    parser = ArgumentParser("follow")
    parser.add_argument("tracker", choices=NAMES)
    parser.add_argument("run_dir", type=Path)
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--again", type=int, help="the step that the run goes on from")
    parser.add_argument("--evaluations", action="store_true", help="tell the evaluations of a run that ended, no more")
    parser.add_argument("--seconds", type=float, required=True, help="to end in, once the run did")
    options = parser.parse_args(arguments)
    answer = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever the library prints
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a run that is ended says so itself
    os.nice(NICE)
    secrets.learn(options.root)
    said: dict[str, Any] = {}
    try:
        _follow(options, said)
    except BaseException as error:
        traceback.print_exc()
        lines = str(error).strip().splitlines()
        said["error"] = f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
    with answer:
        print(json.dumps(said), file=answer)
    sys.stdout.flush()
    sys.stderr.flush()
    return int("error" in said)


def _follow(options: Namespace, said: dict[str, Any]) -> None:
    run_dir, parent, over = options.run_dir, os.getppid(), threading.Event()
    threading.Thread(target=_wait, args=(over,), daemon=True).start()
    facts = told.of_run(run_dir, options.root, options.again)
    tracker = begin(options.tracker, facts)
    said["place"] = tracker.place
    if options.evaluations:
        _end_within(options.seconds)
        before = told.ended(run_dir, options.again or 0)
        tracker.end(Ended(before.status, before.reason, before.step, tables=told.evaluations(run_dir)))
        return
    growing = told.Growing(run_dir, options.again or 0)
    _until_over(growing, tracker, over, parent)
    _end_within(options.seconds)
    growing.tell(tracker)
    tracker.end(told.ended(run_dir, growing.step))


def _until_over(growing: told.Growing, tracker: Tracker, over: threading.Event, parent: int) -> None:
    while not over.wait(POLL) and os.getppid() == parent:
        growing.tell(tracker)


def _wait(over: threading.Event) -> None:
    """A word comes through the pipe, or it closes."""
    sys.stdin.buffer.read(1)
    over.set()


def _end_within(seconds: float) -> None:
    """Ends this process by the system's own clock, whatever its library does by then."""
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, seconds)


if __name__ == "__main__":
    code = main(sys.argv[1:])
    os._exit(code)  # threads and ends of libraries are not waited for: what was told is kept by now
