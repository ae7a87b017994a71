"""A tracker is told what the record holds, and nothing that it does reaches the run. Without a model."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from rlexp.errors import Interrupted, RunError, Stopped
from rlexp.record import completions
from rlexp.record.run_folder import Record, read_manifest
from rlexp.tracking import told
from rlexp.tracking.beside import Trackers
from tests import trackers
from tests.conftest import ROOT

LEFT = ROOT / "tests/record/run_of_1dbe9d9"
ENTRY = {"step": 1, "reward": 0.5, "rewards/correct/mean": 0.25, "timing": {"step_time/step": 2.5}}
HEALTH = {"rule": "length", "level": "warn", "step": 1, "value": 1.0, "said": "completions grow", "hint": "set beta"}
READ: dict[str, Callable[[Path], list[trackers.Seen]]] = {
    "wandb": lambda root: trackers.wandb(root / "wandb"),
    "trackio": lambda root: trackers.trackio(root / "trackio"),
    "tensorboard": trackers.tensorboard,
}


@pytest.fixture
def root(tmp_path, monkeypatch) -> Path:
    """A project folder, on a machine where every tracker keeps what it is told."""
    for name in [name for name in os.environ if name.startswith(("WANDB_", "TRACKIO_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path / "trackio"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def warned() -> list[str]:
    return []


@pytest.fixture
def tracked(root, composed, warned):
    """Records a run that logs two steps, with its trackers beside it."""

    @contextlib.contextmanager
    def recorded(folder: str, *overrides: str, again: int | None = None) -> Iterator[Record]:
        run_dir = root / folder
        run_dir.mkdir(parents=True, exist_ok=True)
        lock = told.lock.read_lock(LEFT / "run.lock.yaml")
        with contextlib.chdir(ROOT):
            run = composed("hardware=cpu", *overrides)
        with (
            Trackers(run, run_dir, root, warned.append) as beside,
            Record(run_dir, root, lock["identity"], [], from_step=again or 0, again=again is not None) as record,
        ):
            for name in ("run.lock.yaml", "held_out.json"):
                shutil.copyfile(LEFT / name, run_dir / name)
            record.content["fork"] = {"run": "outputs/before", "step": 7, "identity": "a" * 16}
            beside.begin(record, again)
            yield record
            record.content["held_out"] = {"reward": {"before": 0.25, "after": 0.75, "standard_error": [0.01, 0.02]}}

    return recorded


def log(run_dir: Path, *steps: int) -> None:
    """Writes what a training writes of steps."""
    (run_dir / "completions").mkdir(exist_ok=True)
    for step in steps:
        shutil.copyfile(LEFT / completions.name(1), run_dir / completions.name(step))
        with (run_dir / "metrics.jsonl").open("a") as stream:
            stream.write(json.dumps({**ENTRY, "step": step, "reward": step / 2}) + "\n")


def shown(value: Any, tracker: str) -> Any:
    """A cell as a tracker keeps it: TensorBoard's are texts."""
    return value if tracker != "tensorboard" or isinstance(value, str) else json.dumps(value, ensure_ascii=False)


@pytest.mark.parametrize("tracker", READ)
def test_a_tracker_knows_what_the_record_holds(root, tracked, tracker, warned):
    with tracked("outputs/one", f"tracking={tracker}"):
        log(root / "outputs/one", 1, 2)
        (root / "outputs/one/health.jsonl").write_text(json.dumps(HEALTH) + "\n")
    (seen,) = READ[tracker](root)
    assert warned == [] and seen.status == "finished"
    assert seen.curve("reward") == [(1, 0.5), (2, 1.0)]
    assert seen.curve("rewards/correct/mean") == [(1, 0.25), (2, 0.25)]
    assert seen.curve("timing/step_time/step") == [(1, 2.5), (2, 2.5)]
    stored = told.of_completions(root / "outputs/one", 2)
    rows = [{c: shown(v, tracker) for c, v in zip(stored.columns, row, strict=True)} for row in stored.rows]
    assert seen.table("completions") == {1: rows, 2: rows} and len(rows) > 10
    lock = told.lock.read_lock(LEFT / "run.lock.yaml")
    assert seen.config["identity"] == lock["identity"] and seen.config["dataset"] == lock["config"]["dataset"]
    assert seen.config["inputs"]["rewards"] == lock["inputs"]["rewards"]  # terms and versions
    assert seen.config["lineage"] == {"fork": {"run": "outputs/before", "step": 7, "identity": "a" * 16}}
    (held_out,) = seen.table("held_out").values()
    assert (held_out[0]["metric"], float(held_out[0]["after"])) == ("reward", 0.75)
    (pairs,) = seen.table("held_out/completions").values()
    assert [row["after"] for row in pairs] == [row["after"] for row in json.loads((LEFT / "held_out.json").read_text())]
    ((title, text),) = seen.events
    assert title == "health.length" and "completions grow (set beta)" in text
    named = read_manifest(root / "outputs/one")["tracking"]
    assert seen.name == named["name"] and seen.name.startswith(lock["identity"])
    assert named["trackers"][tracker]["status"] == "finished" and Path(named["trackers"][tracker]["place"]).exists()
    if tracker != "tensorboard":
        assert seen.project == "rlexp"
    if tracker == "wandb":
        assert seen.id == named["id"]


