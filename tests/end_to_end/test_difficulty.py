"""Pass rates of prompts, through the real command line: measured, trained by, replayed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import yaml

from tests.cli.test_json import document
from tests.conftest import copy_project, files, rlexp
from tests.end_to_end.test_replay import said, tool
from tests.end_to_end.test_train import manifest

pytestmark = pytest.mark.end_to_end
SMALL = ("dataset.name=small", "dataset.params.train=16", "dataset.params.test=8")
SHORT = ("method.max_steps=2", "method.prompts_per_step=2", "held_out.rows=4", "held_out.samples=0")
FILTER = "dataset.difficulty=[0.1,0.9]"
RATES = "data/small.difficulty"


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project under git with the rates of 16 prompts, and a run that filtered by them."""
    project = copy_project(tmp_path_factory.mktemp("difficulty") / "project")
    tool(project, "git", "init", "-q")
    answer = document("difficulty", rlexp(project, "difficulty", *SMALL, "n=4", "--json").stdout)
    assert answer["sampled"] and answer["prompts"] == answer["rows"] == 16 and answer["unknown"] == 0
    assert sum(part["rows"] for part in answer["histogram"]) == 16 and answer["completions_per_second"] > 0
    said(project, *SMALL, *SHORT, FILTER, "hydra.run.dir=outputs/filtered")
    return project


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_the_same_command_samples_nothing_and_another_one_is_refused(measured):
    before = bytes_of(measured / RATES)
    again = document("difficulty", rlexp(measured, "difficulty", *SMALL, "n=4", "--json").stdout)
    assert not again["sampled"] and again["seconds"] is None and sum(p["rows"] for p in again["histogram"]) == 16
    refused = said(measured, "difficulty", *SMALL, "n=2", expect=2)
    assert "other pass rates" in refused and "n is 4 there, asked is 2" in refused
    assert bytes_of(measured / RATES) == before


@pytest.mark.long
def test_the_same_command_gives_the_same_bytes_whatever_is_filtered(measured, tmp_path):
    project = copy_project(tmp_path / "project")
    heard = said(project, "difficulty", *SMALL, "n=4", FILTER)
    assert "16 of 16 train rows by pass rate (correct at least 1, tiny, n=4)" in heard and "teach nothing" in heard
    assert bytes_of(project / RATES) == bytes_of(measured / RATES)


@pytest.mark.long
def test_a_part_of_the_rows_leaves_the_others_without_a_rate(tmp_path):
    project = copy_project(tmp_path / "project")
    heard = said(project, "difficulty", *SMALL, "n=2", "rows=6", "term=format", "at=0.5")
    assert "6 of 16 train rows by pass rate (format at least 0.5, tiny, n=2)" in heard
    assert "10 rows have no pass rate: only the first 6 were asked for" in heard


def test_nothing_is_left_of_what_was_refused(tmp_path):
    project = copy_project(tmp_path / "project")
    said(project, "prepare", *SMALL)
    before = files(project)
    assert "which of format, length" in said(project, "difficulty", *SMALL, "reward=format+length", expect=2)
    assert "measures one run's data" in said(project, "difficulty", *SMALL, "-m", "seed=0,1", expect=2)
    assert "no pass rates of small" in said(project, *SMALL, FILTER, expect=2)
    assert files(project) == before


def test_a_run_trains_on_the_rows_between_and_its_lock_says_so(measured):
    lock = yaml.safe_load((measured / "outputs/filtered/run.lock.yaml").read_text())
    kept = lock["inputs"]["difficulty"]["kept"]
    answer = document("difficulty", rlexp(measured, "difficulty", *SMALL, "n=4", "--json").stdout)
    assert kept == 16 - answer["equal"] < 16 and lock["config"]["dataset"]["difficulty"] == [0.1, 0.9]
    assert manifest(measured / "outputs/filtered")["inputs_changed"] == []
    planned = document("plan", rlexp(measured, "plan", *SMALL, FILTER, "--json").stdout)
    assert planned["dataset"]["difficulty"]["kept"] == kept and planned["warnings"] == []
    shown = said(measured, "plan", *SMALL, FILTER)
    assert f"{kept} of 16 train rows: pass rate 0.1 to 0.9 (tiny, n=4)" in shown
    changed = json.loads(rlexp(measured, "diff", "outputs/filtered", "outputs/filtered", "--json").stdout)
    assert changed["changes"] == []


@pytest.mark.long
def test_a_replay_finds_the_rates_or_says_that_they_are_gone_and_after_pin_has_them_from_the_cache(measured, tmp_path):
    project = Path(shutil.copytree(measured, tmp_path / "project"))
    heard = said(project, "replay", "outputs/filtered")
    assert f"inputs identical: data/small, {RATES}," in heard and "trajectory identical" in heard
    kept = shutil.move(project / RATES, tmp_path / "kept")
    gone = said(project, "replay", "outputs/filtered", expect=2)
    assert RATES in gone and "actual missing" in gone
    shutil.move(kept, project / RATES)
    assert f"no stage makes {RATES}" in said(project, "pin", "outputs/filtered")
    shutil.rmtree(project / RATES)
    (project / RATES).mkdir()
    (project / RATES / "difficulty.json").write_text("{}")
    heard = said(project, "replay", "pinned")
    assert f"{RATES} is not the locked one" in heard and "restored from DVC's cache to data/.locked" in heard
    assert "trajectory identical" in heard and (project / RATES / "difficulty.json").read_text() == "{}"
