"""A run on several devices, as two processes on a CPU show it: the same experiment, one record, one ending."""

import json
import os
import re
import signal
import subprocess
import sys
import time

import psutil
import pyarrow.parquet as pq
import pytest
from safetensors.torch import load_file

from rlexp.record import status
from tests.conftest import rlexp
from tests.going_on import differences

SHORT = (
    *("model=tiny", "method.prompts_per_step=4", "held_out.rows=8", "held_out.samples=0", "preflight.smoke=never"),
    *("method.max_steps=4",),
)
ONE, TWO = ("hardware=cpu", "rollout.seed_rows=true"), ("hardware=cpu_ddp2",)
pytestmark = pytest.mark.end_to_end
ROUNDING = 1e-6
WEIGHTS = 1e-4
"""What rounding makes of weights of about 5e-3 in four steps: Adam divides by the square root of small squares."""
KINDS = {
    "dapo": ("method=grpo", "method.loss_type=dapo"),
    "grpo": ("method=grpo", "method.loss_type=grpo"),
    "dr_grpo, KL, passes": (
        *("method=grpo", "method.loss_type=dr_grpo", "method.scale_rewards=none", "method.beta=0.04"),
        "hardware.sequences_per_device=8",
    ),
    "a group on both": ("method=grpo", "method.prompts_per_step=1"),
    "rloo": ("method=rloo",),
    "dpo": ("method=dpo", "dataset=arithmetic_preferences"),
    "orpo": ("method=orpo", "dataset=arithmetic_preferences"),
    "kto": ("method=kto", "dataset=arithmetic_judged", "method.loss_type=apo_zero_unpaired"),
    "sft": ("method=sft", "dataset=arithmetic_demonstrations"),
}


def metrics(folder):
    """The entries of a run."""
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def manifest(folder):
    """The manifest of a run."""
    return json.loads((folder / "manifest.json").read_text())


def run(project, name, *overrides):
    """A run that finishes."""
    done = rlexp(project, *SHORT, *overrides, f"hydra.run.dir=outputs/{name}")
    assert done.returncode == 0, done.stdout + done.stderr
    return done, project / "outputs" / name


def same_training(one, other):
    """Two run folders hold the same training, but for rounding."""
    for left, right in zip(metrics(one), metrics(other), strict=True):
        assert left.keys() == right.keys()
        for key in left.keys() & {"num_tokens", "reward", "completions/mean_length", "epoch"}:
            assert left[key] == pytest.approx(right[key], abs=ROUNDING), (left["step"], key)
    first = metrics(one)[0], metrics(other)[0]
    for key in ("loss", "grad_norm"):
        assert first[0][key] == pytest.approx(first[1][key], abs=ROUNDING), key
    left, right = (load_file(folder / "adapter/adapter_model.safetensors") for folder in (one, other))
    assert left.keys() == right.keys()
    assert max(float((left[name] - right[name]).abs().max()) for name in left) < WEIGHTS


@pytest.mark.long
@pytest.mark.parametrize("kind", KINDS)
def test_two_devices_train_what_one_trains(shared_project, kind):
    slug = re.sub(r"\W+", "_", kind)
    _, one = run(shared_project, f"{slug}_1", *KINDS[kind], *ONE)
    _, two = run(shared_project, f"{slug}_2", *KINDS[kind], *TWO)
    assert manifest(one)["identity"] == manifest(two)["identity"]
    same_training(one, two)
    files = sorted(path.name for path in (one / "completions").glob("*"))
    assert files == sorted(path.name for path in (two / "completions").glob("*"))
    for name in files:
        left, right = (pq.read_table(folder / "completions" / name) for folder in (one, two))
        assert left.equals(right), name