ENDS = [
    (None, "finished", 0),
    (Stopped("it collapsed"), "stopped", 2),
    (RunError("no such thing"), "failed", 1),
    (Interrupted(signal.SIGTERM), "interrupted", 130),
]


@pytest.mark.parametrize(("error", "status", "code"), ENDS, ids=[status for _, status, _ in ENDS])
def test_the_trackers_end_with_the_status_of_the_run(root, tracked, error, status, code):
    with contextlib.suppress(RunError, Interrupted), tracked("outputs/one", "tracking=wandb+tensorboard"):
        log(root / "outputs/one", 1)
        if error:
            raise error
    (seen,), (events,) = trackers.wandb(root), trackers.tensorboard(root)
    assert (seen.status, seen.exit_code) == (status, code)
    assert events.status.startswith(status)
    assert seen.curve("reward") == events.curve("reward") == [(1, 0.5)]


DIES = """
import os, signal, sys, time
from pathlib import Path
from rlexp.compose.points import points
from rlexp.record.run_folder import Record
from rlexp.tracking.beside import Trackers
root, run_dir = Path(sys.argv[1]), Path(sys.argv[2])
run = points(Path(sys.argv[3]), ["hardware=cpu", "tracking=wandb"], multirun=False)[0].run
trackers = Trackers(run, run_dir, root, print)
with Record(run_dir, root, "0" * 16, []) as record:
    trackers.begin(record)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_run_that_was_killed_is_told_as_killed(root):
    run_dir = root / "outputs/one"
    run_dir.mkdir(parents=True)
    shutil.copyfile(LEFT / "run.lock.yaml", run_dir / "run.lock.yaml")
    log(run_dir, 1)
    done = subprocess.run([sys.executable, "-c", DIES, root, run_dir, ROOT / "conf"], check=False, timeout=120)
    assert done.returncode == -signal.SIGKILL
    until = time.monotonic() + 60
    while not (seen := trackers.wandb(root)) or seen[0].exit_code is None:
        assert time.monotonic() < until
        time.sleep(0.2)
    assert (seen[0].status, seen[0].exit_code, seen[0].curve("reward")) == ("killed", 137, [(1, 0.5)])


def plant(root: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """A package wandb of these lines, in front of the installed one."""
    (root / "planted/wandb").mkdir(parents=True)
    (root / "planted/wandb/__init__.py").write_text(text)
    monkeypatch.setenv("PYTHONPATH", f"{root / 'planted'}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")


FAULTS = {
    "at the import": ("raise ImportError('no such symbol')", "failed", "ImportError: no such symbol"),
    "at the beginning": (
        "class Settings:\n  def __init__(self, **_): pass\ndef init(**_): raise OSError('quota')",
        "failed",
        "OSError: quota",
    ),
    "dies": ("import os\nos._exit(3)", "failed", "its process ended with 3"),
    "crashes": ("import os\nos.kill(os.getpid(), 11)", "failed", "its process was ended by SIGSEGV"),
    "hangs": ("import time\ntime.sleep(1000)", "killed", "it did not end within 1 s, and was killed"),
    "hangs and hears nothing": (
        "import signal, time\nfor one in (1, 2, 15): signal.signal(one, signal.SIG_IGN)\ntime.sleep(1000)",
        "killed",
        "it did not end within 1 s, and was killed",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_tracker_that_fails_or_hangs_is_one_warning_and_the_record_is_whole(
    root, tracked, warned, monkeypatch, fault
):
    text, status, reason = FAULTS[fault]
    plant(root, monkeypatch, text)
    with tracked("outputs/one", "tracking=wandb+tensorboard", "tracking.time_limit=1"):
        log(root / "outputs/one", 1)
        time.sleep(1.5)
    manifest = read_manifest(root / "outputs/one")
    assert manifest["status"] == "finished" and manifest["held_out"]["reward"]["after"] == 0.75
    assert manifest["tracking"]["trackers"]["wandb"]["status"] == status
    assert manifest["tracking"]["trackers"]["wandb"]["reason"] == reason
    assert len(warned) == 1 and reason in warned[0] and "tracking/wandb.log" in warned[0]
    (events,) = trackers.tensorboard(root)  # the other one is not touched by it
    assert events.status == "finished"


def test_what_trackio_only_warns_of_is_said(root, tracked, warned):
    (root / "trackio").write_text("a file where its folder should be")
    with tracked("outputs/one", "tracking=trackio"):
        log(root / "outputs/one", 1)
    assert len(warned) == 1 and "tracking=trackio" in warned[0]
    assert read_manifest(root / "outputs/one")["tracking"]["trackers"]["trackio"]["status"] == "failed"


def test_two_runs_of_one_config_are_two_at_every_tracker(root, tracked):
    for folder in ("outputs/one", "outputs/two"):
        with tracked(folder, "tracking=wandb+trackio"):
            log(root / folder, 1)
    for found in (trackers.wandb(root / "wandb"), trackers.trackio(root / "trackio")):
        assert len({one.name for one in found}) == len({one.id for one in found}) == len(found) == 2
        assert [one.curve("reward") for one in found] == [[(1, 0.5)]] * 2


def test_the_points_of_a_sweep_are_runs_of_one_group(root, tracked, monkeypatch):
    monkeypatch.setenv("WANDB_NAME", "mine")
    monkeypatch.setenv("WANDB_RUN_ID", "mine")
    sweep = root / "multirun/2026-11-30/18-22-47.123"
    sweep.mkdir(parents=True)
    (sweep / "sweep.json").write_text("{}")
    for point in ("aa_seed0", "bb_seed0"):
        with tracked(f"multirun/2026-11-30/18-22-47.123/{point}", "tracking=wandb+trackio+tensorboard"):
            log(sweep / point, 1)
    for tracker, read in READ.items():
        found = read(root)
        assert {one.group for one in found} == {"2026-11-30_18-22-47.123"}, tracker
        assert {one.name[:9] for one in found} == {"aa_seed0_", "bb_seed0_"}
        assert len({one.id for one in found}) == 2


def test_what_wandb_was_told_by_its_variables_is_heard(root, tracked, monkeypatch):
    for name, value in {"PROJECT": "theirs", "RUN_GROUP": "ours", "NAME": "mine", "TAGS": "a,b"}.items():
        monkeypatch.setenv(f"WANDB_{name}", value)
    with tracked("outputs/one", "tracking=wandb", "tracking.project=other"):
        log(root / "outputs/one", 1)
    (seen,) = trackers.wandb(root)
    assert (seen.project, seen.group, seen.name) == ("theirs", "ours", "mine")


def test_wandb_that_is_disabled_keeps_nothing(root, tracked, warned, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "disabled")
    with tracked("outputs/one", "tracking=wandb"):
        log(root / "outputs/one", 1)
    assert warned == [] and trackers.wandb(root) == []


def test_a_run_that_goes_on_goes_on_at_its_trackers(root, tracked):
    every = "tracking=wandb+trackio+tensorboard"
    with contextlib.suppress(RunError), tracked("outputs/one", every):
        log(root / "outputs/one", 1, 2, 3)
        raise RunError("the machine went away")
    lines = (root / "outputs/one/metrics.jsonl").read_text().splitlines(keepends=True)
    (root / "outputs/one/metrics.jsonl").write_text("".join(lines[:2]))  # the last checkpoint was of step 2
    (root / "outputs/one" / completions.name(3)).unlink()
    with tracked("outputs/one", every, again=2):
        log(root / "outputs/one", 3, 4)
    (events,), (kept,) = trackers.tensorboard(root), trackers.trackio(root / "trackio")
    assert events.curve("reward") == [(1, 0.5), (2, 1.0), (3, 1.5), (4, 2.0)] and events.status == "finished"
    assert kept.status == "finished" and dict(kept.curve("reward")) == {1: 0.5, 2: 1.0, 3: 1.5, 4: 2.0}
    first, second = trackers.wandb(root)
    assert first.id == second.id and first.name == second.name
    assert (first.exit_code, second.exit_code) == (1, 0)
    assert second.curve("reward") == [(3, 1.5), (4, 2.0)]


def test_half_a_line_is_told_once_it_is_whole(tmp_path):
    @dataclasses.dataclass
    class Heard:
        steps: list[int] = dataclasses.field(default_factory=list)

        def numbers(self, step: int, values: dict[str, float]) -> None:
            self.steps.append(step)

    heard, growing = Heard(), told.Growing(tmp_path)
    growing.tell(heard)
    for text, steps in (('{"step": 1}\n{"st', [1]), ('ep": 2}', [1]), ("\n", [1, 2]), ("", [1, 2])):
        with (tmp_path / "metrics.jsonl").open("a") as stream:
            stream.write(text)
        growing.tell(heard)
        assert heard.steps == steps


def test_numbers_of_an_entry_are_named_as_the_record_names_them():
    entry = {**ENTRY, "flag": True, "text": "x", "nan": float("nan")}
    found = told.numbers(entry)
    assert set(found) == {"reward", "rewards/correct/mean", "timing/step_time/step", "nan"}


def test_a_tracker_that_a_run_goes_on_with_anew_is_told_all_of_it(root, tracked):
    with tracked("outputs/one", "tracking=wandb"):
        log(root / "outputs/one", 1, 2)
    with tracked("outputs/one", "tracking=wandb+trackio", again=2):
        log(root / "outputs/one", 3)
    assert trackers.wandb(root)[1].curve("reward") == [(3, 1.5)]
    assert trackers.trackio(root / "trackio")[0].curve("reward") == [(1, 0.5), (2, 1.0), (3, 1.5)]
