"""The attempts of a run, and the claim on one that goes on."""

from __future__ import annotations

import json
import multiprocessing
import platform

import pytest

from rlexp.errors import Interrupted, RunError
from rlexp.record import claim
from rlexp.record.claim import CLAIMS, MANIFEST
from rlexp.record.run_folder import Record, read_manifest


def attempt(folder, error=None, from_step=0):
    with claim.going_on(folder, "run") if (folder / MANIFEST).is_file() else claim.held(folder, MANIFEST, "run", "k"):
        try:
            with Record(folder, folder.parent, "id", [], from_step=from_step) as record:
                record.content["steps"] = {"done": from_step + 3, "asked": 9}
                if error:
                    raise error
        except type(error or ValueError()):
            pass
    return read_manifest(folder)


def test_each_start_is_an_attempt_and_started_stays_that_of_the_first(tmp_path):
    first = attempt(tmp_path / "run", Interrupted(15, "after 3 of 9 steps"))
    assert first["status"] == "interrupted" and first["reason"] == "stopped by SIGTERM after 3 of 9 steps"
    first["started"] = first["attempts"][0]["started"] = "2026-01-01T00:00:00+00:00"
    (tmp_path / "run" / MANIFEST).write_text(json.dumps(first))
    second = attempt(tmp_path / "run", from_step=3)
    assert [one["status"] for one in second["attempts"]] == ["interrupted", "finished"]
    assert [one["from_step"] for one in second["attempts"]] == [0, 3]
    assert second["started"] == "2026-01-01T00:00:00+00:00" < second["attempts"][1]["started"]
    assert second["status"] == "finished" and "reason" not in second


def test_an_attempt_that_was_killed_says_so(tmp_path):
    first = attempt(tmp_path / "run")
    gone = multiprocessing.get_context("spawn").Process()
    gone.start(), gone.join()
    first |= {"status": "running", "pid": gone.pid, "process_began": 1, "host": platform.node()}
    first["attempts"][-1] = {"started": first["started"], "status": "running", "from_step": 0}
    (tmp_path / "run" / MANIFEST).write_text(json.dumps(first))
    second = attempt(tmp_path / "run")
    assert second["attempts"][0]["status"] == "killed" and second["attempts"][0]["reason"]


def test_one_of_two_that_go_on_at_once_gets_the_run(tmp_path):
    attempt(tmp_path / "run")
    ours = claim.going_on(tmp_path / "run", "run")
    with ours, pytest.raises(RunError, match="another process goes on"), claim.going_on(tmp_path / "run", "run"):
        raise AssertionError
    with claim.going_on(tmp_path / "run", "run"):
        pass
    assert not (tmp_path / "run" / CLAIMS).exists()


def test_a_claim_whose_process_is_gone_counts_no_more(tmp_path):
    attempt(tmp_path / "run")
    (tmp_path / "run" / CLAIMS).mkdir()
    note = {"status": "running", "host": platform.node(), "pid": 2**22 + 1, "process_began": 1}
    (tmp_path / "run" / CLAIMS / "1").write_text(json.dumps(note))
    with claim.going_on(tmp_path / "run", "run"):
        assert sorted(path.name for path in (tmp_path / "run" / CLAIMS).iterdir()) == ["1", "2"]
    assert not (tmp_path / "run" / CLAIMS).exists()


def test_a_run_that_ended_without_an_error_is_finished_only_where_nothing_else_was_said(tmp_path):
    with Record(tmp_path / "run", tmp_path, "id", []) as record:
        record.end("interrupted", "max_minutes=1 were over after 3 of 9 steps")
    said = read_manifest(tmp_path / "run")
    assert (said["status"], said["reason"]) == ("interrupted", "max_minutes=1 were over after 3 of 9 steps")
    assert said["attempts"][-1]["status"] == "interrupted"
