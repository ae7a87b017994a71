"""The run folder's record."""

import json
import subprocess

import pytest

from rlexp.compare.sweep import show
from rlexp.errors import RunError, Stopped
from rlexp.record.run_folder import Record


def status(folder):
    return json.loads((folder / "manifest.json").read_text())


@pytest.mark.parametrize(
    ("error", "expected", "reason"),
    [
        (RunError("no such thing", hint="type x"), "failed", "no such thing"),
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
    assert status(tmp_path / "run")["reason"].startswith(reason)


def test_uncommitted_changes_are_kept_as_a_patch(tmp_path):
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b"]
    (tmp_path / "code.py").write_text("one\n")
    for command in (["init", "-q"], ["add", "."], ["commit", "-qm", "first"]):
        subprocess.run([*git, *command], check=True)
    (tmp_path / "code.py").write_text("two\n")
    (tmp_path / "new file.py").write_text("three\n")
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
    assert show(tmp_path) == 1
    said = capsys.readouterr().out
    assert "a=2" in said and "failed: broken" in said and "seed=0" not in said
