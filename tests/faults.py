"""``make faults``: injects faults into scratch copies of the project and prints what each cost: one message, and
nothing lost.

Each fault is a function: it spoils a copy of the project, runs the real command line, and says what must be heard.
Disks are really full (a small tmpfs) or read-only (a read-only bind mount): bubblewrap mounts them for the command
alone. A clock that jumps is a patched ``time.time`` (a sitecustomize in the child). What is counted as lost: a file of
the user's that was there before the command and is gone or other afterwards, and half a file.
``tests/end_to_end/test_faults.py`` runs the cheap ones in every test run, the others as long ones.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

if __package__ in (None, ""):
    sys.path.insert(0, str(Path(__file__).parents[1]))

from rlexp.console import show_table
from rlexp.whole import fault as broken
from tests.conftest import ROOT, copy_project

SHORT = ("method.max_steps=2", "held_out.rows=0", "preflight.smoke=never")
OLD = ROOT / "tests/record/run_of_1dbe9d9"
MADE = ("__pycache__", "unsloth_compiled_cache", ".dvc", ".git")
"""Folders that are nobody's work."""
PYTHON = [sys.executable, "-m", "rlexp"]
LIMIT_S = 300


@dataclass
class Scratch:
    """A copy of the project, in which commands are run and watched."""

    root: Path
    """The project folder."""
    code: int = 0
    said: str = ""
    seconds: float = 0.0
    lost: list[str] = field(default_factory=list)

    def run(self, *command: str, before: tuple[str, ...] = (), **environment: str) -> None:
        """Runs ``python -m rlexp COMMAND`` behind ``before``; takes down its exit code, words and losses."""
        self.watch(lambda: self._run([*before, *PYTHON, *command], environment))

    def shell(self, script: str, before: tuple[str, ...] = ()) -> None:
        """Runs a shell script instead; $RLEXP stands for the command."""
        self.watch(lambda: self._run([*before, "sh", "-c", script], {"RLEXP": " ".join(PYTHON)}))

    def watch(self, act: Callable[[], None]) -> None:
        """Does something to the project, and takes down which files of the user's it cost."""
        before, began = self.files(), time.monotonic()
        act()
        self.seconds += time.monotonic() - began
        after = self.files()
        self.lost += sorted(name for name, md5 in before.items() if after.get(name) != md5)
        self.lost += sorted(name for name in after if name.endswith(".partial"))

    def _run(self, command: list[str], environment: dict[str, str]) -> None:
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        variables = {**os.environ, "PATH": path, "DVC_NO_ANALYTICS": "1", **environment}
        done = subprocess.run(
            command, cwd=self.root, env=variables, capture_output=True, text=True, timeout=LIMIT_S, errors="replace"
        )
        self.code, self.said = done.returncode, self.said + done.stdout + done.stderr

    def files(self) -> dict[str, str]:
        """Every file of the project, by its hash; partial ones by their name's end."""
        found = (p for p in self.root.rglob("*") if p.is_file() and not set(MADE) & set(p.relative_to(self.root).parts))
        return {p.relative_to(self.root).as_posix(): hashlib.md5(p.read_bytes()).hexdigest() for p in found}

    def old_run(self) -> Path:
        """A finished run, as an earlier version left it, in a project with the rewards of its time."""
        shutil.copytree(OLD / "sources/rewards", self.root / "rewards", dirs_exist_ok=True)
        return Path(shutil.copytree(OLD, self.root / "outputs/old"))

    def script(self, body: str) -> tuple[str, ...]:
        """Writes data_prep/mine.py with this body of ``rows``; the overrides that ask for it."""
        (self.root / "data_prep/mine.py").write_text(f'"""Rows."""\n\n\ndef rows():\n    {body}\n')
        option = "name: mine\ntype: prompt_only\npath: data/mine\nprepare: mine\nparams: {}\n"
        (self.root / "conf/dataset/mine.yaml").write_text(option)
        return ("dataset=mine", "reward=format", "held_out.rows=0")

    def reward(self, body: str, head: str = "") -> tuple[str, ...]:
        """Writes rewards/mine.py with this body of ``score``; the overrides that ask for it."""
        cases = "cases = [{'completion': '', 'score': 0.0}]"
        text = f"{head}version = 1\n\n\ndef score(completions):\n    {body}\n\n\n{cases}\n"
        (self.root / "rewards/mine.py").write_text(text)
        (self.root / "conf/reward/mine.yaml").write_text("terms: {mine: {file: rewards/mine.py}}\n")
        return ("reward=format+mine",)

    def manifest(self, folder: str) -> dict:
        """The manifest of a run folder."""
        return json.loads((self.root / folder / "manifest.json").read_text())


