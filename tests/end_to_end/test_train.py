"""Real runs through the real command line: Unsloth, TRL and model=tiny on a CPU."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml

from tests.conftest import files, rlexp

pytestmark = pytest.mark.end_to_end
SHORT = ("method.max_steps=4", "held_out.rows=16", "held_out.samples=1")


def only(folder: Path) -> Path:
    """The one run folder below outputs/ or a sweep."""
    (manifest,) = folder.rglob("manifest.json")
    return manifest.parent


def manifest(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "manifest.json").read_text())


def metrics(folder: Path) -> list[dict[str, Any]]:
    """What was learned, line by line; timings differ from run to run."""
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{key: value for key, value in line.items() if key != "timing"} for line in lines]


def train(project: Path, where: str, *arguments: str, expect: int = 0) -> tuple[Path, str]:
    """Runs the command line into the folder ``where`` of the project."""
    done = rlexp(project, f"hydra.run.dir={where}", *arguments, timeout=600)
    assert done.returncode == expect, done.stdout + done.stderr
    return project / where, done.stdout + done.stderr


@pytest.fixture(scope="module")
def short_run(shared_project: Path) -> Path:
    """Four steps of the main job."""
    return train(shared_project, "outputs/short", *SHORT)[0]


def test_the_main_job_raises_the_held_out_reward_by_at_least_40_percent(shared_project):
    folder, said = train(shared_project, "outputs/main", "method=grpo", "reward=format+correct")
    reward = manifest(folder)["held_out"]["reward"]
    assert reward["after"] >= 1.4 * reward["before"] > 0
    assert "held-out prompts" in said and "step 60/60" in said
    assert said.index("smoke passed: reward ") < said.index("step 1/60") and "60 steps about" in said


def test_a_finished_run_leaves_its_evidence(short_run):
    said = manifest(short_run)
    lock = yaml.safe_load((short_run / "run.lock.yaml").read_text())
    assert said["status"] == "finished" and said["inputs_changed"] == []
    assert said["identity"] == lock["identity"]
    assert set(lock["inputs"]["rewards"]) == {"correct", "format"}
    assert lock["inputs"]["data"]["rows"] == {"train": 2000, "test": 200}
    assert lock["config"]["hardware"]["name"] != "auto"
    assert (short_run / "sources/rewards/correct.py").is_file()
    assert {"adapter/adapter_model.safetensors", "metrics.jsonl"} <= set(said["outputs"])
    assert [line["step"] for line in metrics(short_run)[:4]] == [1, 2, 3, 4]
    took = said["step_time_s"]
    assert took["generate"] > took["score"] > 0 and took["forward_backward"] > took["optimizer"] > 0
    for text in (short_run / "metrics.jsonl").read_text().splitlines()[:4]:
        timing = json.loads(text)["timing"]
        parts = {name: value for name, value in timing.items() if name.startswith("step_time/")}
        whole = parts.pop("step_time/step")
        assert whole == pytest.approx(sum(parts.values())) and whole > timing["step_time"]


def test_every_completion_is_kept_with_the_score_of_every_term(short_run):
    kept = [pq.read_table(path) for path in sorted((short_run / "completions").glob("*.parquet"))]
    assert [table.num_rows for table in kept] == [64] * 4
    named = ["prompt", "completion", "group", "tokens", "cut", "correct", "format", "reward", "read.answer"]
    assert kept[0].column_names == named
    first = metrics(short_run)[0]
    mean = sum(kept[0]["format"].to_pylist()) / 64
    assert mean == pytest.approx(first["rewards/format/mean"], abs=1e-6)


def test_the_same_command_gives_the_same_metrics_to_the_last_digit(shared_project, short_run):
    again, _ = train(shared_project, "outputs/again", *SHORT)
    assert metrics(again) == metrics(short_run)
    assert (
        manifest(again)["outputs"]["adapter/adapter_model.safetensors"]
        == (manifest(short_run)["outputs"]["adapter/adapter_model.safetensors"])
    )


def test_a_step_in_eight_passes_is_the_step_in_one(shared_project, short_run):
    """Passes are sorted by length and cut: what is learned and what is logged must not show it."""
    passes, _ = train(shared_project, "outputs/passes", *SHORT, "method.max_steps=2", "hardware.sequences_per_device=8")
    for whole, split in zip(metrics(short_run)[:2], metrics(passes)[:2], strict=True):
        for name in ("loss", "grad_norm", "entropy", "reward", "completions/mean_length"):
            assert split[name] == pytest.approx(whole[name], rel=1e-5), name


@pytest.mark.long
def test_a_step_of_rloo_in_eight_passes_is_the_step_in_one(shared_project):
    """Its passes before the training are cut, too, and its KL term is part of the reward."""
    fixed = ("method=rloo", "method.beta=0.04", "method.max_steps=2", "held_out.rows=0", "preflight.smoke=never")
    whole, _ = train(shared_project, "outputs/rloo_whole", *fixed)
    split, _ = train(shared_project, "outputs/rloo_split", *fixed, "hardware.sequences_per_device=8")
    for one, eight in zip(metrics(whole)[:2], metrics(split)[:2], strict=True):
        for name in ("grad_norm", "entropy", "kl", "reward", "completions/mean_length"):
            assert eight[name] == pytest.approx(one[name], rel=1e-4), name


def test_a_sweep_runs_every_point_and_a_point_equals_the_run_alone(shared_project, short_run):
    done = rlexp(
        shared_project,
        *("-m", "hydra.sweep.dir=multirun/sweep", "hydra.sweep.subdir=${hydra.job.num}"),
        *("method.beta=0,0.04", "method.num_generations=4,8", *SHORT),
        timeout=600,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    folders = [shared_project / "multirun/sweep" / str(number) for number in range(4)]
    assert [manifest(folder)["status"] for folder in folders] == ["finished"] * 4
    assert (shared_project / "multirun/sweep/multirun.yaml").read_text().startswith("hydra:")
    assert "kl" in metrics(folders[3])[-2] and "kl" not in metrics(folders[0])[-2]
    alone = shared_project / "multirun/sweep/1"  # beta=0, num_generations=8: the defaults
    assert metrics(alone) == metrics(short_run)


@pytest.mark.long
def test_a_failed_point_does_not_stop_the_others(project):
    (project / "rewards/picky.py").write_text(
        "version = 1\n\n\ndef score(completions, *, fail):\n"
        "    return [1 / (1 - fail * ('= ' in text)) for text in completions]\n"
    )
    (project / "conf/reward/picky.yaml").write_text("terms: {picky: {file: rewards/picky.py, params: {fail: 0}}}\n")
    sweep = ("-m", "hydra.sweep.dir=multirun/s", "hydra.sweep.subdir=${hydra.job.num}")
    sweep += ("reward=format+picky", "reward.terms.picky.params.fail=1,0")
    done = rlexp(project, *sweep, *SHORT, timeout=600)
    assert done.returncode == 1
    assert "ZeroDivisionError" in done.stdout and "finished" in done.stdout
    assert [manifest(project / "multirun/s" / n)["status"] for n in "01"] == ["failed", "finished"]


@pytest.mark.long
@pytest.mark.parametrize("method", ["dpo", pytest.param("orpo", marks=pytest.mark.long)])
def test_preference_methods_raise_the_margin(shared_project, method):
    where = f"outputs/{method}"
    short = ("held_out.rows=64", "preflight.smoke=never")
    folder, _ = train(shared_project, where, f"method={method}", "dataset=arithmetic_preferences", *short)
    margin = manifest(folder)["held_out"]["rewards/margins"]
    assert margin["after"] > margin["before"]
    assert not (folder / "adapter/ref").exists()  # the reference is the adapter switched off, no copy of it


@pytest.mark.parametrize(
    ("method", "dataset"), [("rloo", "arithmetic"), ("sft", "arithmetic_demonstrations"), ("kto", "arithmetic_judged")]
)
def test_the_other_methods_train(shared_project, method, dataset):
    folder, _ = train(shared_project, f"outputs/{method}", f"method={method}", f"dataset={dataset}", *SHORT)
    assert manifest(folder)["status"] == "finished"


def test_every_weight_can_be_trained(shared_project):
    full = ("model.full_finetuning=true", "method.learning_rate=1e-3")
    folder, _ = train(shared_project, "outputs/full", *full, *SHORT)
    assert (folder / "model/model.safetensors").is_file()
    assert "reward" in manifest(folder)["held_out"]


def test_a_reward_that_raises_while_training_ends_in_one_message_and_a_failed_record(project):
    reward = project / "rewards/correct.py"
    planted = "    if any(f' + {n}' in completion for n in (3, 4)):\n        raise ValueError('planted')\n"
    reward.write_text(reward.read_text().replace("    found = ANSWER", f"{planted}    found = ANSWER"))
    folder, said = train(project, "outputs/raises", *SHORT, expect=2)
    assert "the reward correct raised ValueError: planted" in said and "scores failed so far, 5% may" in said
    assert "rewards/correct.py" in said and "Traceback" not in said
    assert manifest(folder)["status"] == "failed"
    failures = [json.loads(line) for line in (folder / "reward_failures.jsonl").read_text().splitlines()]
    assert failures and all(" + " in failure["completion"] for failure in failures)


@pytest.mark.long
def test_the_other_combinations_train_and_weights_are_swept(shared_project):
    gated = ("reward=format+correct+length", "reward.combine=gate", "reward.terms.correct.weight=1,2")
    done = rlexp(
        shared_project,
        "-m",
        "hydra.sweep.dir=multirun/gate",
        "hydra.sweep.subdir=${hydra.job.num}",
        *gated,
        *SHORT,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    folder = shared_project / "multirun/gate/1"
    kept = pq.read_table(folder / "completions/step-000001.parquet").to_pylist()
    for row in kept:
        behind = 2 * row["correct"] + row["length"] if row["format"] >= 1 else 0
        assert row["reward"] == pytest.approx(row["format"] + behind)
    mean = sum(row["reward"] for row in kept) / 64
    first = metrics(folder)[0]
    assert first["reward"] == pytest.approx(mean, abs=1e-5) == first["rewards/gated/mean"]
    normalized, _ = train(shared_project, "outputs/normalize", "reward.combine=normalize", *SHORT)
    assert manifest(normalized)["status"] == "finished"


@pytest.mark.long
def test_a_killed_run_keeps_its_record(shared_project):
    where = shared_project / "outputs/terminated"
    command = [sys.executable, "-m", "rlexp", "hydra.run.dir=outputs/terminated", "method.max_steps=1000"]
    command.append("preflight.smoke=never")
    process = subprocess.Popen(command, cwd=shared_project, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    deadline = time.monotonic() + 120
    while not (where / "metrics.jsonl").exists() and time.monotonic() < deadline:
        time.sleep(0.2)
    process.send_signal(signal.SIGTERM)
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 143, said
    assert "Traceback" not in said
    assert manifest(where)["status"] == "interrupted"
    assert (where / "run.lock.yaml").is_file()


@pytest.mark.long
def test_an_input_that_changes_during_a_run_is_reported(project):
    where = project / "outputs/edited"
    command = [sys.executable, "-m", "rlexp", "hydra.run.dir=outputs/edited", "method.max_steps=8", *SHORT[1:]]
    process = subprocess.Popen(command, cwd=project, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    deadline = time.monotonic() + 120
    while not (where / "metrics.jsonl").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    reward = project / "rewards/format.py"
    reward.write_text(reward.read_text() + "\n# edited\n")
    said, _ = process.communicate(timeout=120)
    assert process.returncode == 0, said
    assert manifest(where)["inputs_changed"] == ["rewards"]
    assert "rewards changed while the run went on" in said


def test_stored_completions_are_scored_again_and_changes_are_named(short_run, project):
    shutil.copytree(short_run, project / "outputs/short")
    same = rlexp(project, "score", "completions=outputs/short")
    assert same.returncode == 0, same.stderr
    assert "256 completions" in same.stdout and "as locked" in same.stdout
    reward = project / "rewards/format.py"
    reward.write_text(reward.read_text().replace("0.5 * structured", "0.25 * structured"))
    done = rlexp(project, "score", "completions=outputs/short", "against=outputs/short")
    assert done.returncode == 0, done.stderr
    row = next(line.split() for line in done.stdout.splitlines() if line.startswith("format "))
    whole = sum(
        score >= 1
        for path in (project / "outputs/short/completions").glob("*.parquet")
        for score in pq.read_table(path)["format"].to_pylist()
    )
    assert int(row[1]) >= whole > 0 and row[2] == "0", "every well-formed completion scores less, none more"
    assert "v2 " in done.stdout and "format 1.0 -> 0.75" in done.stdout
    absent = rlexp(project, "score", "completions=outputs/short", "against=nosuchref")
    assert absent.returncode == 2 and "nosuchref" in absent.stderr


def test_stored_completions_are_inspected_at_once_and_the_group_statistics_are_the_trainers(short_run, shared_project):
    script = "import sys; from rlexp.__main__ import main\ntry: main()\nfinally: assert 'torch' not in sys.modules"
    command = [sys.executable, "-c", script, "inspect", "outputs/short", "step=last", "sort=worst", "--json"]
    done = subprocess.run(command, cwd=shared_project, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    logged = metrics(short_run)[3]
    assert said["summary"]["means"]["reward"] == pytest.approx(logged["reward"], abs=1e-5)
    assert said["summary"]["equal"] == pytest.approx(logged["frac_reward_zero_std"])
    assert said["summary"]["tokens"] == pytest.approx(logged["completions/mean_length"])
    assert said["summary"]["cut"] == pytest.approx(logged["completions/clipped_ratio"])
    worst = said["groups"][0]["samples"]
    assert worst[0]["reward"] <= worst[-1]["reward"] and "<answer>" in worst[0]["reasons"]["correct"]


def test_a_trained_run_is_inspected_and_says_what_it_said_at_its_end(short_run, shared_project):
    words = ("outputs/short", "split=test", "rows=16", "generations=1", "--json")
    done = rlexp(shared_project, "inspect", *words)
    assert done.returncode == 0, done.stderr
    said = [group["samples"][0]["text"] for group in json.loads(done.stdout)["groups"]]
    assert said == [row["after"] for row in json.loads((short_run / "held_out.json").read_text())]


@pytest.mark.long
def test_a_base_model_is_inspected_as_it_sees_and_says(shared_project):
    before = files(shared_project)
    done = rlexp(shared_project, "inspect", "model=tiny", "rows=2", "where=reward<2")
    assert done.returncode == 0, done.stderr
    assert "<|im_start|>user\\n\n" in done.stdout and "<|im_end|>[EOS]" in done.stdout
    assert "16 completions of 2 prompts" in done.stdout and "wanted" in done.stdout
    assert "a prompt ends with '<|im_start|>assistant\\n'" in " ".join(done.stdout.split())
    assert {name for name in files(shared_project) - before if not name.startswith("data/")} == set()
