"""One way to open a run: by folder, lock or name, and what can be read of it."""

from __future__ import annotations

import os

import numpy
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from safetensors.numpy import save_file

from rlexp.errors import RunError
from rlexp.inputs import trust
from rlexp.inputs.trust import Code
from rlexp.nvidia import Gpu
from rlexp.record import checkpoints, finished, locked_config
from rlexp.record.finished import FinishedRun, run_folders
from rlexp.record.locked_config import on_this_machine
from tests.record.made import locked, write

REWARD = "version = 1\n\n\ndef score(completions):\n    return [1.0 for _ in completions]\n"


@pytest.fixture
def project(tmp_path, composed):
    """A project folder with two runs, the pinned lock and a run that ended before it was locked."""
    lock = locked(composed("hardware=cpu"))
    for folder in ("outputs/day/one", "multirun/day/0", "pinned"):
        write(tmp_path / folder, lock)
    write(tmp_path / "outputs/day/early", status="failed")
    return tmp_path


def opened(project, typed, here="."):
    return finished.open(typed, project / here, project)


@pytest.mark.parametrize(
    ("typed", "here", "folder"),
    [
        ("outputs/day/one", ".", "outputs/day/one"),
        ("outputs/day/one/run.lock.yaml", ".", "outputs/day/one"),  # the lock stands for its folder
        ("pinned", ".", "pinned"),
        ("one", "outputs/day", "outputs/day/one"),  # from where it was typed,
        (".", "outputs/day/one", "outputs/day/one"),
        ("outputs/day/one", "outputs", "outputs/day/one"),  # or from the project folder
    ],
)
def test_a_run_is_opened_by_its_folder_its_lock_or_its_name(project, typed, here, folder):
    run = opened(project, typed, here)
    assert run.run_dir.resolve() == (project / folder).resolve() and run.root == project
    assert run.manifest["status"] == "finished"
    assert run.lock["identity"] and run.lock == yaml.safe_load((project / folder / "run.lock.yaml").read_text())


def test_a_lock_may_stand_alone_and_be_called_as_one_likes(project):
    (project / "elsewhere").mkdir()
    (project / "pinned/run.lock.yaml").rename(project / "elsewhere/mine.yaml")
    run = opened(project, "elsewhere/mine.yaml")
    assert run.run_dir == project / "elsewhere" and run.manifest == {}


@pytest.mark.parametrize(
    ("typed", "hint"),
    [
        ("outputs/day/onne", "did you mean outputs/day/one?"),
        ("multirun/day/1", "did you mean multirun/day/0?"),
        ("zzzz", "python -m rlexp runs lists them"),  # nothing is near: the newest
    ],
)
def test_a_run_that_there_is_not_has_a_nearest(project, typed, hint):
    with pytest.raises(RunError, match=f"there is no run at {typed} ") as caught:
        opened(project, typed)
    assert caught.value.where == typed and hint in caught.value.hint


def test_where_there_is_no_run_yet_one_is_to_be_trained(tmp_path):
    with pytest.raises(RunError, match="there is no run at x") as caught:
        opened(tmp_path, "x")
    assert caught.value.hint == "train one first: python -m rlexp"


@pytest.mark.parametrize(("typed", "here"), [("outputs/day/early", "."), ("early", "outputs/day")])
def test_a_run_that_ended_before_its_lock_is_said_to(project, typed, here):
    with pytest.raises(RunError, match="ended before it was locked") as caught:
        opened(project, typed, here)
    assert "manifest.json says why" in caught.value.hint


def test_a_lock_that_was_changed_or_is_none_is_refused(project):
    lock = project / "pinned/run.lock.yaml"
    lock.write_text(lock.read_text().replace("seed: 0", "seed: 1"))
    with pytest.raises(RunError, match="changed after it was written"):
        opened(project, "pinned")
    lock.write_text("a: 1")
    with pytest.raises(RunError, match="no lock of a run"):
        opened(project, "pinned")


def test_run_folders_are_those_below_outputs_and_multirun(project):
    assert [folder.relative_to(project).as_posix() for folder in run_folders(project)] == [
        *("multirun/day/0", "outputs/day/early", "outputs/day/one")
    ]