@dataclass(frozen=True)
class Fault:
    """One fault."""

    title: str
    inject: Callable[[Scratch], None]
    heard: str
    """Must be among what was said."""
    code: int
    """The exit code it must have."""
    long: bool

    @property
    def name(self) -> str:
        """A name for tests and for the command line."""
        return self.inject.__name__

    def faults(self, scratch: Scratch) -> list[str]:
        """What is wrong with how it went; nothing where all is well."""
        wrong = [f"lost {name}" for name in scratch.lost]
        if scratch.code != self.code:
            wrong.append(f"exit {scratch.code}, not {self.code}")
        if "Traceback" in scratch.said:
            wrong.append("a traceback")
        if self.heard not in " ".join(scratch.said.split()):
            wrong.append(f"not heard: {self.heard}")
        return wrong


FAULTS: list[Fault] = []


def fault(title: str, heard: str, code: int = 2, long: bool = True) -> Callable:
    """Adds a function to FAULTS."""

    def add(function: Callable[[Scratch], None]) -> Callable[[Scratch], None]:
        FAULTS.append(Fault(title, function, heard, code, long))
        return function

    return add


def damage(path: Path, how: str) -> None:
    """Cuts a file in half, or turns one bit of its middle."""
    old = path.read_bytes()
    middle = len(old) // 2
    path.write_bytes(old[:middle] if how == "cut" else old[:middle] + bytes([old[middle] ^ 4]) + old[middle + 1 :])


# --- the user's own files of code ------------------------------------------------------------------------------------


@fault("data_prep raises", "data_prep/mine.py raised ValueError: boom where: data_prep/mine.py:5", long=False)
def script_raises(scratch: Scratch) -> None:
    scratch.run("prepare", *scratch.script("raise ValueError('boom')"))


@fault("data_prep is no Python", "raised SyntaxError: '(' was never closed where: data_prep/mine.py:5")
def script_is_no_python(scratch: Scratch) -> None:
    scratch.run("prepare", *scratch.script("return ("))


@fault("data_prep calls sys.exit(0) before training", "raised SystemExit: 0")
def script_exits(scratch: Scratch) -> None:
    scratch.run(*scratch.script("import sys; sys.exit(0)"), *SHORT)


@fault("data_prep calls os._exit(0)", "ended its process (exit code 0) before it answered", long=False)
def script_ends_its_process(scratch: Scratch) -> None:
    scratch.run("prepare", *scratch.script("import os; os._exit(0)"))


@fault("data_prep answers a number", "rows() answered a int, not its splits")
def script_answers_a_number(scratch: Scratch) -> None:
    scratch.run("prepare", *scratch.script("return 3"))


@fault("data_prep mixes types in a column", "the train split cannot be stored: column prompt")
def script_mixes_types(scratch: Scratch) -> None:
    scratch.run("prepare", *scratch.script("return {'train': [{'prompt': 'a'}, {'prompt': 1}]}"))


@fault("data_prep imports what is not installed", "raised ModuleNotFoundError")
def script_imports_nothing(scratch: Scratch) -> None:
    scratch.run("prepare", *scratch.script("import nowhere_at_all"))


@fault("data_prep imports a sibling, by python -m rlexp", "imports data_prep.arithmetic, another file of the project")
def script_imports_a_sibling(scratch: Scratch) -> None:
    scratch.run("prepare", *scratch.script("from data_prep.arithmetic import rows as other; return other()"))


