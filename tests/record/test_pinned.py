"""What may be pinned, and what is kept of it."""

from __future__ import annotations

import dataclasses
import json

import pytest
import yaml

from rlexp.errors import RunError
from rlexp.inputs.digest import file_md5
from rlexp.record import pinned
from tests.record.made import locked, write

REWARD = "version = 1\n\n\ndef score(completions):\n    return [1.0 for _ in completions]\n"


@pytest.fixture
def run(tmp_path, composed):
    """A finished run in a project, whole."""
    content, folder = locked(composed("hardware=cpu", "reward=format")), tmp_path / "outputs/run"
    for root in (tmp_path, folder / "sources"):
        (root / "rewards").mkdir(parents=True)
        (root / "rewards/format.py").write_text(REWARD)
    content["inputs"]["rewards"]["format"]["md5"] = file_md5(tmp_path / "rewards/format.py")
    (folder / "metrics.jsonl").write_text("{}\n")
    for name in ("sources", "metrics.jsonl"):
        (folder / name).rename(tmp_path / name)
    (folder).rmdir()
    made = write(folder, content, outputs={"metrics.jsonl": file_md5(tmp_path / "metrics.jsonl")}, pid=7, host="h")
    for name in ("sources", "metrics.jsonl"):
        (tmp_path / name).rename(folder / name)
    return dataclasses.replace(made, root=tmp_path)


def changed(run, **facts):
    return dataclasses.replace(run, manifest=run.manifest | facts)


def test_a_finished_run_can_be_pinned_and_its_rewards_are_the_copies(run):
    (source,) = pinned.check(run)
    assert source.path == run.run_dir / "sources/rewards/format.py"


@pytest.mark.parametrize(
    ("facts", "what"),
    [
        ({"status": "failed"}, "only a finished run can be pinned; its status is failed"),
        ({"inputs_changed": ["data", "reward a"]}, "data, reward a changed while the run went on"),
        ({"outputs": {"metrics.jsonl": "other"}}, "metrics.jsonl is not what the run left"),
        ({"outputs": {"adapter/x": "gone"}}, "adapter/x is not what the run left"),
    ],
)
def test_a_run_that_cannot_stand_for_the_project_is_refused(run, facts, what):
    with pytest.raises(RunError, match=what):
        pinned.check(changed(run, **facts))


def test_a_lock_alone_or_the_pinned_run_itself_is_none_to_pin(run):
    with pytest.raises(RunError, match=r"it has no manifest.json"):
        pinned.check(dataclasses.replace(run, manifest={}))
    with pytest.raises(RunError, match="the pinned one already"):
        pinned.check(dataclasses.replace(run, run_dir=run.root / "pinned"))


def test_what_is_kept_names_no_output_that_is_not_but_the_weights(run):
    outputs = {**run.manifest["outputs"], "held_out.json": "0" * 32, "completions/a": "0" * 32, "adapter/x": "0" * 32}
    pinned.copy([changed(run, outputs=outputs)], run.root / "pinned")
    kept = json.loads((run.root / "pinned/manifest.json").read_text())["outputs"]
    assert set(kept) == {"metrics.jsonl", "adapter/x"}


def test_a_copy_of_a_reward_that_is_none_is_refused(run):
    copy = run.run_dir / "sources/rewards/format.py"
    copy.write_text(REWARD + "\n")
    with pytest.raises(RunError, match="is not the copy the run made"):
        pinned.check(run)
    copy.unlink()
    with pytest.raises(RunError, match="is not the copy the run made"):
        pinned.check(run)


def test_a_version_that_was_other_code_is_refused(run, monkeypatch):
    monkeypatch.setattr(pinned.reward_versions, "faults", lambda root, rewards: ["format 1 is recorded otherwise"])
    with pytest.raises(RunError, match="bears a version that was other code: format 1"):
        pinned.check(run)


def test_the_record_is_kept_without_what_names_this_machine(run):
    (run.run_dir / "sources/rewards/__pycache__").mkdir()
    (run.run_dir / "code.patch").write_text("diff")
    (run.root / "pinned").mkdir()
    (run.root / "pinned/old").write_text("gone then")
    pinned.copy([run], run.root / "pinned")
    found = {p.relative_to(run.root / "pinned").as_posix() for p in (run.root / "pinned").rglob("*") if p.is_file()}
    assert found == {"run.lock.yaml", "metrics.jsonl", "code.patch", "manifest.json", "sources/rewards/format.py"}
    assert not (run.root / "pinned/sources/rewards/__pycache__").exists()
    kept = json.loads((run.root / "pinned/manifest.json").read_text())
    assert kept == {name: run.manifest[name] for name in pinned.FACTS if name in run.manifest}
    assert "status" in kept and not {"pid", "host"} & kept.keys()


def test_pinning_writes_the_record_the_parameters_and_the_versions(run, monkeypatch):
    seen = []
    monkeypatch.setattr(
        pinned, "write_stages", lambda stages, root, shipping: seen.append((stages, root)) or ["a note"]
    )
    monkeypatch.setattr(pinned, "lock_stages", lambda stages, root, shipping: seen.append(stages))
    assert pinned.pin(run) == ["a note"] and seen == [
        ([(run.lock, run.run_dir / "sources")], run.root),
        [(run.lock, run.manifest["held_out"])],
    ]
    text = (run.root / "params.yaml").read_text()
    assert text.startswith(pinned.PARAMS_HEAD) and yaml.safe_load(text) == run.lock["config"]
    assert (run.root / "pinned/run.lock.yaml").is_file()
    assert "rewards/format.py" in (run.root / "rewards.lock.yaml").read_text()
