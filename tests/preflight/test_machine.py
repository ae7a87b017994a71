"""``doctor``: each check by table over made facts, and the verb itself on this machine."""

import dataclasses
import json
import os
from pathlib import Path

import pytest

from rlexp.nvidia import Gpu
from rlexp.preflight import checks, facts, machine
from rlexp.preflight.facts import GIB, MachineFacts
from rlexp.verdict import Level
from tests.conftest import files, rlexp
from tests.test_command_line import HEAVY, imported

H100 = Gpu("NVIDIA H100", 80 * GIB, 79 * GIB, "580.1")
HEALTHY = MachineFacts(
    python="3.11.7",
    requires_python=">=3.11,<3.14",
    required=("trl>=1.15,<1.16", "torch>=2.11", "colorama>=1; sys_platform == 'win32'"),
    matrix="constraints.txt",
    tested={"trl": "1.15.0", "torch": "2.13.0", "rich": "14.0"},
    installed={"trl": "1.15.0", "torch": "2.13.0+cpu", "rich": "14.0", "unsloth": "2026.10.9"},
    torch_cuda="",
    driver_cuda=None,
    gpus=(),
    disks={"the project": (Path("/p"), 90 * GIB), "the hub's cache": (Path("/h"), 80 * GIB)},
    memory=16 * GIB,
    unwritable=(),
    caches={},
    hub="https://hub",
    hub_fault=None,
    sandbox="bubblewrap",
    tokens=("HF_TOKEN",),
    telemetry={"A": "off", "B": "off"},
)
CUDA = {"torch_cuda": "13.0", "driver_cuda": "13.0", "gpus": (H100,)}


