"""What 1dbe9d9 left on disk, the code before the house was moved, is read as it was written."""

import json
import shutil
from pathlib import Path

import pytest

from rlexp.compare.changes import big_variables, changes
from rlexp.compare.differences import differences
from rlexp.evaluate import samples, stored
from rlexp.record import finished, listed
from rlexp.record.lock import identity
from rlexp.reward.reasons import Reasons
from tests.conftest import ROOT, copy_project, rlexp

HERE = Path(__file__).parent
RUN, PINNED = HERE / "run_of_1dbe9d9", HERE / "pinned_of_1dbe9d9.lock.yaml"


@pytest.mark.parametrize("typed", [RUN, PINNED], ids=["a run", "the pinned lock"])
def test_its_lock_is_the_same_run_by_identity_and_by_every_key_it_has(typed):
    original = finished.open(str(typed), HERE, ROOT)
    assert identity(original.run) == original.lock["identity"]
    changed = differences(original.lock["config"], original.run.config())
    assert all(before == "(absent)" for before, _ in changed.values()), changed


def test_its_record_is_read_whole():
    original = finished.open(str(RUN), HERE, ROOT)
    assert original.manifest["status"] == "finished" and original.completion_steps() == [1]
    assert [entry["step"] for entry in original.metrics()] == [1, 2, 3, 4, 5]
    assert sorted(original.reward_sources()) == ["correct", "format"]
    columns = original.completions([1])
    assert len(columns["completion"]) == 64 and {"group", "cut", "tokens", "read.answer"} <= columns.keys()
    row = listed.read(RUN, HERE)
    assert (row.status, row.metric and round(row.metric[2], 3)) == ("finished", 1.758)


def test_its_completions_are_shown_with_what_the_limit_cut():
    original = finished.open(str(RUN), HERE, ROOT)
    reasons = Reasons(original.run.reward, original.reward_sources(), ROOT)
    groups = stored.drawn(original.run, original.completions([1]), 1, reasons)
    found = samples.grouped(original.run, groups, {}, compared=True)
    shown = [sample for group in found for sample in group.samples]
    assert len(found) == 8 and len(shown) == 64
    assert [sample.truncated for sample in shown].count(True) == 0 and all(sample.tokens for sample in shown)


def test_diff_finds_nothing_between_it_and_itself():
    one, two = (finished.open(str(RUN), HERE, ROOT) for _ in range(2))
    assert big_variables(changes(one, two)) == []


def test_replay_check_finds_its_inputs(tmp_path):
    project = copy_project(tmp_path / "project")
    assert rlexp(project, "prepare").returncode == 0
    shutil.copytree(RUN / "sources/rewards", project / "rewards", dirs_exist_ok=True)  # the project's own, as they were
    done = rlexp(project, "replay", str(PINNED), "--check")
    assert done.returncode == 0, done.stderr
    assert "inputs identical: data/arithmetic, rewards/correct.py, rewards/format.py, tiny" in done.stdout


def test_the_verdicts_and_arguments_of_its_manifest_keep_their_names():
    manifest = json.loads((RUN / "manifest.json").read_text())
    assert {"name", "level", "said"} == manifest["preflight"][0].keys()
    assert {"asked", "held", "why"} == next(iter(manifest["effective_arguments"]["adjusted"].values())).keys()