def test_the_run_is_the_one_that_was_locked(composed, root, tmp_path):
    run = composed("hardware=cpu", "seed=5")
    made = write(tmp_path / "run", locked(run))
    assert FinishedRun(made.run_dir, made.lock, made.manifest, root).run.config() == run.config()


def test_metrics_are_read_line_by_line_and_may_be_missing(project):
    run = opened(project, "pinned")
    assert run.metrics() == []
    (run.run_dir / "metrics.jsonl").write_text('{"step": 1}\n{"step": 2}\n')
    assert run.metrics() == [{"step": 1}, {"step": 2}]


def test_rewards_are_the_copies_that_the_run_kept(project):
    run = opened(project, "outputs/day/one")
    for term in run.lock["config"]["reward"]["terms"].values():
        copy = run.run_dir / "sources" / term["file"]
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text(REWARD)
    with pytest.raises(RunError, match="nobody said yes"):
        run.reward_sources()
    trust.remember([Code(run.run_dir / "sources/rewards/format.py")])
    sources = run.reward_sources()
    assert sorted(sources) == ["correct", "format"]
    assert sources["format"].path == run.run_dir / "sources/rewards/format.py"
    (run.run_dir / "sources/rewards/format.py").unlink()
    with pytest.raises(RunError, match="no reward file"):
        run.reward_sources()


def test_completions_are_those_of_the_steps_that_were_stored(project):
    run = opened(project, "outputs/day/one")
    assert run.completion_steps() == []
    (run.run_dir / "completions").mkdir()
    for step in (2, 1):
        table = pa.table({"completion": [f"{step}a", f"{step}b"], "group": [0, 1]})
        pq.write_table(table, run.run_dir / f"completions/step-{step:06d}.parquet")
    assert run.completion_steps() == [1, 2]
    assert run.completions([2, 1])["completion"] == ["2a", "2b", "1a", "1b"]


def test_the_inputs_are_asked_for_by_the_lock_the_run_and_its_own_sources(project, monkeypatch, composed):
    asked = []
    monkeypatch.setattr(finished.locked, "find", lambda *given: asked.append(given) or ("inputs", ["note"]))
    run, other = opened(project, "outputs/day/one"), composed("seed=9")
    assert run.inputs(other) == ("inputs", ["note"])
    run.inputs(other, make=False)
    given = (run.lock, other, project, run.run_dir / "sources")
    assert asked == [(*given, True), (*given, False)]


# --- weights ---------------------------------------------------------------------------------------------------------


def weights(folder):
    """A folder of weights with one number in it, as PEFT and transformers leave it."""
    folder.mkdir(parents=True)
    save_file({"a": numpy.zeros(4, numpy.float32)}, folder / "adapter_model.safetensors")
    for name in ("adapter_config.json", "trainer_state.json"):
        (folder / name).write_text("{}")


@pytest.fixture
def run(project):
    found = opened(project, "outputs/day/one")
    for step in (20, 100, 9):
        weights(found.run_dir / f"checkpoints/checkpoint-{step}")
    return found


def test_weights_are_what_the_run_left_else_its_latest_checkpoint(run):
    assert run.weights() == run.run_dir / "checkpoints/checkpoint-100"
    weights(run.run_dir / "model")
    assert run.weights() == run.run_dir / "model"
    weights(run.run_dir / "adapter")
    assert run.weights() == run.run_dir / "adapter"
    assert run.weights(20) == run.run_dir / "checkpoints/checkpoint-20"


