"""Patches that were active in one of two runs only."""

from __future__ import annotations

from rlexp.compare.changes import big_variables, changes
from rlexp.record.finished import FinishedRun
from tests.record.made import locked, manifest

APPLIED, OFF = {"status": "applied"}, {"status": "skipped", "why": "rollout.patches=off"}


def run(composed, tmp_path, patches, *overrides):
    """A finished run whose manifest holds these patches."""
    found = manifest(patches=patches) if patches is not None else manifest()
    return FinishedRun(tmp_path, locked(composed("hardware=cpu", *overrides), *overrides), found, tmp_path)


def named(a, b):
    """The differences of patches, by name."""
    return {c.key: (c.a, c.b, c.risk, c.follows) for c in changes(a, b) if c.area == "patches"}


def test_a_patch_that_was_active_in_one_run_only_is_named(composed, tmp_path):
    a = run(composed, tmp_path, {"micro_batches": APPLIED, "off_policy": {"status": "not needed", "why": "x"}})
    b = run(composed, tmp_path, {"micro_batches": OFF, "off_policy": OFF, "newer": APPLIED}, "rollout.patches=off")
    assert named(a, b) == {
        "patches.micro_batches": ("applied", "skipped", "medium", "rollout.patches"),
        "patches.newer": (None, "applied", "medium", "rollout.patches"),
        "rollout.patches": (True, False, "medium", ""),
    }
    assert big_variables(changes(a, b)) == []


def test_a_patch_that_another_library_does_not_take_follows_nothing(composed, tmp_path):
    a = run(composed, tmp_path, {"micro_batches": APPLIED})
    b = run(composed, tmp_path, {"micro_batches": {"status": "skipped", "why": "built otherwise"}})
    assert named(a, b) == {"patches.micro_batches": ("applied", "skipped", "medium", "")}


def test_runs_that_are_older_than_the_record_of_patches_are_not_compared_by_it(composed, tmp_path):
    a, b = run(composed, tmp_path, {"micro_batches": APPLIED}), run(composed, tmp_path, None)
    assert named(a, b) == named(b, a) == named(b, b) == {}
