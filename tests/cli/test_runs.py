"""The list of runs, on run folders made by hand."""

import functools
import json
import os
import platform
import subprocess
import sys
import time

import pytest

from rlexp.errors import RunError
from rlexp.record.finished import run_folders
from rlexp.record.listed import read, to_json
from rlexp.record.run_folder import MANIFEST, Record
from rlexp.record.select import parse, select
from tests.conftest import rlexp
from tests.record.made import locked, write

DPO = ("method=dpo", "dataset=arithmetic_preferences")


def held_out(after, name="reward"):
    return {name: {"before": 0.5, "after": after}}


@pytest.fixture(scope="module")
def composed(composed):
    """Composes each run once: that is what takes long here."""
    return functools.cache(composed)


@pytest.fixture
def runs(composed, tmp_path):
    """Four runs: two grpo, one dpo without rewards/margins, one that failed before it was locked."""
    made = {
        "outputs/day1/first": (("method.beta=0.04", "seed=1"), {"held_out": held_out(1.5)}, 1),
        "outputs/day2/second": (("reward=format",), {"held_out": held_out(0.9), "timings_s": {"total": 99}}, 2),
        "multirun/day1/0": (DPO, {"held_out": held_out(2.5, "rewards/margins")}, 3),
    }
    for folder, (overrides, facts, day) in made.items():
        lock = locked(composed(*overrides), *overrides)
        write(tmp_path / folder, lock, started=f"2026-11-0{day}T12:00:00+00:00", **facts)
    write(
        tmp_path / "outputs/day2/failed",
        **{"status": "failed", "reason": "no memory\nat all", "started": "2026-11-04T12:00:00+00:00"},
        **{"held_out": {}, "timings_s": {}, "choices": {"method": "grpo", "model": "tiny"}},
    )
    return [read(folder, tmp_path) for folder in run_folders(tmp_path)]


def chosen(runs, *filters, sort=None, reverse=False, limit=None):
    kept = select(runs, [parse(text) for text in filters], sort, reverse, limit)
    return [run.folder.rpartition("/")[2] for run in kept]


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ([], ["failed", "0", "second", "first"]),
        (["status=finished"], ["0", "second", "first"]),
        (["status!=finished"], ["failed"]),
        (["method=grpo"], ["failed", "second", "first"]),
        (["method=grpo", "status=finished"], ["second", "first"]),
        (["model=tiny", "dataset=arithmetic_preferences"], ["0"]),
        (["reward=format+correct"], ["0", "first"]),  # the terms in any order
        (["method.beta=0.04"], ["first"]),
        (["method.beta=4e-2"], ["first"]),
        (["method.beta>0.04"], ["0"]),
        (["seed=1"], ["first"]),
        (["held_out.rows>=128"], ["0", "second", "first"]),
        (["hardware=cpu"], ["0", "second", "first"]),
        (["model.full_finetuning=false"], ["0", "second", "first"]),
        (["method.epsilon_high=null"], ["second", "first"]),
        (["method.num_generations=8"], ["second", "first"]),  # dpo has no such argument
        (["metric>1.4"], ["0", "first"]),
        (["metric<=0.9"], ["second"]),
        (["duration<60"], ["0", "first"]),
        (["started>=2026-11-03"], ["failed", "0"]),
        (["day2"], ["failed", "second"]),
        (["multirun", "method=grpo"], []),
    ],
)
def test_filters_keep_the_runs_that_meet_all_of_them(runs, filters, expected):
    assert chosen(runs, *filters) == expected


@pytest.mark.parametrize(
    ("sort", "reverse", "limit", "expected"),
    [
        (None, False, 2, ["failed", "0"]),
        (None, True, 2, ["first", "second"]),
        ("started", False, None, ["first", "second", "0", "failed"]),
        ("metric", False, None, ["second", "first", "0", "failed"]),
        ("metric", True, None, ["0", "first", "second", "failed"]),  # without one: last either way
        ("method.beta", True, 1, ["0"]),
        ("folder", False, 1, ["0"]),
    ],
)
def test_sorting_is_smallest_first_and_by_default_newest_first(runs, sort, reverse, limit, expected):
    assert chosen(runs, sort=sort, reverse=reverse, limit=limit) == expected


@pytest.mark.parametrize(
    ("filters", "sort", "what", "hint"),
    [
        (["methd=grpo"], None, "no run has a key 'methd'", "did you mean method?"),
        (["method.bta=1"], None, "no run has a key 'method.bta'", "did you mean method.beta?"),
        ([], "metrik", "no run has a key 'metrik'", "did you mean metric?"),
        (["metric>good"], None, "'good' is no number", None),
        (["started>yesterday"], None, "'yesterday' is no date", None),
        (["method>1"], None, "> compares numbers", "type method="),
        (["model.lora=8"], None, "model.lora is a group", "model.lora.r"),
    ],
)
def test_a_filter_that_cannot_be_is_a_mistake(runs, filters, sort, what, hint):
    with pytest.raises(RunError) as raised:
        chosen(runs, *filters, sort=sort)
    assert what in raised.value.what
    assert hint is None or hint in raised.value.hint


def test_a_run_says_what_was_typed_beyond_the_columns(runs):
    first = next(run for run in runs if run.folder.endswith("first"))
    assert to_json(first) == {
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


def test_a_list_reads_no_lock_until_a_key_of_the_config_is_asked_for(runs):
    assert chosen(runs, "method=grpo", "metric>0") == ["second", "first"]
    assert not any("config" in vars(run) for run in runs)


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


def test_the_command_line_lists_runs(project, composed):
    assert "no run yet" in rlexp(project, "runs").stdout
    for name, overrides in (("a", ["method.beta=0.5", "+method.optim_target_modules=[x]"]), ("b", [])):
        write(project / "outputs" / name, locked(composed(*overrides), *overrides))
    (project / "outputs/broken").mkdir()
    (project / "outputs/broken/manifest.json").write_text("{")
    done = rlexp(project, "runs", "--sort", "folder")
    assert done.returncode == 0, done.stderr
    said = done.stdout.splitlines()
    assert said[0].split()[:3] == ["folder", "started", "status"]
    assert "outputs/a" in said[1] and "beta=0.5" in said[1] and "[x]" in said[1] and "0.800 -> 1.600" in said[1]
    assert "outputs/b" in said[2] and "unreadable" in said[3] and said[-1] == "3 runs"
    done = rlexp(project, "runs", "method.beta<1", "--limit", "1", "status=finished", "--json")
    assert len(json.loads(done.stdout)) == 1, done.stderr
    assert "none of 3 runs matches: nowhere" in rlexp(project, "runs", "nowhere").stdout
    done = rlexp(project, "runs", "methd=grpo")
    assert done.returncode == 2 and "did you mean method?" in done.stderr