DAMAGES = {
    "no weights": lambda folder: (folder / "adapter_model.safetensors").unlink(),
    "cut weights": lambda folder: os.truncate(folder / "adapter_model.safetensors", 60),
    "no head": lambda folder: (folder / "adapter_model.safetensors").write_bytes(b"\0" * 200),
    "no config": lambda folder: (folder / "adapter_config.json").unlink(),
    "no state": lambda folder: (folder / "trainer_state.json").unlink(),
    "cut state": lambda folder: (folder / "trainer_state.json").write_text('{"step": '),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_checkpoint_that_is_not_whole_is_passed_over_and_named(run, damage):
    damage(run.run_dir / "checkpoints/checkpoint-100")
    assert run.weights() == run.run_dir / "checkpoints/checkpoint-20"
    assert list(run.broken_weights()) == ["checkpoint-100"]
    with pytest.raises(RunError, match="checkpoint of step 100 is not whole") as caught:
        run.weights(100)
    assert caught.value.hint == "type checkpoint=20"
    assert checkpoints.remove_broken(run.run_dir) == ["checkpoint-100"]
    assert list(checkpoints.of(run.run_dir)) == [9, 20] and not run.broken_weights()


def test_an_adapter_that_is_not_whole_is_passed_over(run):
    weights(run.run_dir / "adapter")
    DAMAGES["cut weights"](run.run_dir / "adapter")
    assert run.weights() == run.run_dir / "checkpoints/checkpoint-100"


@pytest.mark.parametrize(("text", "line"), [(b'{"step": 1}\n{"st', 2), (b"[]\n", 1), (b'{"step": 1}\n\xff\n', None)])
def test_metrics_that_are_damaged_are_named(project, text, line):
    run = opened(project, "outputs/day/one")
    (run.run_dir / "metrics.jsonl").write_bytes(text)
    with pytest.raises(RunError, match=r"metrics\.jsonl") as caught:
        run.metrics()
    assert caught.value.where.endswith(f"metrics.jsonl:{line}" if line else "metrics.jsonl")


@pytest.mark.parametrize(("step", "near"), [(21, 20), (1000, 100), (1, 9), (0, 9), (14, 9), (15, 20)])
def test_a_checkpoint_that_there_is_not_has_a_nearest(run, step, near):
    with pytest.raises(RunError, match=f"no checkpoint of step {step}") as caught:
        run.weights(step)
    assert (caught.value.where, caught.value.hint) == (f"checkpoint={step}", f"type checkpoint={near}")


def test_a_run_without_weights_says_so(project):
    run = opened(project, "pinned")
    with pytest.raises(RunError, match="left no weights") as caught:
        run.weights()
    assert "manifest.json says how it ended" in caught.value.hint
    with pytest.raises(RunError, match="no checkpoint of step 3") as caught:
        run.weights(3)
    assert "it kept none" in caught.value.hint


# --- the run of a lock, here -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("newer", [("preflight",), ("held_out", "health")])
def test_what_is_newer_than_a_lock_has_its_default(composed, root, newer):
    config = composed("hardware=cpu").config()
    older = {name: value for name, value in config.items() if name not in newer}
    assert locked_config.run_of(older, root, "x").config() == config
    fewer = {**config, "held_out": {"rows": 3}}
    assert locked_config.run_of(fewer, root, "x").held_out.rows == 3


def test_a_config_that_is_none_of_this_version_names_file_and_key(composed, root):
    config = composed("hardware=cpu").config()
    with pytest.raises(RunError, match="no key modle") as caught:
        locked_config.run_of({**config, "modle": {}}, root, "run.lock.yaml")
    assert caught.value.where == "run.lock.yaml: modle"


def test_a_run_of_a_gpu_is_the_same_problem_on_a_machine_without(composed, root, monkeypatch):
    monkeypatch.setattr("rlexp.compose.options.gpus", lambda: ())
    run = composed("hardware=h100", "rollout=unsloth", "model=qwen3_0_6b")
    here = on_this_machine(run, root)
    assert (here.hardware.name, here.rollout.name) == ("cpu", "generate")
    assert here.experiment() == run.experiment() and here.held_out == run.held_out
    cpu = composed("hardware=cpu")
    assert on_this_machine(cpu, root) is cpu


def test_where_there_is_a_gpu_a_run_of_one_is_as_it_was_locked(composed, root, monkeypatch):
    monkeypatch.setattr("rlexp.compose.options.gpus", lambda: (Gpu("NVIDIA H100", 80 * 2**30, 80 * 2**30, "570"),))
    run = composed("hardware=h200")
    assert on_this_machine(run, root) is run
