"""The ranks of a run as processes: which of their errors is told, and that none outlives the command. No torch."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from rlexp.backend import ranks
from rlexp.errors import Failed, Interrupted, RunError
from rlexp.train.devices import group as groups
from rlexp.train.devices import launch, tried
from rlexp.train.devices.group import Group, raised
from rlexp.train.devices.rank import Asked
from rlexp.train.job import Job
from rlexp.verdict import Level
from tests.conftest import ROOT


def ran(tmp_path, work, count=2):
    """A group that did the work; each rank is given a job with its number."""
    logs = [tmp_path / f"{number}.log" for number in range(count)]
    group = Group(logs)
    jobs = [SimpleNamespace(number=number, folder=tmp_path) for number in range(count)]
    asked = [
        Asked(number, count, tmp_path / "meeting", work, job, False, time.monotonic(), ["rlexp"])
        for number, job in enumerate(jobs)
    ]
    group.run(asked)
    assert all(rank.process.poll() is not None for rank in group.ranks)
    return group


def test_every_rank_knows_its_place_and_does_the_work(tmp_path):
    def work(job):
        from rlexp.backend import ranks

        names = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE")
        place = (ranks.current().number, ranks.current().count, [os.environ[name] for name in names])
        (job.folder / str(job.number)).write_text(repr(place))

    group = ran(tmp_path, work)
    assert group.cause() is None
    for number in range(2):
        assert (tmp_path / str(number)).read_text() == repr((number, 2, [str(number), str(number), "2", "2"]))


def test_the_error_of_the_rank_that_failed_is_told_and_not_that_it_was_lost(tmp_path):
    def work(job):
        if job.number:
            raise ValueError("the real one")
        time.sleep(0.5)
        raise Failed("RuntimeError: [../third_party/gloo/gloo/transport/tcp/pair.cc:534] Connection closed by peer")

    cause = ran(tmp_path, work).cause()
    assert cause.number == 1 and str(raised(cause)) == "the real one"


def test_what_rank_0_says_in_words_of_its_own_comes_first_with_all_it_holds(tmp_path):
    def work(job):
        error = RunError("a reward is wrong", where="rewards/mine.py", hint="mend it")
        error.go_on = "resume=outputs/a"
        if job.number == 0:
            time.sleep(0.5)
        raise error

    found = raised(ran(tmp_path, work).cause())
    assert isinstance(found, RunError) and found.go_on == "resume=outputs/a" and found.hint == "mend it"


def test_a_rank_that_dies_is_the_cause_and_the_others_are_ended(tmp_path, monkeypatch):
    monkeypatch.setattr(groups, "GRACE_S", 0.5)

    def work(job):
        if job.number == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(600)

    group = ran(tmp_path, work, 3)
    assert group.cause().number == 1 and group.cause().lost.endswith("was ended by SIGKILL")
    assert "did not end within" in group.ranks[2].lost


def test_a_rank_that_stands_still_is_found(tmp_path, monkeypatch):
    monkeypatch.setattr(groups, "GRACE_S", 0.5)
    monkeypatch.setattr(groups, "SILENT_S", 6.0)

    def work(job):
        if job.number == 1:
            os.kill(os.getpid(), signal.SIGSTOP)
        time.sleep(600)

    assert "gave no sign of life" in ran(tmp_path, work).cause().lost


def test_ranks_that_live_and_wait_for_ever_are_found(tmp_path, monkeypatch):
    monkeypatch.setattr(groups, "STILL_S", 5.0)
    monkeypatch.setattr(groups, "SLOWER", 0)

    def work(job):
        from rlexp.backend import ranks

        time.sleep(6)  # loads
        for _ in range(2):
            ranks.current().note(training=True)
            time.sleep(3)
        (job.folder / f"trained_{job.number}").touch()
        time.sleep(600)

    group = ran(tmp_path, work)
    assert all((tmp_path / f"trained_{number}").exists() for number in range(2))
    assert all("lives, and did no step for 5 s" in rank.lost for rank in group.ranks)


def test_a_signal_to_the_command_reaches_every_rank_once(tmp_path):
    def work(job):
        (job.folder / f"at_work_{job.number}").touch()
        try:
            time.sleep(600)
        except Interrupted as error:
            (job.folder / f"heard_{job.number}").write_text(error.reason)
            raise

    def stop():
        while not all((tmp_path / f"at_work_{number}").exists() for number in range(2)):
            time.sleep(0.02)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=stop, daemon=True).start()
    group = ran(tmp_path, work)
    assert group.signals == [signal.SIGTERM]
    assert [(tmp_path / f"heard_{number}").read_text() for number in range(2)] == ["stopped by SIGTERM"] * 2
    assert raised(group.cause()).exit_code == 143


PAUSED = """
import sys, time
from pathlib import Path
from rlexp.train.devices import group
from tests.train.test_devices import ran

group.SILENT_S, group.STILL_S = 4.0, 6.0

def work(job):
    from rlexp.backend import ranks
    for step in range(400):
        ranks.current().note(training=True)
        (job.folder / f"beat_{job.number}").write_text(str(step))
        if (job.folder / "end").exists():
            return
        time.sleep(0.1)

