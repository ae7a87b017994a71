"""A run that goes on with another number of devices, through the real command line: what agrees, and what is said."""

from __future__ import annotations

import pyarrow.parquet as pq
import pytest

from tests.conftest import rlexp
from tests.end_to_end.test_devices import ONE, ROUNDING, TWO, manifest, metrics, run, same_training

pytestmark = [pytest.mark.end_to_end, pytest.mark.long]
STOPPED = ("max_minutes=0.01",)
"""Ends with the first step."""
KINDS = {
    "grpo": ("method=grpo",),
    "grpo, KL, passes, entries of two steps": (
        *("method=grpo", "method.beta=0.04", "hardware.sequences_per_device=8", "method.logging_steps=2"),
    ),
    "dpo": ("method=dpo", "dataset=arithmetic_preferences"),
    "sft, second epoch": ("method=sft", "dataset=arithmetic_demonstrations", "dataset.train_rows=8"),
}


@pytest.mark.parametrize("devices", [1, 2])
@pytest.mark.parametrize("kind", KINDS)
def test_the_rest_is_that_of_the_run_that_nobody_stopped_but_for_rounding(shared_project, kind, devices):
    slug = f"{kind.replace(',', '').replace(' ', '_')}_from_{devices}"
    seeded = (*KINDS[kind], *(ONE if devices == 1 else (*TWO, "rollout.seed_rows=true")))
    _, whole = run(shared_project, f"whole_{slug}", *seeded)
    _, folder = run(shared_project, slug, *seeded, *STOPPED)
    assert manifest(folder)["steps"]["done"] == 1
    other = rlexp(shared_project, f"resume=outputs/{slug}", f"hardware.devices={3 - devices}", "max_minutes=null")
    assert other.returncode == 0, other.stdout + other.stderr
    record = manifest(folder)
    last = record["attempts"][-1]
    assert record["status"] == "finished" and record["identity"] == manifest(whole)["identity"]
    assert (last["devices"], last["checkpoint_devices"], last["from_step"]) == (3 - devices, devices, 1)
    assert last["level"] == ("inputs" if "entries" in kind else "step") and last["equal_draw"] is True
    assert f"note: {last['agrees']}\n" in other.stdout
    same_training(whole, folder)
    for file in sorted((whole / "completions").glob("*")):
        assert pq.read_table(file).equals(pq.read_table(folder / "completions" / file.name)), file.name
    for one, two in zip(metrics(whole), metrics(folder), strict=True):
        means = set() if "passes" in kind else {"kl", "entropy"}  # of each pass, and then of the passes
        for key in one.keys() & two.keys() & {"loss", "rewards/margins", "train_loss", *means}:
            assert one[key] == pytest.approx(two[key], abs=100 * ROUNDING), (one["step"], key)


def test_it_goes_on_to_and_fro_and_its_replay_is_asked_what_can_be_expected(shared_project):
    _, folder = run(shared_project, "to_and_fro", "hardware=cpu", *STOPPED)
    on_two = rlexp(shared_project, "resume=outputs/to_and_fro", "hardware.devices=2")
    assert on_two.returncode == 0, on_two.stdout + on_two.stderr
    line = "go on: python -m rlexp resume=outputs/to_and_fro hardware.devices=2"
    assert on_two.stdout.strip().splitlines()[-1] == line and manifest(folder)["steps"]["done"] == 2
    assert "are another draw, which rollout.seed_rows=true from the beginning would not have" in on_two.stdout
    too_many = rlexp(shared_project, "resume=outputs/to_and_fro", "hardware.devices=5", "max_minutes=null")
    assert too_many.returncode == 2 and "do not divide by 5 devices" in too_many.stderr
    assert len(manifest(folder)["attempts"]) == 2
    planned = rlexp(shared_project, "plan", "resume=outputs/to_and_fro")
    assert "2 devices wrote the checkpoint of step 2, and 1 go on: level step" in planned.stdout
    on_one = rlexp(shared_project, "resume=outputs/to_and_fro", "max_minutes=null")
    assert on_one.returncode == 0, on_one.stdout + on_one.stderr
    record = manifest(folder)
    assert record["status"] == "finished" and record["steps"]["done"] == 4
    assert [one.get("devices") for one in record["attempts"]] == [None, 2, 1]
    assert [one.get("equal_draw") for one in record["attempts"]] == [None, False, False]
    replay = rlexp(shared_project, "replay", "outputs/to_and_fro", "--dir", "outputs/to_and_fro_again")
    assert replay.returncode == 0, replay.stdout + replay.stderr
    assert "level asked: step (the run went on with 2 device(s) from step 1): reached" in replay.stdout


def test_in_the_middle_of_a_generation_only_as_many_devices_go_on_and_a_fork_samples_anew(shared_project):
    _, folder = run(shared_project, "middle", "hardware=cpu", "method.num_iterations=2", *STOPPED)
    before = sorted((path, path.read_bytes()) for path in folder.rglob("*") if path.is_file())
    other = rlexp(shared_project, "resume=outputs/middle", "hardware.devices=2", "max_minutes=null")
    assert other.returncode == 2 and "it lies in the middle of a generation that 2 steps are trained on" in other.stderr
    assert "do:    type hardware.devices=1" in other.stderr
    assert before == sorted((path, path.read_bytes()) for path in folder.rglob("*") if path.is_file())
    typed = ("hardware.devices=2", "max_minutes=null", "hydra.run.dir=outputs/middle_fork")
    fork = rlexp(shared_project, "fork=outputs/middle", *typed)
    assert fork.returncode == 0, fork.stdout + fork.stderr
    assert manifest(shared_project / "outputs/middle_fork")["steps"] == {"done": 4, "asked": 4}
    again = rlexp(shared_project, "resume=outputs/middle", "max_minutes=null")
    assert again.returncode == 0 and manifest(folder)["status"] == "finished", again.stdout + again.stderr
