"""A run folder as the list shows it, on folders made by hand."""

import os
import platform
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta

import psutil
import pytest

from rlexp.record import status
from rlexp.record.listed import MISSING, read, reward_names, to_json
from rlexp.record.run_folder import MANIFEST, Record
from rlexp.record.select import select
from tests.record.made import locked, write

DPO = ("method=dpo", "dataset=arithmetic_preferences")


def test_a_run_says_what_was_typed_beyond_the_columns(runs):
    first = next(run for run in runs if run.folder.endswith("first"))
    assert set(to_json(first)["reward_md5s"]) == {"correct", "format"}
    assert {name: value for name, value in to_json(first).items() if name != "reward_md5s"} == {
        "folder": "outputs/day1/first",
        "started": "2026-11-01T12:00:00+00:00",
        "status": "finished",
        "method": "grpo",
        "model": "tiny",
        "dataset": "arithmetic",
        "reward": "correct+format",
        "typed": ["method.beta=0.04", "seed=1"],
        "metric": {"name": "reward", "before": 0.5, "after": 1.5},
        "duration": 12.0,
        "identity": None,
    }


def test_what_an_older_manifest_lacks_comes_from_the_lock(composed, tmp_path):
    write(tmp_path / "run", locked(composed(*DPO), *DPO), choices={})
    assert read(tmp_path / "run", tmp_path).names["method"] == "dpo"


GONE = subprocess.Popen([sys.executable, "-c", ""])
GONE.wait()


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({"pid": os.getpid(), "host": platform.node(), "started_unix": time.time()}, "running"),
        ({"pid": GONE.pid, "host": platform.node()}, "killed"),
        ({"pid": GONE.pid, "host": "elsewhere"}, "running"),
        ({"pid": GONE.pid}, "running"),  # older, or a copy: whose process that was is not known
        ({"pid": os.getpid(), "host": platform.node(), "started_unix": 1.0}, "killed"),  # the number is another's now
    ],
)
def test_a_run_whose_process_is_gone_was_killed(tmp_path, facts, expected):
    write(tmp_path / "run", status="running", **facts)
    assert read(tmp_path / "run", tmp_path).status == expected


def test_a_record_says_its_host_and_its_choices_before_it_is_locked(composed, tmp_path):
    with Record(tmp_path / "run", tmp_path, "id", [], composed().config()):
        run = read(tmp_path / "run", tmp_path)
        assert (run.status, run.names["reward"], run.manifest["host"]) == ("running", "correct+format", platform.node())


@pytest.mark.parametrize("text", ["{", "", "[]", "{}", "\udcff", '{"status": "finished", "held_out": {"reward": 1}}'])
def test_an_unreadable_manifest_does_not_break_the_list(tmp_path, text):
    write(tmp_path / "run")
    (tmp_path / "run" / MANIFEST).write_bytes(text.encode(errors="surrogateescape"))
    run = read(tmp_path / "run", tmp_path)
    assert run.status == "unreadable" and run.reason
    assert to_json(run)["folder"] == "run"
    assert select([run], [], None, False, None) == [run]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *(("method", "dpo"), ("reward", "correct+format"), ("folder", "multirun/day1/0"), ("status", "finished")),
        *(("typed", MISSING), ("metric", 2.5), ("duration", 12.0), ("hardware", "cpu"), ("method.beta", 0.1)),
        *(("held_out.rows", 128), ("nowhere", MISSING), ("method.nowhere", MISSING), ("seed.nowhere", MISSING)),
    ],
)
def test_a_run_answers_for_its_columns_and_for_the_keys_of_its_lock(runs, key, value):
    (run,) = [run for run in runs if run.folder.endswith("/0")]
    assert run.value(key) == value


def test_a_column_without_a_value_is_missing(tmp_path):
    write(tmp_path / "run", held_out={"reward": {"before": 0.1, "after": float("nan")}}, timings_s={}, choices={})
    run = read(tmp_path / "run", tmp_path)
    assert run.value("metric") is MISSING and run.value("duration") is MISSING
    assert run.value("method") is MISSING and run.value("seed") is MISSING
    assert (run.config, run.names) == ({}, {})


def test_a_run_that_goes_on_has_taken_the_time_since_it_began(tmp_path):
    began = datetime.now(UTC) - timedelta(hours=1)
    write(tmp_path / "run", status="running", started=began.isoformat(), timings_s={})
    assert read(tmp_path / "run", tmp_path).duration == pytest.approx(3600, abs=60)
    write(tmp_path / "other", status="failed", started=None, timings_s={})
    other = read(tmp_path / "other", tmp_path)
    assert (other.started, other.duration) == (None, None)


@pytest.mark.parametrize("text", ["{", "[]", "config: 1", "a: 1"])
def test_a_lock_that_cannot_be_read_is_none_to_the_list(tmp_path, text):
    write(tmp_path / "run")
    (tmp_path / "run/run.lock.yaml").write_text(text)
    assert read(tmp_path / "run", tmp_path).config == {}


def test_a_run_of_another_verb_says_which(tmp_path):
    write(tmp_path / "run", verb="smoke", overrides=["seed=1", "method=dpo", "+x.y=1"], reason="why")
    run = read(tmp_path / "run", tmp_path)
    assert run.typed == ["smoke", "seed=1", "+x.y=1"]
    assert to_json(run)["reason"] == "why" and to_json(run)["metric"]["name"] == "reward"


def test_when_a_process_began_is_what_the_system_says_or_long_ago(monkeypatch):
    assert time.time() - 3600 * 24 < status._began(os.getpid()) <= time.time()
    assert status._began(os.getpid()) == pytest.approx(psutil.Process().create_time(), abs=1.5)
    assert status._began(GONE.pid) == 0.0
    monkeypatch.setattr(os, "sysconf", lambda name: 1)  # ticks of a second: it began after now
    assert status._began(os.getpid()) == 0.0


def test_runs_with_other_reward_code_under_one_name_never_look_the_same(composed, tmp_path):
    runs = []
    for number, (md5s, kept) in enumerate(
        (({"correct": "a" * 32, "format": "c" * 32}, True), ({"correct": "b" * 32, "format": "c" * 32}, False))
    ):
        content = locked(composed())
        for name, md5 in md5s.items():
            content["inputs"]["rewards"][name]["md5"] = md5
        write(tmp_path / str(number), content, **({"reward_md5s": md5s} if kept else {}))
        runs.append(read(tmp_path / str(number), tmp_path))
    assert reward_names(runs) == {"0": "correct@aaaaaaa+format", "1": "correct@bbbbbbb+format"}
    assert reward_names(runs[:1]) == {"0": "correct+format"}
    assert to_json(runs[1])["reward_md5s"]["correct"] == "b" * 32
