"""A run's patches in its record, and a run without any."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rlexp.backend.patches import PATCHES
from tests.conftest import rlexp
from tests.end_to_end.test_train import manifest, metrics, train

pytestmark = pytest.mark.end_to_end
EIGHT_PASSES = ("method.max_steps=3", "held_out.rows=0", "hardware.sequences_per_device=8")


@pytest.fixture(scope="module")
def patched(shared_project: Path) -> Path:
    """Three steps with patches."""
    return train(shared_project, "outputs/patched", *EIGHT_PASSES)[0]


@pytest.fixture(scope="module")
def unpatched(shared_project: Path) -> Path:
    """The same three steps without."""
    return train(shared_project, "outputs/unpatched", *EIGHT_PASSES, "rollout.patches=off")[0]


def test_the_record_names_every_patch_with_its_status(patched):
    found = manifest(patched)["patches"]
    assert list(found) == list(PATCHES)
    assert found["micro_batches"] == {"status": "applied"}
    assert found["shared_engine"]["status"] == found["one_trainer"]["status"] == "not needed"
    assert all(entry["status"] == "applied" or entry["why"] for entry in found.values())


def test_without_patches_it_trains_and_what_is_sampled_and_learned_is_the_same(patched, unpatched):
    found = manifest(unpatched)
    assert found["status"] == "finished" and list(found["patches"]) == list(PATCHES)
    assert all(entry == {"status": "skipped", "why": "rollout.patches=off"} for entry in found["patches"].values())
    assert found["identity"] == manifest(patched)["identity"]
    for one, two in zip(metrics(patched)[:3], metrics(unpatched)[:3], strict=True):
        assert one["reward"] == two["reward"] and one["completions/mean_length"] == two["completions/mean_length"]
        assert one["grad_norm"] == pytest.approx(two["grad_norm"], rel=1e-5)


def test_diff_names_the_patches_that_one_of_them_had(shared_project, patched, unpatched):
    done = rlexp(shared_project, "diff", "outputs/patched", "outputs/unpatched", "--json")
    assert done.returncode == 0, done.stderr
    found = {change["key"]: change for change in json.loads(done.stdout)["changes"]}
    assert (found["patches.micro_batches"]["a"], found["patches.micro_batches"]["b"]) == ("applied", "skipped")
    assert found["patches.micro_batches"]["follows"] == "rollout.patches" and found["rollout.patches"]["b"] is False
    assert "patches.off_policy" not in found


@pytest.mark.long
def test_a_smoke_records_its_patches_too_and_what_needs_one_is_refused_before_anything_is_made(shared_project):
    done = rlexp(shared_project, "smoke", "hydra.run.dir=outputs/smoke", "preflight.smoke_steps=3", "method.beta=0.04")
    assert done.returncode == 0, done.stdout + done.stderr
    assert manifest(shared_project / "outputs/smoke")["patches"]["base_reference"] == {"status": "applied"}
    refused = rlexp(shared_project, "hydra.run.dir=outputs/refused", "method.beta=0.04", "rollout.patches=off")
    assert refused.returncode == 2 and "the patch base_reference is needed" in refused.stderr
    assert not (shared_project / "outputs/refused").exists()
