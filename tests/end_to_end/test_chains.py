"""SFT, then DPO and GRPO on what it left: the reference is the policy that training begins with."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.conftest import copy_project, rlexp
from tests.end_to_end.test_replay import said, tool
from tests.end_to_end.test_train import manifest, metrics, train

pytestmark = pytest.mark.end_to_end
FEW = ("held_out.rows=8", "held_out.samples=1", "preflight.smoke=never")
DPO = ("method=dpo", "dataset=arithmetic_preferences")
LOADS = """
import sys, torch
from peft import AutoPeftModelForCausalLM, PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer
adapter, base = sys.argv[1:]
tokenizer = AutoTokenizer.from_pretrained(adapter)
ids = tokenizer("What is 3 + 4?", return_tensors="pt")
named = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32), adapter)
print(named(**ids).logits.double().sum().item())
"""
AUTO = LOADS.replace("named = ", "named = AutoPeftModelForCausalLM.from_pretrained(adapter, dtype=torch.float32) #")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with a run of SFT."""
    made = copy_project(tmp_path_factory.mktemp("chain") / "project")
    train(made, "outputs/sft", "experiment=sums_sft", "method.max_steps=6", *FEW)
    return made


def held_out(folder: Path, column: str) -> dict[str, float]:
    return {name: row[column] for name, row in manifest(folder)["held_out"].items() if name != "loss"}


def test_grpo_goes_on_from_sft_behind_a_smoke_and_its_reference_is_what_sft_left(project):
    asked = ("method.beta=0.04", "method.max_steps=2", "preflight.smoke=always", "preflight.smoke_steps=3")
    folder, heard = train(project, "outputs/grpo", "model.start=outputs/sft", *FEW[:2], *asked)
    assert "begins with outputs/sft" in heard and "smoke passed" in heard
    first, second = metrics(folder)[:2]
    assert abs(first["kl"]) < 1e-8 < second["kl"]  # two ways to the same numbers: they may round otherwise
    content = manifest(folder)
    assert content["patches"]["base_reference"]["status"] == "not needed"
    assert content["start"]["run"] == "outputs/sft" and content["start"]["merged"] is False
    before, after = held_out(folder, "before"), held_out(project / "outputs/sft", "after")
    assert before == {name: pytest.approx(after[name], abs=1e-6) for name in before}, "measured on what SFT left"
    lock = yaml.safe_load((folder / "run.lock.yaml").read_text())
    begun = lock["inputs"]["start"]
    assert begun["identity"] == manifest(project / "outputs/sft")["identity"]
    assert begun["sha256"] == lock["config"]["model"]["start_sha256"]
    assert not (folder / "adapter/ref").exists() and (folder / "start/adapter_model.safetensors").is_file()


@pytest.mark.parametrize("merged", [False, True])
def test_dpo_begins_at_a_margin_of_0_whether_the_adapter_goes_on_or_is_merged(project, merged):
    how = ("model.start_merged=true", "model.lora.r=4") if merged else ()
    asked = (*DPO, "model.start=outputs/sft", "method.max_steps=2", "method.warmup_steps=0", *how, *FEW)
    folder, _ = train(project, f"outputs/dpo_{merged}", *asked)
    first, second = metrics(folder)[:2]
    assert first["loss"] == pytest.approx(0.693147, abs=1e-6) and first["rewards/margins"] == 0.0
    assert second["rewards/margins"] != 0.0
    table = manifest(folder)["held_out"]
    assert table["rewards/margins"]["before"] == 0.0
    same = 0.02 if merged else 1e-6  # the merged weights are rounded to the type of the base's file
    sft = manifest(project / "outputs/sft")["held_out"]
    assert table["mean_token_accuracy"]["before"] == pytest.approx(sft["mean_token_accuracy"]["after"], abs=0.2)
    assert table["reward"]["before"] == pytest.approx(sft["reward"]["after"], abs=max(same, 1e-6))


def test_an_adapter_loads_elsewhere_with_the_same_logits(project, tmp_path):
    adapter = project / "outputs/sft/adapter"
    assert {oct(path.stat().st_mode & 0o777) for path in adapter.iterdir()} == {"0o644"}
    note = json.loads((adapter / "rlexp.json").read_text())
    assert note["base"]["path"] == "models/tiny" and note["base"]["md5"].endswith(".dir") and "system_prompt" in note
    assert str(project) not in "".join(p.read_text() for p in adapter.iterdir() if p.suffix in (".json", ".md"))
    shutil.copytree(adapter, tmp_path / "adapter")

    def logits(code: str, folder: Path) -> str:
        command = [sys.executable, "-c", code, str(tmp_path / "adapter"), str(project / "models/tiny")]
        done = subprocess.run(command, cwd=folder, env={**os.environ}, capture_output=True, text=True, timeout=200)
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert logits(LOADS, tmp_path) == logits(AUTO, project)


def test_a_replay_finds_the_start_in_its_own_copy_and_a_missing_one_is_one_message(project):
    (project / "outputs/sft").rename(project / "outputs/away")
    try:
        checked = said(project, "replay", "outputs/dpo_False", "--check")
        assert "inputs identical" in checked and "composes otherwise" not in checked
        done = rlexp(project, *DPO, "model.start=outputs/sft")
        assert done.returncode == 2 and "there is no run at outputs/sft" in done.stderr
    finally:
        (project / "outputs/away").rename(project / "outputs/sft")
    told = json.loads(rlexp(project, "runs", "--json").stdout)
    assert {row["folder"]: row["start"]["run"] for row in told if "start" in row}["outputs/grpo"] == "outputs/sft"
    assert "model.start_merged" in said(project, "diff", "outputs/dpo_False", "outputs/dpo_True")


@pytest.mark.long
def test_sft_dpo_and_grpo_are_pinned_by_one_command_and_replayed_by_one_on_a_clean_clone(tmp_path):
    project = copy_project(tmp_path / "project")
    tool(project, "git", "init", "-q")
    train(project, "outputs/sft", "experiment=sums_sft", "method.max_steps=4", *FEW)
    train(project, "outputs/dpo", *DPO, "model.start=outputs/sft", "method.max_steps=3", *FEW)
    train(project, "outputs/grpo", "model.start=outputs/dpo", "method.beta=0.04", "method.max_steps=2", *FEW)
    said(project, "pin", "outputs/grpo")
    assert not [path for path in (project / "pinned").rglob("*") if path.suffix == ".safetensors"]
    tool(project, "git", "add", "-A")
    tool(project, "git", "commit", "-qm", "pinned")
    clone = tmp_path / "clone"
    tool(project, "git", "clone", "-q", str(project), str(clone))
    heard = tool(clone, "dvc", "repro", "run")
    assert heard.count("trajectory identical") == 3
    places = [heard.index(f"replay {place} ") for place in ("pinned/start/start", "pinned/start", "pinned")]
    assert places == sorted(places)
    assert tool(clone, "git", "status", "--porcelain") == "", "dvc.lock is as the origin committed it"
    file = clone / "pinned/start/start/replay/adapter/adapter_model.safetensors"
    file.write_bytes(file.read_bytes()[:-1] + b"\1")
    other = said(clone, "replay", "pinned/start", "--level", "inputs", expect=2)
    assert "left other weights on this machine" in other and "dvc pull" in other