@fault("data_prep imports a sibling, by the script rlexp", "imports data_prep.arithmetic, another file of the project")
def script_imports_a_sibling_by_the_other_entry(scratch: Scratch) -> None:
    words = " ".join(scratch.script("from data_prep.arithmetic import rows as other; return other()"))
    entry = "import sys; sys.path.pop(0); sys.argv[0] = 'rlexp'; from rlexp.__main__ import main; main()"
    scratch.shell(f'{sys.executable} -c "{entry}" prepare {words}')


@fault("a reward ends its process when imported", "ended its process (exit code 3) before it answered", long=False)
def reward_ends_its_process(scratch: Scratch) -> None:
    scratch.run("score", *scratch.reward("return [0.0 for _ in completions]", "import os\nos._exit(3)\n"))
    assert scratch.seconds < 60, "it must answer at once"


@fault("a reward calls sys.exit() when imported", "raised SystemExit")
def reward_exits(scratch: Scratch) -> None:
    scratch.run("score", *scratch.reward("return [0.0 for _ in completions]", "import sys\nsys.exit()\n"))


@fault("a worker of the rewards is killed while it trains", "adapter and record", code=0)
def worker_is_killed(scratch: Scratch) -> None:
    import psutil

    def act() -> None:
        command = [*PYTHON, "hydra.run.dir=outputs/a", *SHORT, "method.max_steps=6", "hardware.reward_workers=2"]
        process = subprocess.Popen(
            command, cwd=scratch.root, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        until = time.monotonic() + 120
        while not (scratch.root / "outputs/a/metrics.jsonl").is_file() and time.monotonic() < until:
            time.sleep(0.05)
        workers = [p for p in psutil.Process(process.pid).children() if "reward.pool.worker" in " ".join(p.cmdline())]
        workers[0].send_signal(signal.SIGKILL)
        scratch.said, _ = process.communicate(timeout=LIMIT_S)
        scratch.code = process.returncode

    scratch.watch(act)


@fault("the sandbox is missing", "cannot run on this machine")
def sandbox_is_missing(scratch: Scratch) -> None:
    scratch.run("reward=code_tests", "dataset=small_programs", *SHORT, PATH="/nowhere")


# --- files of data and of records ------------------------------------------------------------------------------------


@fault("a snapshot's parquet file is cut", "train.parquet is not the file that was written", long=False)
def snapshot_is_cut(scratch: Scratch) -> None:
    damage(scratch.root / "data/arithmetic/train.parquet", "cut")
    scratch.run("plan")


@fault("a snapshot's parquet file has a turned bit", "train.parquet is not the file that was written")
def snapshot_has_a_turned_bit(scratch: Scratch) -> None:
    damage(scratch.root / "data/arithmetic/train.parquet", "bit")
    scratch.run(*SHORT)


@fault("a snapshot's description is cut", "the snapshot's description cannot be read")
def description_is_cut(scratch: Scratch) -> None:
    damage(scratch.root / "data/arithmetic/snapshot.json", "cut")
    scratch.run("plan")


@fault("a snapshot of another version of its script", "made by another version of data_prep/arithmetic.py", long=False)
def snapshot_of_an_older_script(scratch: Scratch) -> None:
    script = scratch.root / "data_prep/arithmetic.py"
    script.write_text(script.read_text() + "\n# mended\n")
    scratch.run("plan")


@fault("a lock is cut", "this file is no lock of a run", long=False)
def lock_is_cut(scratch: Scratch) -> None:
    damage(scratch.old_run() / "run.lock.yaml", "cut")
    scratch.run("inspect", "outputs/old", "step=last")


@fault("a lock has a turned bit", "the lock")
def lock_has_a_turned_bit(scratch: Scratch) -> None:
    damage(scratch.old_run() / "run.lock.yaml", "bit")
    scratch.run("replay", "outputs/old", "--check")


@fault("a manifest is cut: the list shows it", "unreadable", code=0)
def manifest_is_cut(scratch: Scratch) -> None:
    damage(scratch.old_run() / "manifest.json", "cut")
    scratch.run("runs")


@fault("a manifest is cut: pin", "the manifest cannot be read")
def manifest_is_cut_for_pin(scratch: Scratch) -> None:
    damage(scratch.old_run() / "manifest.json", "cut")
    scratch.run("pin", "outputs/old")


@fault("metrics.jsonl has a turned bit", "metrics.jsonl is not what the run left")
def metrics_have_a_turned_bit(scratch: Scratch) -> None:
    damage(scratch.old_run() / "metrics.jsonl", "bit")
    scratch.run("replay", "outputs/old")


@fault("a parquet file of completions is cut", "step-000001.parquet cannot be read", long=False)
def completions_are_cut(scratch: Scratch) -> None:
    damage(scratch.old_run() / "completions/step-000001.parquet", "cut")
    scratch.run("inspect", "outputs/old", "step=last")


@fault("the last checkpoint is not whole", "checkpoint-4 is passed over", code=0)
def checkpoint_is_not_whole(scratch: Scratch) -> None:
    scratch.run(
        *("hydra.run.dir=outputs/a", *SHORT, "method.max_steps=4"),
        *("method.save_strategy=steps", "method.save_steps=2", "method.save_total_limit=3"),
    )
    shutil.rmtree(scratch.root / "outputs/a/adapter")
    damage(scratch.root / "outputs/a/checkpoints/checkpoint-4/adapter_model.safetensors", "cut")
    scratch.run("inspect", "outputs/a", "rows=1", "generations=1")


@fault("git wrote line ends for Windows", "only its line ends differ", code=0)
def line_ends_of_windows(scratch: Scratch) -> None:
    scratch.old_run()
    reward = scratch.root / "rewards/format.py"
    reward.write_bytes(reward.read_bytes().replace(b"\n", b"\r\n"))
    scratch.run("replay", "outputs/old", "--check", "--level", "inputs")


@fault("a clone with core.autocrlf=true", "the same bytes", code=0, long=False)
def clone_for_windows(scratch: Scratch) -> None:
    files = "rewards/format.py data_prep/tiny.py conf/config.yaml models/tiny/tokenizer.json rewards.lock.yaml"
    scratch.shell(
        "git init -q && git add -A && git -c user.name=a -c user.email=a@b commit -qm one && "
        "git clone -q -c core.autocrlf=true . ../clone && "
        f"for file in {files}; do cmp $file ../clone/$file || exit 3; done; echo the same bytes"
    )


# --- folders of runs -------------------------------------------------------------------------------------------------


@fault("a run folder that holds a run", "outputs/old holds a run already (finished)", long=False)
def folder_holds_a_run(scratch: Scratch) -> None:
    scratch.old_run()
    scratch.run("hydra.run.dir=outputs/old", *SHORT)


@fault("the project as the run folder", ". holds other things than runs")
def folder_is_the_project(scratch: Scratch) -> None:
    scratch.run("hydra.run.dir=.", *SHORT)


@fault("a run folder that cannot be made", "the run folder /proc/x cannot be made")
def folder_cannot_be_made(scratch: Scratch) -> None:
    scratch.run("hydra.run.dir=/proc/x", *SHORT)


@fault("two points of a sweep in one folder", "2 points of the sweep would share the folder one", long=False)
def points_share_a_folder(scratch: Scratch) -> None:
    scratch.run("-m", "seed=0,1", "hydra.sweep.subdir=one", *SHORT)


@fault("two runs into one folder at once", "holds a run already (running)")
def two_at_once(scratch: Scratch) -> None:
    words = " ".join(("hydra.run.dir=outputs/a", *SHORT))
    scratch.shell(f"$RLEXP {words} > one.txt 2>&1 & $RLEXP {words} > two.txt 2>&1; wait; cat one.txt two.txt; exit 2")
    assert scratch.manifest("outputs/a")["status"] == "finished"


@fault("kill -9 in the smoke, and the same again", "outputs/a holds a run already (killed)")
def killed_in_the_smoke(scratch: Scratch) -> None:
    words = ["hydra.run.dir=outputs/a", "method.max_steps=20", "held_out.rows=0"]

    def act() -> None:
        process = subprocess.Popen([*PYTHON, *words], cwd=scratch.root, stdout=subprocess.DEVNULL)
        until = time.monotonic() + 120
        while not (scratch.root / "outputs/a/smoke").is_dir() and time.monotonic() < until:
            time.sleep(0.05)
        process.kill()
        process.wait()

    scratch.watch(act)
    scratch.run(*words)


@fault("two first runs at once make one snapshot", "ready: data/arithmetic", code=0)
def two_make_one_snapshot(scratch: Scratch) -> None:
    shutil.rmtree(scratch.root / "data")
    one = "$RLEXP prepare > one.txt 2>&1 & a=$!; $RLEXP prepare > two.txt 2>&1; b=$?; wait $a && exit $b"
    scratch.shell(f"({one}); code=$?; cat one.txt two.txt; exit $code")


# --- disks and clocks ------------------------------------------------------------------------------------------------


def mounted(scratch: Scratch, *options: str) -> tuple[str, ...]:
    """What stands before a command so that it alone sees other mounts."""
    return ("bwrap", "--dev-bind", "/", "/", *options, "--chdir", str(scratch.root))


@fault("a read-only project: a run", "Read-only file system", long=False)
def project_is_read_only(scratch: Scratch) -> None:
    scratch.run(*SHORT, before=mounted(scratch, "--ro-bind", str(scratch.root), str(scratch.root)))


@fault("a read-only project: prepare", "Read-only file system")
def project_is_read_only_for_prepare(scratch: Scratch) -> None:
    shutil.rmtree(scratch.root / "data")
    scratch.run("prepare", before=mounted(scratch, "--ro-bind", str(scratch.root), str(scratch.root)))


@fault("a read-only project: score --record", "Read-only file system")
def project_is_read_only_for_score(scratch: Scratch) -> None:
    scratch.reward("return [0.0 for _ in completions]")
    scratch.run("score", "--record", before=mounted(scratch, "--ro-bind", str(scratch.root), str(scratch.root)))


@fault("a read-only .smoke", "the pass cannot be kept in .smoke/", code=0)
def smoke_is_read_only(scratch: Scratch) -> None:
    (scratch.root / ".smoke").mkdir()
    words = ("smoke", "preflight.smoke_steps=4", "held_out.rows=0")
    scratch.run(*words, before=mounted(scratch, "--ro-bind", *[str(scratch.root / ".smoke")] * 2))


def small_disk(scratch: Scratch, size: int, script: str) -> None:
    """Runs a shell script with a disk of so many bytes at outputs/, and keeps what it left in left/."""
    outputs = scratch.root / "outputs"
    outputs.mkdir()
    kept = f"({script}); code=$?; rm -f outputs/fill; cp -r outputs left; exit $code"
    scratch.shell(kept, before=mounted(scratch, "--size", str(size), "--tmpfs", str(outputs)))


@fault("too little room on the run folder's disk", "checkpoints and weights of this run take about", long=False)
def disk_is_small(scratch: Scratch) -> None:
    small_disk(scratch, 8 * 2**20, f"$RLEXP hydra.run.dir=outputs/a {' '.join(SHORT)}")


@fault("the disk fills while it trains", "No space left on device while the run wrote to outputs/a")
def disk_fills(scratch: Scratch) -> None:
    saved = "method.max_steps=200 method.save_strategy=steps method.save_steps=2 method.save_total_limit=3"
    whole = "outputs/a/checkpoints/checkpoint-2/trainer_state.json"
    fill = f"while [ ! -f {whole} ]; do sleep 0.1; done; cat /dev/zero > outputs/fill 2> /dev/null"
    small_disk(scratch, 200 * 2**20, f"({fill}) & $RLEXP hydra.run.dir=outputs/a {' '.join(SHORT)} {saved}")
    from rlexp.record import checkpoints

    left = checkpoints.of(scratch.root / "left/a")
    assert left and not any(map(broken, left.values())), "whole checkpoints stay, and no half one"
    assert not list((scratch.root / "left").rglob("*.partial"))


@fault("a file is larger than allowed (ulimit -f)", "File too large while the run wrote to outputs/a")
def file_is_too_large(scratch: Scratch) -> None:
    scratch.shell(f"ulimit -f 600; $RLEXP hydra.run.dir=outputs/a {' '.join(SHORT)} model.full_finetuning=true")
    assert scratch.manifest("outputs/a")["status"] == "failed" and not (scratch.root / "outputs/a/model").exists()


@fault("the clock jumps back an hour", "adapter and record", code=0)
def clock_jumps_back(scratch: Scratch) -> None:
    patch = "import time\nreal, began = time.time, time.monotonic()\n"
    patch += "time.time = lambda: real() - 3600 * (time.monotonic() - began > 10)\n"
    folder = scratch.root.parent / "clock"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(patch)
    path = os.pathsep.join(filter(None, (str(folder), os.environ.get("PYTHONPATH"))))
    scratch.run("hydra.run.dir=outputs/a", *SHORT, PYTHONPATH=path)
    took = scratch.manifest("outputs/a")["timings_s"]
    assert sorted(took.values()) == list(took.values()) and took["total"] > 0


# --- DVC -------------------------------------------------------------------------------------------------------------


@fault("dvc repro of a run on a model of one's own", "no stage makes models/mysft", code=0)
def dvc_repro_keeps_an_own_model(scratch: Scratch) -> None:
    shutil.copytree(scratch.root / "models/tiny", scratch.root / "models/mysft")
    scratch.shell("git init -q && git add -A && git -c user.name=a -c user.email=a@b commit -qm one")
    scratch.run("hydra.run.dir=outputs/a", "model.path=models/mysft", *SHORT)

    def pin() -> None:  # writes dvc.yaml, dvc.lock and pinned/, as it should
        scratch._run([*PYTHON, "pin", "outputs/a"], {})

    pin()
    scratch.shell("dvc repro run")


@fault("dvc repro over an edited snapshot", "train.parquet is not the file that was written", code=255)
def dvc_repro_keeps_an_edited_snapshot(scratch: Scratch) -> None:
    damage(scratch.root / "data/arithmetic/train.parquet", "bit")
    scratch.shell("git init -q && dvc repro data@arithmetic")


@fault("pin in a project without DVC", "dvc init, and pin again")
def pin_without_dvc(scratch: Scratch) -> None:
    scratch.run("hydra.run.dir=outputs/a", *SHORT)
    shutil.rmtree(scratch.root / ".dvc")
    scratch.run("pin", "outputs/a")


@fault("pin of a run that failed", "its status is failed: no memory")
def pin_of_a_failed_run(scratch: Scratch) -> None:
    manifest = scratch.old_run() / "manifest.json"
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "status": "failed", "reason": "no memory"}))
    scratch.run("pin", "outputs/old")


