"""``make kills``: kills runs at chosen and at random moments, has them go on, and compares each with the run that
nobody killed: what was left, from which step it went on, whether it ended byte for byte the same.

Settings, signals and moments take turns, so that every method meets each of them. A chosen moment is met inside the run
itself: the child wraps the function where it lies and sends the signal to its own process a moment later. The others
arrive as a Poisson process would have them, from a seed.

Usage: python -m tests.kills [--cases N] [--seed N] [--workers N]
"""

from __future__ import annotations

import argparse
import json
import os
import random
import runpy
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rlexp.console import show_table
from rlexp.record import checkpoints
from rlexp.record.run_folder import LOCK, read_manifest
from rlexp.record.status import of as status_of
from tests.conftest import ROOT, copy_project
from tests.going_on import differences, learned

SHORT = (
    *("hardware=cpu", "model=tiny", "held_out.rows=8", "held_out.samples=0", "preflight.smoke=never"),
    *("method.max_steps=9", "method.prompts_per_step=4", "method.save_strategy=steps", "method.save_steps=2"),
)
SETTINGS: dict[str, tuple[str, ...]] = {
    "grpo": (),
    "dpo": (
        "method=dpo",
        "dataset=arithmetic_preferences",
    ),
    "rloo, KL": ("method=rloo", "method.beta=0.04"),
    "sft": (
        "method=sft",
        "dataset=arithmetic_demonstrations",
    ),
    "grpo, 2 iterations, saved in mid-generation": ("method.num_iterations=2", "method.save_steps=3"),
    "kto": (
        "method=kto",
        "dataset=arithmetic_judged",
    ),
    "grpo, KL, smoke in front": ("method.beta=0.04", "preflight.smoke=always"),
    "orpo": (
        "method=orpo",
        "dataset=arithmetic_preferences",
    ),
    "grpo, passes of 8": ("hardware.sequences_per_device=8",),
    "grpo, one step off policy": ("method.off_policy_steps=1", "method.save_steps=3"),
    "grpo, second epoch": ("dataset.train_rows=16",),
    "grpo, held-out every 2": ("held_out.every=2",),
    "grpo, chosen by a term": ("held_out.every=1", "held_out.keep=1", "held_out.metric=correct", "method.save_steps=3"),
    "dpo, logged every 3": ("method=dpo", "dataset=arithmetic_preferences", "method.logging_steps=3"),
    "grpo, two data sets": ("dataset=arithmetic+gcd", "held_out.every=4"),
}
SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
CHOSEN = ("start", "smoke", "generation", "scoring", "backward", "checkpoint", "rotation", "held-out", "weights", "end")
"""Moments inside a run; where a setting has none of the kind, its backward pass is taken."""
LIMIT_S = 600


@dataclass(frozen=True)
class Kill:
    """One kill."""

    number: int
    setting: str
    signal: signal.Signals
    moment: str
    """One of CHOSEN, or ``after 3.2 s``."""
    call: int
    """The call of the function at which a chosen moment is met."""
    delay: float
    """Seconds after it; of an arrival the share of the time from the lock to the end."""


