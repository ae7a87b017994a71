"""What goes wrong while training is said by the right rule, early, through the real command line."""

from __future__ import annotations

import json

import pytest

from tests.conftest import rlexp
from tests.end_to_end.planted import WATCHED
from tests.end_to_end.test_train import SHORT, manifest, metrics, train

pytestmark = pytest.mark.end_to_end
UNSMOKED = ("held_out.rows=0", "preflight.smoke=never")


EVERY = [pytest.param(one, marks=[pytest.mark.long] if number % 4 else []) for number, one in enumerate(WATCHED)]
"""Three of four are left to make test-long, as each is a run of its own."""


@pytest.mark.parametrize("planted", EVERY, ids=lambda planted: planted.name)
def test_a_planted_failure_is_stopped_by_its_rule(project, planted):
    arguments, rule = planted.plant(project), planted.rule.removeprefix("health.")
    alone = ("held_out.rows=0", "preflight.smoke=never")  # the smoke would see some of them before
    folder, said = train(project, "outputs/planted", *arguments, *alone, expect=2)
    assert f"error: [{planted.rule}]" in said and "Traceback" not in said
    assert f"health.rules.{rule}.stop=null" in said
    left = manifest(folder)
    step = metrics(folder)[-1]["step"]
    assert left["status"] == "stopped" and left["reason"].startswith(f"[{planted.rule}]")
    assert left["health"][rule]["level"] == "stop" and step <= int(planted.where.split()[1])
    assert (folder / f"checkpoints/checkpoint-{step}").is_dir()
    assert "adapter/adapter_model.safetensors" in left["outputs"]
    page = (folder / "health.md").read_text()
    assert page.startswith(f"# Stopped at step {step} by the rule `{rule}`")
    assert ("reward " in page and "prompt: " in page) == ("method=dpo" not in arguments)
    lines = [json.loads(line) for line in (folder / "health.jsonl").read_text().splitlines()]
    # Once when it warns and once when it stops, however many steps it went on.
    assert len({(line["rule"], line["level"]) for line in lines}) == len(lines)


def test_a_stopped_point_is_shown_and_does_not_stop_the_others(shared_project):
    sweep = ("-m", "hydra.sweep.dir=multirun/stopped", "hydra.sweep.subdir=${hydra.job.num}")
    sweep += ("method.learning_rate=10,2e-3",)
    done = rlexp(shared_project, *sweep, *SHORT, timeout=600)
    assert done.returncode == 1
    assert "stopped: " in done.stdout and "[health.weights_jump]" in done.stdout and "finished" in done.stdout
    folders = [shared_project / "multirun/stopped" / number for number in "01"]
    assert [manifest(folder)["status"] for folder in folders] == ["stopped", "finished"]
    assert manifest(folders[1])["health"] == {}
    listed = rlexp(shared_project, "runs", "status=stopped")
    assert listed.returncode == 0 and "stopped" in listed.stdout and "finished" not in listed.stdout


OFFLINE = ("method=dpo", "dataset=arithmetic_preferences")


@pytest.mark.parametrize("method", [(), pytest.param(OFFLINE, marks=pytest.mark.long)], ids=["grpo", "dpo"])
def test_health_held_out_measurements_and_kept_checkpoints_leave_the_trajectory_as_it_is(shared_project, method):
    name = "_offline" if method else ""
    measuring = ("held_out.every=2", "held_out.draw=first", "method.save_strategy=no")
    watched, said = train(shared_project, f"outputs/watched{name}", *SHORT, *method, *measuring)
    alone, _ = train(shared_project, f"outputs/unwatched{name}", *SHORT, *method, "health=off")
    lines = metrics(watched)
    measured = [line for line in lines if "held_out/reward" in line]
    assert [line["step"] for line in measured] == [2, 4]
    assert [line for line in lines if line not in measured] == metrics(alone)
    weights = "adapter/adapter_model.safetensors"
    assert (watched / weights).read_bytes() == (alone / weights).read_bytes()
    # The same rows (drawn by prompt hash they would be others), seed and weights as the comparison at the end.
    held_out, chosen = manifest(watched)["held_out"], manifest(watched)["selection"]
    sampled = [name for name in held_out if f"held_out/{name}" in measured[-1]]
    assert "reward" in sampled
    assert [measured[-1][f"held_out/{name}"] for name in sampled] == [held_out[name]["after"] for name in sampled]
    means = {one["step"]: one["mean"] for one in chosen["measured"]}
    assert (means[0], means[4]) == (held_out["reward"]["before"], held_out["reward"]["after"])
    assert held_out["reward"].get("best", held_out["reward"]["after"]) == means[chosen["step"]]
    assert (watched / "checkpoints").is_dir()
    assert "warning" not in said


def test_an_unknown_rule_is_a_mistake_before_anything_starts(shared_project):
    done = rlexp(shared_project, "health.rules.truncatd.stop=1")
    assert done.returncode == 2 and "truncatd" in done.stderr and "truncated" in done.stderr
    (shared_project / "conf/health/mine.yaml").write_text("name: mine\nrules: {truncatd: {stop: 1}}\n")
    done = rlexp(shared_project, "health=mine")
    assert done.returncode == 2 and "did you mean health.rules.truncated?" in done.stderr
