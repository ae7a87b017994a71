"""Files and folders that appear whole or not at all, and what a disk refuses."""

from __future__ import annotations

import errno
import os
import sqlite3

import pytest

from rlexp import files


@pytest.mark.parametrize("number", sorted(files.DISK_FAULTS))
def test_a_fault_of_the_disk_is_a_message_with_what_to_do(number):
    fault = files.disk_fault(OSError(number, os.strerror(number), "/somewhere/file"))
    assert os.strerror(number) in fault.what and fault.where == "/somewhere/file" and fault.hint
    said = files.disk_fault(RuntimeError(f"I/O error: {os.strerror(number)} (os error {number})"))
    assert (said is not None) == (number in files.FULL)


def test_any_other_error_is_none_of_the_disk():
    assert files.disk_fault(FileNotFoundError(errno.ENOENT, "No such file")) is None
    assert files.disk_fault(ValueError("no space in this text")) is None


def test_a_file_that_cannot_be_written_leaves_the_old_one_and_nothing_else(tmp_path):
    files.write_text(tmp_path / "a", "old")
    with pytest.raises(OSError, match="full"), files.whole_file(tmp_path / "a") as partial:
        partial.write_text("half")
        raise OSError(errno.ENOSPC, "full")
    assert [path.name for path in tmp_path.iterdir()] == ["a"] and (tmp_path / "a").read_text() == "old"


def test_a_line_is_appended_whole_or_not_at_all(tmp_path):
    import resource
    import signal

    path = tmp_path / "metrics.jsonl"
    files.append(path, "first")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (10, before[1]))
        with pytest.raises(OSError, match="File too large") as caught:
            files.append(path, "second")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert caught.value.errno == errno.EFBIG and path.read_text() == "first\n"


def test_of_two_that_make_a_folder_the_first_wins(tmp_path):
    with files.whole_folder(tmp_path / "a", first_wins=True) as late:
        (late / "x").write_text("late")
        with files.whole_folder(tmp_path / "a", first_wins=True) as early:
            (early / "x").write_text("early")
    assert (tmp_path / "a/x").read_text() == "early" and [path.name for path in tmp_path.iterdir()] == ["a"]
    with pytest.raises(OSError), files.whole_folder(tmp_path / "a"):
        pass


def test_a_disk_that_cannot_be_written_is_said_without_a_number_too():
    nowhere = FileNotFoundError(errno.ENOENT, "No usable temporary directory found in ['/tmp']")
    assert "TMPDIR" in files.disk_fault(nowhere).hint
    locked = files.disk_fault(sqlite3.OperationalError("attempt to write a readonly database"))
    assert "readonly database" in locked.what and "can be written" in locked.hint
