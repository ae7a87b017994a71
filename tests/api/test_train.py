"""Training from Python is training from the command line: the same record, bit for bit the same weights."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import rlexp

pytestmark = pytest.mark.end_to_end
SHORT = ("method.max_steps=2", "held_out.rows=8", "held_out.samples=1", "preflight.smoke=never")
# As a newcomer writes it: no guard, from a folder within the project, mistakes on the way, twice.
SCRIPT = f"""
import os, sys
from rlexp import api
assert "torch" not in sys.modules
os.chdir("rewards")
for wrong in (["metod=grpo"], ["reward=format+corect"], ["method.max_steps=2", "hydra.run.dir=conf"]):
    try:
        api.train(api.compose(*wrong))
    except api.RunError as error:
        print("refused:", str(error).splitlines()[0])
run = api.compose(*{SHORT})
first, second = api.train(run), api.train(run)
assert os.path.basename(os.getcwd()) == "rewards"
for done in (first, second):
    print("run:", done.run_dir, done.status)
model, tokenizer = first.load()
batch = tokenizer(["What is 2 + 2?"], return_tensors="pt").to(model.device)
print("generated:", model.generate(**batch, max_new_tokens=4).shape[0])
"""


def record(folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """(lock, manifest) of a run folder."""
    return yaml.safe_load((folder / "run.lock.yaml").read_text()), json.loads((folder / "manifest.json").read_text())


def python(script: str, folder: Path) -> str:
    """What a script prints that is run in a folder."""
    (folder / "mine.py").write_text(script)
    command = [sys.executable, "mine.py"]
    done = subprocess.run(command, cwd=folder, env=dict(os.environ), capture_output=True, text=True, timeout=400)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_script_trains_what_the_command_line_trains_bit_for_bit(shared_project):
    typed = rlexp(shared_project, *SHORT, "hydra.run.dir=outputs/typed", timeout=400)
    assert typed.returncode == 0, typed.stdout + typed.stderr
    said = python(SCRIPT, shared_project)
    refused = [line for line in said.splitlines() if line.startswith("refused: ")]
    assert refused == [
        "refused: there is no key metod",
        "refused: there is no reward named 'corect'",
        "refused: conf holds other things than runs",
    ]
    assert "generated: 1" in said
    lock, manifest = record(shared_project / "outputs/typed")
    folders = [Path(line.split()[1]) for line in said.splitlines() if line.startswith("run: ")]
    assert len(set(folders)) == 2
    for folder in folders:
        assert folder.parents[1] == shared_project / "outputs"
        assert folder.name.endswith("_grpo_tiny_arithmetic")
        own, told = record(folder)
        assert own.pop("overrides") == told["overrides"] == list(SHORT)
        without = {key: value for key, value in lock.items() if key not in ("overrides", "checksum", "created")}
        assert {key: own[key] for key in without} == without
        assert told["status"] == "finished" and told["argv"] == ["mine.py"]
        assert told.keys() == manifest.keys()
        weights = "adapter/adapter_model.safetensors"
        assert told["outputs"][weights] == manifest["outputs"][weights]


@pytest.mark.long
def test_a_script_needs_no_guard_where_a_library_starts_processes(shared_project):
    loaders = ("method.dataloader_num_workers=1", "method.dataloader_multiprocessing_context=spawn")
    said = python(
        f"from rlexp import api\nprint('once')\nprint(api.train(api.compose(*{SHORT}, *{loaders})))\n", shared_project
    )
    assert said.count("once") == 1 and "finished" in said
