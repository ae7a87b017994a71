"""A run folder belongs to one run."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from rlexp.errors import RunError
from rlexp.record import claim, finished, pinned, status
from rlexp.record.run_folder import MANIFEST, Record, read_manifest
from tests.record.made import locked, write


def claimed(folder: Path) -> None:
    claim.claim(folder, MANIFEST, folder.name)


def test_a_folder_that_is_new_or_empty_is_claimed_and_its_record_takes_it_over(tmp_path):
    (tmp_path / "empty").mkdir()
    for name in ("new", "empty"):
        claimed(tmp_path / name)
        with Record(tmp_path / name, tmp_path, "id", []):
            pass
        assert read_manifest(tmp_path / name)["status"] == "finished"


@pytest.mark.parametrize(
    ("file", "text", "what"),
    [
        (MANIFEST, '{"status": "finished"}', r"run holds a run already \(finished\)"),
        (MANIFEST, "not whole", "run holds a run already; "),
        ("multirun.yaml", "hydra: {}", "run holds a sweep already"),
        ("notes.txt", "mine", "run is not empty"),
    ],
)
def test_a_folder_that_holds_something_is_refused_and_untouched(tmp_path, file, text, what):
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / file).write_text(text)
    with pytest.raises(RunError, match=what) as caught:
        claimed(folder)
    assert "type hydra.run.dir=outputs/run_2" in caught.value.hint
    assert [path.name for path in folder.iterdir()] == [file] and (folder / file).read_text() == text


@pytest.mark.parametrize("place", ["/proc/x", "file", "file/below"])
def test_a_folder_that_cannot_be_made_is_one_message(tmp_path, place):
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match=r"cannot be made|is a file"):
        claim.claim(tmp_path / place, MANIFEST, place)


def test_of_many_at_once_one_has_the_folder(tmp_path):
    held, refused = [], []

    def attempt() -> None:
        try:
            claimed(tmp_path / "run")
            held.append(1)
        except RunError:
            refused.append(1)

    threads = [threading.Thread(target=attempt) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(held), len(refused)) == (1, 15)


def test_a_claim_that_no_run_took_over_leaves_nothing(tmp_path):
    claimed(tmp_path / "run")
    claim.give_back(tmp_path / "run", MANIFEST)
    assert not (tmp_path / "run").exists()
    claimed(tmp_path / "run")
    Record(tmp_path / "run", tmp_path, "id", [])
    claim.give_back(tmp_path / "run", MANIFEST)
    assert (tmp_path / "run" / MANIFEST).is_file()


def test_a_sweep_keeps_the_file_that_hydra_wrote_over_its_claim(tmp_path):
    claim.claim(tmp_path / "sweep", claim.SWEEP, "sweep")
    (tmp_path / "sweep" / claim.SWEEP).write_text("hydra: {}\n")
    claim.give_back(tmp_path / "sweep", claim.SWEEP)
    assert (tmp_path / "sweep" / claim.SWEEP).read_text() == "hydra: {}\n"


def test_a_record_in_the_folder_of_another_is_refused(tmp_path):
    with Record(tmp_path / "run", tmp_path, "first", []):
        pass
    before = (tmp_path / "run" / MANIFEST).read_text()
    with pytest.raises(RunError, match="holds a run already"):
        Record(tmp_path / "run", tmp_path, "second", [])
    assert (tmp_path / "run" / MANIFEST).read_text() == before


def test_every_verb_says_of_a_killed_run_that_it_was_killed(tmp_path, composed):
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    facts = {"status": "running", **status.process(), "pid": gone.pid}
    write(tmp_path / "early", **facts)
    with pytest.raises(RunError, match="ended before it was locked: killed: its process ended"):
        finished.open("early", tmp_path, tmp_path)
    with pytest.raises(RunError, match="its status is killed: its process ended"):
        pinned.check(write(tmp_path / "late", locked(composed()), **facts))
    with pytest.raises(RunError, match="its status is failed: no memory"):
        pinned.check(write(tmp_path / "other", locked(composed()), status="failed", reason="no memory\nat all"))


def test_a_run_is_not_killed_by_a_clock_that_is_set(monkeypatch):
    manifest = {"status": "running", **status.process(), "started_unix": status.time.time()}
    now = manifest["started_unix"]
    for moved in (now - 86400, now + 86400):
        monkeypatch.setattr(status.time, "time", lambda moved=moved: moved)
        assert status.of(manifest)[0] == "running"
