"""Runs that end early and go on, through the real command line."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import rlexp

pytestmark = pytest.mark.end_to_end
SHORT = ("method.max_steps=4", "method.prompts_per_step=2", "held_out.rows=4", "held_out.samples=0")
ODD = "outputs/a b, c=d 'q' ü"


def manifest(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "manifest.json").read_text())


def ended(project: Path, folder: Path, steps: int, *signals: int) -> tuple[int, str]:
    """Trains into a folder, sends the signals after so many steps, and answers the exit code and what was said."""
    quoted = str(folder.relative_to(project)).replace("'", "\\'")
    words = [sys.executable, "-m", "rlexp", *SHORT, "method.max_steps=40", f"hydra.run.dir='{quoted}'"]
    process = subprocess.Popen(words, cwd=project, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    log, until = folder / "metrics.jsonl", time.monotonic() + 240
    while process.poll() is None and time.monotonic() < until:
        if log.is_file() and len(log.read_text().splitlines()) >= steps:
            break
        time.sleep(0.02)
    for number in signals:
        process.send_signal(number)
        time.sleep(0.05)
    said = process.communicate(timeout=120)[0]
    return process.returncode, said


def test_a_run_that_sigterm_ends_is_saved_and_its_last_line_goes_on(shared_project):
    folder = shared_project / ODD
    code, said = ended(shared_project, folder, 2, signal.SIGTERM)
    record = manifest(folder)
    done = record["steps"]["done"]
    assert code == 143 and record["status"] == "interrupted" and 2 <= done < 40 == record["steps"]["asked"]
    assert record["reason"] == f"stopped by SIGTERM after {done} of 40 steps"
    assert (folder / "adapter/adapter_model.safetensors").is_file()
    assert (folder / f"checkpoints/checkpoint-{done}").is_dir()
    line = said.strip().splitlines()[-1].removeprefix("go on: ")
    other = rlexp(shared_project, *line_words(line), "seed=5")
    assert other.returncode == 2 and f"@{done}" in other.stderr and "seed 0 -> 5" in other.stderr
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    gone_on = subprocess.run(
        ["bash", "-c", f"{line} max_minutes=0.01"],
        cwd=shared_project,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    record = manifest(folder)
    assert gone_on.returncode == 0, gone_on.stdout + gone_on.stderr
    assert [one["from_step"] for one in record["attempts"]] == [0, done]
    assert record["status"] == "interrupted" and record["steps"]["done"] == done + 1
    assert gone_on.stdout.strip().splitlines()[-1] == f"go on: {line}"


def line_words(line: str) -> list[str]:
    """The words behind ``python -m rlexp``, as bash reads them."""
    done = subprocess.run(["bash", "-c", f'printf "%s\\n" {line}'], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()[3:]


@pytest.mark.long
def test_a_forked_run_begins_from_its_checkpoint_and_a_finished_one_does_not_go_on(shared_project):
    done = rlexp(shared_project, *SHORT, "hydra.run.dir=outputs/unforked")
    assert done.returncode == 0, done.stdout + done.stderr
    again = rlexp(shared_project, "resume=outputs/unforked")
    assert again.returncode == 2 and "finished" in again.stderr and "fork=outputs/unforked" in again.stderr
    typed = ("fork=outputs/unforked@4", "method.max_steps=5", "method.beta=0.04", "held_out.rows=0")
    fork = rlexp(shared_project, *typed, "hydra.run.dir=outputs/fork")
    assert fork.returncode == 0, fork.stdout + fork.stderr
    record = manifest(shared_project / "outputs/fork")
    identity = manifest(shared_project / "outputs/unforked")["identity"]
    assert record["fork"] == {"run": "outputs/unforked", "step": 4, "identity": identity}
    assert record["steps"] == {"done": 5, "asked": 5} and record["status"] == "finished"
    replayed = rlexp(shared_project, "replay", "outputs/fork", "--check")
    assert replayed.returncode == 0 and "outputs/unforked@4" in replayed.stdout
    shutil.rmtree(shared_project / "outputs/unforked/checkpoints")
    missing = rlexp(shared_project, "replay", "outputs/fork", "--check")
    assert missing.returncode == 2 and "is not there: step 4 of outputs/unforked" in missing.stderr


@pytest.mark.long
def test_a_second_signal_leaves_at_once(project):
    code, _ = ended(project, project / "outputs/two", 2, signal.SIGINT, signal.SIGINT)
    record = manifest(project / "outputs/two")
    assert code == 130 and record["status"] == "interrupted" and not (project / "outputs/two/adapter").exists()


@pytest.mark.long
def test_a_reward_that_was_changed_meanwhile_is_that_of_the_lock(project):
    folder, file = project / "outputs/r", project / "rewards/format.py"
    file.write_text(file.read_text() + "\n# the project's own, which rlexp does not have\n")
    done = rlexp(project, *SHORT, "max_minutes=0.01", "hydra.run.dir=outputs/r")
    assert done.returncode == 0 and manifest(folder)["status"] == "interrupted"
    file.write_text(file.read_text().replace("version = 2", "version = 3"))
    gone_on = rlexp(project, "resume=outputs/r", "max_minutes=null")
    assert gone_on.returncode == 0, gone_on.stdout + gone_on.stderr
    assert "note: " in gone_on.stdout and "rewards/format.py" in gone_on.stdout
    assert manifest(folder)["status"] == "finished"
    shutil.rmtree(folder / "sources")
    record = {**manifest(folder), "status": "interrupted"}
    (folder / "manifest.json").write_text(json.dumps(record))
    refused = rlexp(project, "resume=outputs/r")
    assert refused.returncode == 2 and "rewards/format.py" in refused.stderr and "expected" in refused.stderr