def test_a_run_on_two_devices_leaves_one_record(shared_project):
    more = ("preflight.smoke=always", "held_out.every=2", "method.save_strategy=steps", "method.save_steps=2")
    done, folder = run(shared_project, "record", *TWO, *more, "method.max_steps=2")
    record = manifest(folder)
    assert record["status"] == "finished" and record["steps"] == {"done": 2, "asked": 2}
    assert record["held_out"].keys() >= {"reward", "correct", "format"} and record["selection"]["rows"] == 8
    assert [entry["step"] for entry in metrics(folder) if "loss" in entry] == [1, 2]
    for step in (1, 2):
        rows = pq.read_table(folder / f"completions/step-{step:06d}.parquet").to_pydict()
        assert len(rows["completion"]) == 32 and rows["group"] == [number // 8 for number in range(32)]
        logged = next(entry for entry in metrics(folder) if entry["step"] == step and "loss" in entry)
        assert logged["reward"] == pytest.approx(sum(rows["reward"]) / 32, abs=ROUNDING)
        assert logged["rewards/correct/mean"] == pytest.approx(sum(rows["correct"]) / 32, abs=ROUNDING)
        assert logged["completions/mean_length"] == pytest.approx(sum(rows["tokens"]) / 32, abs=1e-4)
    assert record["reward_scores"]["asked"] >= 2 * 2 * 32
    assert len(re.findall("^step 1/2 ", done.stdout, re.M)) == 1 == len(re.findall("^smoke passed", done.stdout, re.M))
    assert "== rank 1 ==" in (folder / "libraries.log").read_text()
    kept = {path.name for path in (folder / "checkpoints/checkpoint-2").iterdir()}
    assert kept >= {"rng_state_0.pth", "rng_state_1.pth", "trainer_between_steps.pt", "trainer_between_steps_1.pt"}
    assert not (folder / "traceback.txt").exists() and not done.stderr
    for typed, devices in (((), 2), (("hardware=cpu",), 1)):  # a fork takes the machine of its run by itself
        fork = rlexp(shared_project, "plan", f"fork=outputs/{folder.name}", "method.max_steps=9", *typed)
        assert fork.returncode == 0 and f": {devices} device(s)" in fork.stdout, fork.stdout + fork.stderr


RAISES = """
import ctypes, os, threading, time

def wait(main):
    while not os.path.exists(os.environ["RAISE_WHEN"]):
        time.sleep(0.05)
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(main), ctypes.py_object(LookupError))

if os.environ.get("RANK") == "1":
    threading.Thread(target=wait, args=(threading.main_thread().ident,), daemon=True).start()
"""
"""Raises an error in the main thread of rank 1, wherever it is, once a file is there."""


def begun(project, name, *overrides, steps=2, **environment):
    """(process, folder, its ranks by number) of a run that is at its second step."""
    words = [*SHORT, "method.max_steps=400", *overrides, f"hydra.run.dir=outputs/{name}"]
    process = subprocess.Popen(
        [sys.executable, "-m", "rlexp", *words],
        cwd=project,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    log, until = project / "outputs" / name / "metrics.jsonl", time.monotonic() + 240
    while process.poll() is None and time.monotonic() < until:
        if log.is_file() and len(log.read_text().splitlines()) >= steps:
            break
        time.sleep(0.05)
    assert process.poll() is None, process.communicate()[0]
    children = psutil.Process(process.pid).children()
    return process, log.parent, {int(child.environ()["RANK"]): child for child in children}


def gone(found):
    """None of the processes is left, nor what they started."""
    _, alive = psutil.wait_procs(list(found.values()), timeout=20)
    return not alive


@pytest.mark.long
@pytest.mark.parametrize(
    ("rank", "number", "said"),
    [
        (1, signal.SIGKILL, "rank 1 (process {}) was ended by SIGKILL"),
        (0, signal.SIGKILL, "rank 0 (process {}) was ended by SIGKILL"),
        (1, signal.SIGSTOP, "rank 1 (process {}) gave no sign of life for 30 s"),
    ],
)
def test_a_rank_that_dies_or_stands_still_ends_the_run_on_every_device(shared_project, rank, number, said):
    process, folder, found = begun(shared_project, f"lost_{rank}_{number.name}", *TWO)
    below = [child for one in found.values() for child in one.children()]
    found[rank].send_signal(number)
    printed = process.communicate(timeout=60)[0]
    said = said.format(found[rank].pid)
    assert process.returncode == 1
    assert printed.count("error: ") == 1 and f"error: {said}; the run was ended on every device" in printed
    assert "Traceback" not in printed
    record = manifest(folder)
    assert (
        record["status"] == "failed"
        and record["reason"] == f"{said}; the run was ended on every device"
        and record["ended"]
    )
    assert record["attempts"][-1]["status"] == "failed"
    assert gone(found | dict(enumerate(below, 10)))


@pytest.mark.long
def test_an_error_of_another_rank_is_told_with_its_traceback(shared_project, tmp_path):
    (tmp_path / "sitecustomize.py").write_text(RAISES)
    path = f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
    process, folder, found = begun(
        shared_project, "raised", *TWO, PYTHONPATH=path, RAISE_WHEN=str(tmp_path / "now"), HYDRA_FULL_ERROR=""
    )
    (tmp_path / "now").touch()
    printed = process.communicate(timeout=60)[0]
    assert process.returncode == 1 and gone(found)
    said = "rank 1: the run failed: LookupError; the run was ended on every device"
    assert printed.count("error: ") == 1 and f"error: {said}" in printed and "outputs/raised/traceback.txt" in printed
    assert "LookupError" in (folder / "traceback.txt").read_text().splitlines()[-1]
    assert manifest(folder)["status"] == "failed" and manifest(folder)["reason"] == said


@pytest.mark.long
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_every_rank_with_one_step_and_the_run_goes_on_bit_for_bit(shared_project, number):
    each = ("method.num_iterations=2", "method.max_steps=9", "method.save_strategy=steps", "method.save_steps=4")
    process, folder, found = begun(shared_project, f"ended_{number.name}", *TWO, *each)
    process.send_signal(number)
    printed = process.communicate(timeout=120)[0]
    assert process.returncode == 128 + number and gone(found)
    record = manifest(folder)
    done = record["steps"]["done"]
    assert record["status"] == "interrupted" and 2 <= done < 9 and (folder / f"checkpoints/checkpoint-{done}").is_dir()
    assert printed.strip().splitlines()[-1] == f"go on: python -m rlexp resume=outputs/{folder.name}"
    on_one = rlexp(shared_project, "plan", f"resume=outputs/{folder.name}", "hardware.devices=1")
    assert on_one.returncode == (2 if done % 2 else 0)  # in the middle of a generation
    if done % 2:
        assert "do:    type hardware.devices=2" in on_one.stderr
    gone_on = rlexp(shared_project, f"resume=outputs/{folder.name}")
    assert gone_on.returncode == 0, gone_on.stdout + gone_on.stderr
    _, whole = run(shared_project, f"whole_{number.name}", *TWO, *each)
    assert differences(whole, folder) == []


@pytest.mark.long
def test_a_second_signal_and_a_kill_leave_no_process_behind(shared_project):
    process, folder, found = begun(shared_project, "twice", *TWO)
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 130 and gone(found) and manifest(folder)["status"] == "interrupted"
    process, folder, found = begun(shared_project, "killed", *TWO)
    process.kill()
    process.communicate(timeout=60)
    assert gone(found)
    assert status.of(manifest(folder))[0] == "killed"


def test_several_devices_are_refused_by_name_where_they_train_another_thing(shared_project):
    refused = {
        ("method.loss_type=bnpo",): "type method.loss_type=dapo (over those of the step), or hardware.devices=1",
        ("method.off_policy_steps=1",): "type method.off_policy_steps=0, or hardware.devices=1",
        ("method.prompts_per_step=1", "method.num_generations=3"): "type method.prompts_per_step=2",
    }
    for typed, hint in refused.items():
        done = rlexp(shared_project, "plan", *TWO, *typed)
        assert done.returncode == 2 and f"do:    {hint}" in done.stderr, done.stdout + done.stderr
    launched = rlexp(shared_project, *SHORT, WORLD_SIZE="2")
    assert launched.returncode == 2 and "type python -m rlexp hardware.devices=2 without it" in launched.stderr
    untried = ("hardware=h100x4_ddp", "rollout=unsloth", "model.load_in_4bit=true", "hydra.run.dir=outputs/gpus")
    gpus = rlexp(shared_project, *SHORT, *untried)
    assert gpus.returncode == 2 and "never tried" in gpus.stderr and not (shared_project / "outputs/gpus").exists()
    plan = rlexp(shared_project, "plan", *SHORT, *untried, "--json")
    (warned,) = [one for one in json.loads(plan.stdout)["warnings"] if one["name"] == "devices.tried"]
    assert f"error: {warned['said']}" in gpus.stderr and f"do:    {warned['hint']}" in gpus.stderr
    assert (
        f"[devices.tried] {warned['said']}; {warned['hint']}"
        in plan.stderr + rlexp(shared_project, "plan", *SHORT, *untried).stdout
    )