@pytest.mark.parametrize(
    ("check", "changed", "level", "says"),
    [
        (machine.python, {"python": "3.10.2"}, "failed", "needs >=3.11"),
        (machine.python, {"requires_python": None}, "skipped", "rlexp is not installed"),
        (machine.required, {"installed": {"trl": "1.15.0", "unsloth": "1"}}, "failed", "torch is missing"),
        (machine.required, {"installed": {**HEALTHY.installed, "trl": "1.16.0"}}, "failed", "trl 1.16.0 is outside of"),
        (machine.required, {"installed": {**HEALTHY.installed, "trl": "1.15.1"}}, "ok", "Unsloth"),
        (
            machine.tested,
            {"installed": {**HEALTHY.installed, "trl": "1.15.1"}},
            "warning",
            "trl 1.15.1 (tested: 1.15.0)",
        ),
        # Another rich changes no result.
        (machine.tested, {"installed": {**HEALTHY.installed, "rich": "15.0"}}, "ok", "2 of 3"),
        (machine.tested, {"tested": {}}, "skipped", "no constraints.txt"),
        (machine.torch, {"torch_cuda": None}, "failed", "not installed"),
        (machine.torch, {"gpus": (H100,)}, "warning", "would stay idle"),
        (machine.torch, CUDA, "ok", "up to 13.0"),
        (machine.torch, {**CUDA, "driver_cuda": "12.8"}, "failed", "runs CUDA 12.8 at most"),
        # Within one major version older drivers run newer builds.
        (machine.torch, {**CUDA, "torch_cuda": "13.2"}, "ok", "13.2"),
        (machine.gpu, {}, "skipped", "no GPU"),
        (machine.gpu, CUDA, "ok", "79.0 GiB of 80.0 GiB free"),
        (machine.gpu, {"gpus": (dataclasses.replace(H100, free=GIB),)}, "warning", "1.0 GiB of 80.0"),
        (machine.disk, {"disks": {"the project": (Path("/p"), 3 * GIB)}}, "warning", "only 3.0 GiB"),
        (machine.disk, {"disks": {"the project": (Path("/p"), 5 * 2**20)}}, "failed", "only 5 MiB"),
        (machine.memory, {"memory": None}, "skipped", "does not say"),
        (machine.memory, {"memory": 2 * GIB}, "warning", "2.0 GiB"),
        (machine.memory, {"memory": GIB // 2}, "failed", "0.5 GiB"),
        (machine.writing, {"unwritable": ("outputs",)}, "failed", "outputs/"),
        (machine.caches, {}, "skipped", "without a GPU"),
        (machine.caches, {"caches": {"in use (ab)": (Path("/c/ab"), None)}}, "ok", "in use (ab): none yet (/c/ab)"),
        (machine.caches, {"caches": {"in use (ab)": (Path("/c/ab"), GIB)}}, "ok", "/c/ab, 1.0 GiB"),
        (machine.hub, {"hub": "", "hub_fault": "HF_HUB_OFFLINE is set"}, "ok", "offline"),
        (machine.hub, {"hub_fault": "timed out"}, "warning", "cannot be reached: timed out"),
        (machine.untrusted, {"sandbox": ""}, "warning", "code_tests"),
        (machine.tokens, {}, "ok", "HF_TOKEN (not shown)"),
    ],
)
def test_each_check_says_what_it_saw(check, changed, level, says):
    verdict = check(dataclasses.replace(HEALTHY, **changed))
    assert (verdict.level.value, says in verdict.message) == (level, True), verdict
    if verdict.level in (Level.failed, Level.warning):
        assert verdict.hint


def test_compiled_kernels_that_nothing_uses_are_named_with_what_removes_them():
    seen = {"in use (ab)": (Path("/c/ab"), GIB), "other versions (cd)": (Path("/c/cd"), 2 * GIB)}
    verdict = machine.caches(dataclasses.replace(HEALTHY, caches=seen))
    assert "other versions (cd): /c/cd, 2.0 GiB" in verdict.message and "rm -r /c/cd " in verdict.hint


def test_of_several_gpus_it_says_what_takes_them():
    verdict = machine.gpu(dataclasses.replace(HEALTHY, **{**CUDA, "gpus": (H100, H100)}))
    assert verdict.level is Level.passed and "hardware.devices=N" in verdict.hint


def test_a_healthy_machine_has_nothing_to_say():
    assert machine.worst(machine.verdicts(HEALTHY)) is Level.passed


def test_the_matrix_is_read_from_the_committed_files(root):
    seen = facts.gather(root)
    assert seen.tested["trl"] == seen.installed["trl"] and "unsloth" in seen.tested
    assert seen.requires_python and machine.required(seen).level is Level.passed


def test_doctor_is_quick_shows_no_token_and_writes_nothing(project):
    before = files(project)
    done = rlexp(project, "doctor", HF_TOKEN="hf_secret", HF_HUB_OFFLINE="1", PYTHONPROFILEIMPORTTIME="1")
    assert done.returncode == 0, done.stdout
    assert "HF_TOKEN (not shown)" in done.stdout and "hf_secret" not in done.stdout
    assert "offline" in done.stdout and "\x1b" not in done.stdout
    assert not imported(done.stderr) & set(HEAVY)
    assert files(project) == before


def test_a_failed_check_is_exit_code_1_also_in_json(project):
    about = project / "first/rlexp-0.1.0.dist-info/METADATA"
    about.parent.mkdir(parents=True)
    about.write_text("Metadata-Version: 2.1\nName: rlexp\nVersion: 0.1.0\nRequires-Python: >=4\n")
    path = os.pathsep.join(filter(None, (str(project / "first"), os.environ.get("PYTHONPATH"))))
    done = rlexp(project, "doctor", "--json", HF_HUB_OFFLINE="1", PYTHONPATH=path)
    said = {item["name"]: item for item in json.loads(done.stdout)}
    assert done.returncode == 1 and said["python.version"]["level"] == "failed"


def test_a_run_that_saves_no_checkpoint_is_asked_room_for_its_weights_alone(composed, tmp_path):
    (tmp_path / "model.safetensors").write_bytes(b"0" * 1000)
    every, none = (checks.written(composed(*typed), tmp_path) for typed in ((), ("method.save_strategy=no",)))
    assert (every, none) == (700, 100)


def test_weights_that_are_all_trained_are_asked_room_for_without_their_optimizer(composed, tmp_path):
    (tmp_path / "model.safetensors").write_bytes(b"0" * 1000)
    full = ("model.full_finetuning=true", "method.save_total_limit=1")
    assert checks.written(composed(*full), tmp_path) == 8000
    assert checks.written(composed(*full, "method.save_strategy=no"), tmp_path) == 2000
