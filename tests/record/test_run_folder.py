"""The run folder's record."""

import json
import os
import subprocess
import sys
import time

import pytest

from rlexp.compare import sweep
from rlexp.errors import RunError, Stopped
from rlexp.record.run_folder import Record, choices, main_metric, read_manifest, update_manifest


def status(folder):
    return json.loads((folder / "manifest.json").read_text())


@pytest.mark.parametrize(
    ("error", "expected", "reason"),
    [
        (RunError("no such thing", "a key", hint="type x"), "failed", "no such thing"),
        (RunError("one\n  also: \x1b[2Jtwo"), "failed", "one also: [2Jtwo"),
        (Stopped("[health.truncated] cut"), "stopped", "[health.truncated] cut"),
        (ValueError("boom"), "failed", "ValueError: boom"),
        (KeyboardInterrupt(), "interrupted", "stopped by a signal"),
    ],
)
def test_the_manifest_says_how_a_run_ended(tmp_path, error, expected, reason):
    with pytest.raises(type(error)), Record(tmp_path / "run", tmp_path, "id", []) as record:
        assert status(record.run_dir)["status"] == "running"
        raise error
    assert status(tmp_path / "run")["status"] == expected
    assert status(tmp_path / "run")["reason"] == reason


def test_uncommitted_changes_are_kept_as_a_patch(tmp_path):
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b"]
    (tmp_path / "src").mkdir()
    (tmp_path / "src/code.py").write_text("one\n")
    for command in (["init", "-q"], ["add", "."], ["commit", "-qm", "first"]):
        subprocess.run([*git, *command], check=True)
    (tmp_path / "src/code.py").write_text("two\n")
    (tmp_path / "src/new file.py").write_text("three\n")
    with Record(tmp_path / "run", tmp_path, "id", []):
        pass
    assert status(tmp_path / "run")["git"]["dirty"]
    patch = (tmp_path / "run" / "code.patch").read_text()
    assert "+two" in patch and "+three" in patch
    staged = subprocess.run([*git, "diff", "--cached", "--name-only"], capture_output=True, text=True, check=True)
    assert staged.stdout == "", "the user's own index was touched"


def test_a_sweep_with_a_failed_point_says_so_and_counts_as_failed(tmp_path, capsys):
    for name, overrides, error in (("0", ["seed=0", "a=1"], None), ("1", ["seed=0", "a=2"], RunError("broken"))):
        try:
            with Record(tmp_path / name, tmp_path, "id", overrides):
                if error:
                    raise error
        except RunError:
            pass
    points = sweep.read(tmp_path)
    sweep.show(tmp_path, points)
    assert [point.finished for point in points] == [True, False]
    said = capsys.readouterr().out
    assert "a=2" in said and "failed: broken" in said and "seed=0" not in said


def test_a_manifest_is_read_or_missing_or_refused(tmp_path):
    assert read_manifest(tmp_path) is None
    for text, what in (("{", "cannot be read"), ("[]", "is not one of rlexp's"), ("{}", "has no status")):
        (tmp_path / "manifest.json").write_text(text)
        with pytest.raises(RunError, match=what):
            read_manifest(tmp_path)
    (tmp_path / "manifest.json").write_text('{"status": "finished"}')
    assert read_manifest(tmp_path) == {"status": "finished"}
    update_manifest(tmp_path, b=2)
    assert status(tmp_path) == {"status": "finished", "b": 2}


@pytest.mark.parametrize(
    ("rows", "main"),
    [
        ({"loss": {"after": 1}, "reward": {"after": 2}}, ("reward", {"after": 2})),
        ({"loss": {"after": 1}, "rewards/margins": {"after": 3}}, ("rewards/margins", {"after": 3})),
        ({"loss": {"after": 1}}, ("loss", {"after": 1})),
        ({"other": {"after": 1}}, None),
        ({}, None),
        (None, None),
    ],
)
def test_one_metric_stands_for_a_run(rows, main):
    assert main_metric({"held_out": rows}) == main and main_metric({}) is None


def test_a_finished_record_has_its_outputs_by_hash_its_times_and_its_machine(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["/somewhere/rlexp", "seed=1"])
    with Record(tmp_path / "run", tmp_path, "id", ["seed=1"]) as record:
        (record.run_dir / "adapter").mkdir()
        (record.run_dir / "adapter/a.bin").write_text("x")
        (record.run_dir / "metrics.jsonl").write_text("")
        record.mark("loaded")
        assert list(status(record.run_dir)["timings_s"]) == [] and status(record.run_dir)["choices"] == {}
    left = status(tmp_path / "run")
    assert (left["status"], left["identity"], left["overrides"]) == ("finished", "id", ["seed=1"])
    assert left["argv"] == ["rlexp", "seed=1"] and left["pid"] == os.getpid()
    assert left["outputs"] == {
        "metrics.jsonl": "d41d8cd98f00b204e9800998ecf8427e",
        "adapter/a.bin": "9dd4e461268c8034f5c8564e155c67a6",
    }
    assert list(left["timings_s"]) == ["loaded", "total"] and 0 <= left["timings_s"]["loaded"] < 60
    assert left["machine"]["python"] and left["ended"] >= left["started"]
    assert left["started_unix"] == pytest.approx(time.time(), abs=60)
    assert "reason" not in left and not (tmp_path / "run/code.patch").exists()


def test_a_lock_is_written_with_copies_of_the_rewards_it_names(tmp_path):
    (tmp_path / "rewards").mkdir()
    (tmp_path / "rewards/a.py").write_text("version = 1\n\n\ndef score(completions):\n    return []\n")
    record = Record(tmp_path / "run", tmp_path, "id", [])
    record.write_lock({"z": "ä" * 100, "a": [1]}, {"rewards/a.py": tmp_path / "rewards/a.py"})
    text = (tmp_path / "run/run.lock.yaml").read_text()
    assert text == f"z: {'ä' * 100}\na:\n- 1\n"
    assert (tmp_path / "run/sources/rewards/a.py").read_text() == (tmp_path / "rewards/a.py").read_text()


def test_a_run_is_called_by_its_choices(composed):
    assert choices(composed("reward=length+format").config()) == {
        **{"method": "grpo", "model": "tiny", "dataset": "arithmetic", "reward": "format+length"}
    }