def drawn(cases: int, seed: int) -> list[Kill]:
    """The kills: every second one arrives, the others take turns through CHOSEN.

    An arrival's delay is a share of the time that the setting's uninterrupted run takes from its lock on: before it,
    there is nothing to lose.
    """
    source, names = random.Random(seed), list(SETTINGS)
    kills = []
    for number in range(cases):
        setting, chosen = names[number % len(names)], CHOSEN[number // 2 % len(CHOSEN)]
        if number % 2:
            share = next(share for share in iter(lambda: source.expovariate(1.5), None) if share < 0.95)
            moment, call, delay = "arrival", 0, share
        else:
            moment, call, delay = chosen, source.randint(1, 4), source.uniform(0, 0.05)
        kills.append(Kill(number, setting, SIGNALS[number % 3], fitting(moment, setting), call, delay))
    return kills


def fitting(moment: str, setting: str) -> str:
    """The moment, or the nearest one that a setting has."""
    options = SETTINGS[setting]
    if moment == "smoke" and "preflight.smoke=always" not in options:
        return "start"
    if moment in ("generation", "scoring") and {"method=dpo", "method=sft", "method=kto", "method=orpo"} & {*options}:
        return "backward"
    return moment


def child(kill: Kill, arguments: list[str]) -> None:
    """Runs the command line in this process, which kills itself when the moment has come."""
    from rlexp.backend import model as models
    from rlexp.evaluate import measure
    from rlexp.preflight.smoke import driver
    from rlexp.record.run_folder import Record
    from rlexp.train import session

    calls = 0

    def killing(function: Callable[..., Any], call: int = kill.call) -> Callable[..., Any]:
        def called(*args: Any, **kwargs: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls == call:
                threading.Timer(kill.delay, os.kill, (os.getpid(), kill.signal)).start()
            return function(*args, **kwargs)

        return called

    def built(*args: Any) -> Any:
        trainer = build(*args)
        inside = {
            "generation": "_generate_single_turn",
            "scoring": "_calculate_rewards",
            "backward": "training_step",
            "checkpoint": "_save_rng_state",
        }
        if name := inside.get(kill.moment):
            setattr(trainer, name, killing(getattr(trainer, name)))
        return trainer

    build, session.build = session.build, built
    if kill.moment == "start":
        Record.__enter__ = killing(Record.__enter__, 1)
    elif kill.moment == "smoke":
        driver.smoke = killing(driver.smoke, 1)
    elif kill.moment == "rotation":
        checkpoints.keep = killing(checkpoints.keep)
    elif kill.moment == "held-out":
        measure.measure = killing(measure.measure, min(kill.call, 2))
    elif kill.moment == "weights":
        models.save = killing(models.save, 1)
    elif kill.moment == "end":
        Record.__exit__ = killing(Record.__exit__, 1)
    sys.argv = ["rlexp", *arguments]
    runpy.run_module("rlexp", run_name="__main__")


def uninterrupted(project: Path, setting: str) -> tuple[Path, float]:
    """The run folder of a setting that nobody killed, and its seconds from the lock to the end."""
    folder = project / "outputs" / f"whole_{list(SETTINGS).index(setting)}"
    done = command(project, [sys.executable, "-m", "rlexp", *line(folder, setting)])
    assert done.returncode == 0, f"{setting}: {done.stdout}{done.stderr}"
    took = json.loads((folder / "manifest.json").read_text())["timings_s"]
    return folder, took["total"] - took["built"]


def killed(project: Path, kill: Kill, seconds: float) -> tuple[Path, int]:
    """The run folder of a killed run, and its exit code; 0 where it ended before the signal came."""
    folder = project / "outputs" / f"killed_{kill.number}"
    arguments = line(folder, kill.setting)
    if kill.moment != "arrival":
        named = json.dumps([kill.number, kill.setting, kill.signal, kill.moment, kill.call, kill.delay])
        return folder, command(project, [sys.executable, "-m", "tests.kills", "--child", named, *arguments]).returncode
    with open(project / f"killed_{kill.number}.log", "w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "rlexp", *arguments], cwd=project, env=environment(), stdout=log, stderr=log
        )
        while process.poll() is None and not (folder / LOCK).is_file():
            time.sleep(0.05)
        try:
            process.wait(kill.delay * seconds)
        except subprocess.TimeoutExpired:
            process.send_signal(kill.signal)
        return folder, process.wait(LIMIT_S)


def go_on(project: Path, folder: Path, setting: str) -> subprocess.CompletedProcess[str]:
    """Has a run go on where it was killed, as a user would; one that left no record begins anew in the same folder."""
    if (read_manifest(folder) or {}).get("identity"):
        return command(project, [sys.executable, "-m", "rlexp", f"resume={folder.relative_to(project)}"])
    shutil.rmtree(folder, ignore_errors=True)
    return command(project, [sys.executable, "-m", "rlexp", *line(folder, setting)])


def tried(project: Path, kill: Kill, whole: tuple[Path, float]) -> dict[str, str]:
    """One kill, and what came of it: a row of the table."""
    folder, code = killed(project, kill, whole[1])
    manifest = read_manifest(folder) if folder.is_dir() else None
    status = status_of(manifest)[0] if manifest else "no record"
    steps = max((int(str(row["step"])) for row in learned(folder)), default=0)
    begun = checkpoints.last_whole(folder)[0] if (folder / LOCK).is_file() else None
    done = go_on(project, folder, kill.setting) if status != "finished" else None
    if done and done.returncode:
        equal = f"NO: {(done.stdout + done.stderr)[-1500:]}"
    else:
        equal = f"NO: {apart}" if (apart := differences(whole[0], folder)) else "yes"
    moment = f"after {kill.delay * whole[1]:.1f} s" if kill.moment == "arrival" else f"{kill.moment} {kill.call}"
    row = {"": str(kill.number), "setting": kill.setting, "signal": kill.signal.name, "moment": moment}
    row |= {"exit": str(code), "left": f"{status}, {steps} steps"}
    row |= {"went on from": "-" if done is None else f"step {begun.step}" if begun else "the beginning", "equal": equal}
    if equal == "yes":
        shutil.rmtree(folder, ignore_errors=True)
    print("  ".join(row.values()), file=sys.stderr, flush=True)
    return row


def main(cases: int, seed: int, workers: int, project: Path) -> list[dict[str, str]]:
    """Does them all in a copy of the project; the rows of the table."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell has what it starts behind it ignore Ctrl-C
    kills = drawn(cases, seed)
    first = next(iter(SETTINGS))
    wholes = {first: uninterrupted(project, first)}  # alone: it makes the snapshot, and what Unsloth compiles
    with ThreadPoolExecutor(workers) as pool:
        rest = sorted({kill.setting for kill in kills} - {first})
        wholes |= dict(zip(rest, pool.map(lambda setting: uninterrupted(project, setting), rest), strict=True))
        return list(pool.map(lambda kill: tried(project, kill, wholes[kill.setting]), kills))


def line(folder: Path, setting: str) -> list[str]:
    """The command line of a setting."""
    return [f"hydra.run.dir={folder}", *SHORT, *SETTINGS[setting]]


def command(project: Path, words: list[str]) -> subprocess.CompletedProcess[str]:
    """What a command said and how it ended."""
    return subprocess.run(words, cwd=project, env=environment(), capture_output=True, text=True, timeout=LIMIT_S)


def environment() -> dict[str, str]:
    """This code, one thread: sums are taken in the same order."""
    path = os.pathsep.join((str(ROOT / "src"), str(ROOT)))
    return {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1", "DVC_NO_ANALYTICS": "1"}


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        number, setting, signalled, moment, call, delay = json.loads(sys.argv[2])
        child(Kill(number, setting, signal.Signals(signalled), moment, call, delay), sys.argv[3:])
        sys.exit()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=50)
    parser.add_argument("--seed", type=int, default=21)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="rlexp-kills-") as scratch:
        rows = main(options.cases, options.seed, options.workers, copy_project(Path(scratch) / "project"))
    show_table(list(rows[0]), [list(row.values()) for row in rows], folded=("equal",))
    same = sum(row["equal"] == "yes" for row in rows)
    print(f"{same} of {len(rows)} ended as the run that nobody killed (seed {options.seed})")
    sys.exit(same < len(rows))