assert ran(Path(sys.argv[1]), work).cause() is None
"""
"""A command whose ranks work until a file is there, and are watched closely."""


def test_ranks_stop_and_go_on_with_the_command(tmp_path):
    command = subprocess.Popen([sys.executable, "-c", PAUSED, str(tmp_path)], cwd=ROOT)

    def beats():
        return [path.read_text() for path in sorted(tmp_path.glob("beat_*"))]

    def until(reached):
        end = time.monotonic() + 60
        while not reached():
            assert command.poll() is None and time.monotonic() < end
            time.sleep(0.05)

    def stopped():
        return Path(f"/proc/{command.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"

    try:
        until(lambda: len(beats()) == 2 and all(beats()))
        command.send_signal(signal.SIGTSTP)
        until(stopped)
        time.sleep(1)
        before = beats()
        time.sleep(groups.TICK_S + 7)  # longer than either patience
        assert beats() == before
        command.send_signal(signal.SIGCONT)
        until(lambda: all(now and now != then for now, then in zip(beats(), before, strict=True)))
        time.sleep(1)
        (tmp_path / "end").touch()
        assert command.wait(60) == 0
    finally:
        command.kill()
        command.wait()


def test_an_error_is_told_and_not_that_another_rank_waits_for_ever(tmp_path, monkeypatch):
    """On GPUs a rank that lost another waits in a kernel, and says nothing."""
    monkeypatch.setattr(groups, "GRACE_S", 0.5)

    def work(job):
        if job.number:
            raise ValueError("the real one")
        time.sleep(600)

    group = ran(tmp_path, work)
    assert group.cause().number == 1 and str(raised(group.cause())) == "the real one"


def test_ranks_on_gpus_see_those_of_the_run(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,5,7")
    first, second = (ranks.environment(number, 2, ("3", "5"), 1234) for number in range(2))
    assert first["CUDA_VISIBLE_DEVICES"] == second["CUDA_VISIBLE_DEVICES"] == "3,5"
    assert (first["LOCAL_RANK"], second["LOCAL_RANK"]) == ("0", "1") and first["MASTER_PORT"] == second["MASTER_PORT"]
    assert first["NCCL_NVLS_ENABLE"] == "0"
    assert "CUDA_VISIBLE_DEVICES" not in ranks.environment(0, 2)


def test_several_gpus_are_refused_where_they_were_not_tried_or_are_not_there(composed, monkeypatch, tmp_path):
    typed = ("hardware=h100x4_ddp", "model=qwen3_0_6b", "rollout=colocate")
    gpus = composed(*typed)
    monkeypatch.setattr(tried, "TRIED", frozenset())
    with pytest.raises(RunError, match="never tried") as caught:
        launch.run(lambda job: None, Job(gpus, tmp_path, tmp_path, []))
    assert "hardware.devices=1" in caught.value.hint
    monkeypatch.setattr(tried, "TRIED", frozenset({tried.way(gpus)}))
    monkeypatch.setattr(launch, "visible", lambda: ("0", "1", "2"))
    with pytest.raises(RunError, match="4 devices are asked for, and 3 GPUs are in sight") as caught:
        launch.require(gpus)
    assert "type hardware.devices=2" in caught.value.hint
    monkeypatch.setattr(launch, "visible", lambda: ("0", "1", "2", "3"))
    launch.require(gpus)
    four_bit = ("rollout=unsloth", "model.load_in_4bit=true")
    for other in (("rollout=generate",), ("method=rloo",), four_bit, ("hardware.dtype=float16",)):
        with pytest.raises(RunError, match="never tried on several GPUs") as caught:
            launch.require(composed(*typed, *other))
        assert "hardware.devices=1" in caught.value.hint
    with pytest.raises(RunError) as caught:
        launch.require(composed(*typed, "rollout=generate"))
    assert "type rollout=colocate, or " in caught.value.hint


@pytest.mark.parametrize("others", [(), ("method=rloo",)])
def test_a_plan_warns_of_what_the_start_refuses_in_the_same_words(composed, monkeypatch, others):
    gpus = composed("hardware=h100x2_ddp", "model=qwen3_0_6b", "rollout=colocate")
    monkeypatch.setattr(tried, "TRIED", frozenset(tried.way(composed(*one.split())) for one in others))
    with pytest.raises(RunError) as caught:
        tried.require(gpus)
    seen = tried.verdict(gpus)
    assert seen.level is Level.warning
    assert (seen.message, seen.where, seen.hint) == (caught.value.what, caught.value.where, caught.value.hint)
    monkeypatch.setattr(tried, "TRIED", frozenset({tried.way(gpus)}))
    assert tried.verdict(gpus).level is Level.passed
    for one in ("hardware=cpu_ddp2", "hardware=h100"):
        assert tried.verdict(composed(one)).level is Level.skipped


def test_more_processes_than_processors_are_refused(composed, monkeypatch):
    monkeypatch.setattr(launch.ranks, "processors", lambda: 3)
    with pytest.raises(RunError, match="4 devices are asked for, and 3 processors are in sight") as caught:
        launch.require(composed("hardware=cpu", "hardware.devices=4"))
    assert "type hardware.devices=2" in caught.value.hint
    monkeypatch.setattr(launch.ranks, "processors", lambda: 1)
    launch.require(composed("hardware=cpu_ddp2"))


def test_several_devices_are_refused_in_a_notebook(composed, monkeypatch):
    cpus = composed("hardware=cpu_ddp2")
    launch.require(cpus)
    launch.require(composed("hardware=h100", "model=qwen3_0_6b"))
    monkeypatch.setattr(launch, "in_notebook", lambda: True)
    with pytest.raises(RunError, match="notebook"):
        launch.require(cpus)
    assert launch.due(cpus) and not launch.due(composed("hardware=cpu"))
