"""What stands around a run: an error that nobody foresaw is one message; used up memory ends it with what to type."""

from __future__ import annotations

import os
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from rlexp.__main__ import ALONE
from rlexp.compose import largest
from rlexp.errors import Failed, RunError
from rlexp.train import guards
from tests.conftest import rlexp

RAISES = """
import ctypes, os, sys, threading, time

def wait(main):
    while not os.path.exists(os.environ["RAISE_BESIDE"]):
        time.sleep(0.05)
    if "torch" not in sys.modules:  # a worker
        return
    error = sys.modules["torch"].OutOfMemoryError
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(main), ctypes.py_object(error))

if os.environ.get("RAISE_BESIDE"):
    threading.Thread(target=wait, args=(threading.main_thread().ident,), daemon=True).start()
"""
"""Raises torch's own error in the main thread once the first step was logged."""


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"), True),
        (RuntimeError("NVML: CUDA out of memory"), True),
        (RuntimeError("shapes cannot be multiplied"), False),
    ],
)
def test_used_up_memory_is_answered_with_what_fits(composed, tmp_path, error, told):
    run = composed("model=qwen3_4b", "hardware=h100", "rollout=generate")
    job: Any = SimpleNamespace(run_dir=tmp_path, run=run)
    with pytest.raises(Failed) as caught, guards.unforeseen(job):
        raise error
    typed = f"; or type {' '.join(largest.smaller(run))}"
    assert (caught.value.hint or "").endswith(typed) is told
    assert (tmp_path / guards.TRACEBACK).is_file()


@pytest.mark.end_to_end
@pytest.mark.parametrize("typed", [(), ("resume=outputs/x",), ("smoke",), *((v, "x") for v in ALONE[2:])])
def test_every_verb_that_trains_or_loads_a_model_is_refused_behind_a_launcher(shared_project, typed):
    done = rlexp(shared_project, *typed, WORLD_SIZE="2")
    hint = "the same" if typed not in ((), ("smoke",)) else "python -m rlexp hardware.devices=2"
    assert done.returncode == 2 and done.stderr.startswith("error: 2 processes were started (WORLD_SIZE)")
    assert f"do:    type {hint} without it" in done.stderr and done.stderr.count("error") == 1


@pytest.mark.parametrize("held", ["abc", "0", "-1", "2.5", "\u0662"])
def test_a_variable_that_is_no_number_of_processes_is_called_so(monkeypatch, held):
    monkeypatch.setenv("WORLD_SIZE", held)
    with pytest.raises(RunError, match="is no number of processes") as caught:
        guards.require_one_process()
    assert caught.value.hint == "type unset WORLD_SIZE"


@pytest.mark.parametrize("held", ["", "1", "01", None])
def test_one_process_is_one(monkeypatch, held):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    if held is not None:
        monkeypatch.setenv("WORLD_SIZE", held)
    guards.require_one_process()


@pytest.mark.end_to_end
def test_a_run_that_used_up_the_memory_ends_with_an_override_line_that_composes(shared_project, tmp_path):
    (tmp_path / "sitecustomize.py").write_text(RAISES)
    folder = shared_project / "outputs/used_up"
    path = f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
    words = ("method.max_steps=400", "held_out.rows=0", "preflight.smoke=never", "hydra.run.dir=outputs/used_up")
    done = rlexp(shared_project, *words, PYTHONPATH=path, RAISE_BESIDE=str(folder / "metrics.jsonl"))
    said = done.stdout + done.stderr
    assert done.returncode == 1 and "the run failed: OutOfMemoryError" in said and "Traceback" not in said
    typed = " ".join(said.partition("; or type ")[2].split()).split(" ")[:2]
    assert typed[0].startswith("hardware.sequences_per_device="), said
    assert rlexp(shared_project, "plan", *words[:1], *typed).returncode == 0