def inject(found: Fault, template: Path, folder: Path) -> Scratch:
    """Injects a fault into a copy of the template."""
    scratch = Scratch(Path(shutil.copytree(template, folder / "project")))
    found.inject(scratch)
    return scratch


def template(folder: Path) -> Path:
    """A project with its snapshot made."""
    project = copy_project(folder / "template")
    subprocess.run([*PYTHON, "prepare"], cwd=project, check=True, capture_output=True, timeout=LIMIT_S)
    return project


def main() -> int:
    """Injects every fault, or those that are named, and prints what each cost; 1 where one cost something."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split(":")[1])
    parser.add_argument("names", nargs="*", help="functions of this file")
    chosen = parser.parse_args().names
    rows, failed = [], 0
    with tempfile.TemporaryDirectory() as place:
        made = template(Path(place))
        for found in FAULTS:
            if chosen and found.name not in chosen:
                continue
            try:
                scratch = inject(found, made, Path(tempfile.mkdtemp(dir=place)))
                wrong = found.faults(scratch)
            except (AssertionError, OSError, subprocess.SubprocessError) as error:
                scratch, wrong = Scratch(Path(place)), [f"{type(error).__name__}: {error}"]
            failed += bool(wrong)
            lines = [line for line in scratch.said.splitlines() if line.startswith("error: ")] or [found.heard]
            lost = ", ".join(scratch.lost) or "nothing"
            rows.append((found.title, str(scratch.code), lines[0][:100], lost, "; ".join(wrong) or "as it should"))
            print(f"{'FAILED ' if wrong else ''}{found.name}: {'; '.join(wrong) or 'ok'} ({scratch.seconds:.0f} s)")
    print()
    show_table(("tried", "exit", "first line", "lost", "verdict"), rows)
    print(f"\n{len(rows)} faults, {failed} not as they should be")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
