"""Reports of runs that ended in every way, of sweeps and of several runs, and places that a report must not go to."""

import json
import shutil
from typing import Any

import pytest

from rlexp.api.report import report
from rlexp.errors import RunError
from rlexp.record import evaluation, exports
from rlexp.record.run_folder import LOCK
from rlexp.report import write
from rlexp.report.page import MARK
from tests import hostile
from tests.evaluate import swept
from tests.record import made
from tests.report import planted
from tests.report.test_page import DATA


@pytest.fixture
def place(composed, tmp_path):
    """A project with a run in outputs/a."""
    shutil.copytree(hostile.RUN, tmp_path / "outputs/old")
    planted.write(tmp_path / "outputs/a", composed("hardware=cpu"), steps=3)
    (tmp_path / "conf").symlink_to(hostile.RUN.parents[2] / "conf")
    return tmp_path


def written(place, *words, out=None):
    found = report(words, place, place, out)
    text = found.file.read_text()
    return found, text, json.loads(DATA.findall(text)[0])


def test_a_run_has_its_report_in_reports_and_the_next_one_takes_its_place(place):
    found, text, data = written(place, "outputs/a")
    assert found.file == place / "reports/a.html" and found.kind == "run" and found.bytes == len(text.encode())
    assert (found.shown, found.total) == (72, 72) and len(data["completions"]["text"]) == 72
    for id in ("curves", "completions", "health", "held-out", "settings", "arguments", "commands"):
        assert f'<section id="{id}"' in text
    for said in (
        "Did it learn?",
        "method=grpo",
        "learning_rate",
        "adamw_torch",
        "merged_weights",
        "rlexp replay outputs/a",
    ):
        assert said in text
    assert data["charts"]["reward"]["marks"][0]["step"] == 4
    assert written(place, "outputs/a")[1] == text, "twice the same"
    assert [path.name for path in (place / "reports").iterdir()] == ["a.html"]


def test_a_run_that_failed_says_why_first(place, composed):
    run, reason = composed("hardware=cpu"), "ValueError: <b>no</b> such thing"
    made.write(
        place / "outputs/f",
        made.locked(run),
        status="failed",
        reason=reason,
        held_out={},
        steps={"done": 1, "asked": 9},
    )
    _, text, data = written(place, "outputs/f")
    assert text.index("It did not finish. failed: ValueError: &lt;b&gt;no") < text.index("Did it learn?")
    assert 'id="completions"' not in text and 'id="health"' not in text and data["completions"] is None
    assert "resume=outputs/f" in text


def test_a_run_that_goes_on_is_shown_as_far_as_it_came(place, composed):
    planted.write(place / "outputs/r", composed("hardware=cpu"), steps=2, status="running")
    _, text, _ = written(place, "outputs/r")
    assert "It is still running" in text and "not yet" in text and "It did not finish" not in text


def test_a_preference_run_has_curves_of_its_own(place, composed):
    run = composed("method=dpo", "dataset=arithmetic_preferences", "hardware=cpu")
    found = made.write(
        place / "outputs/d", made.locked(run), held_out={"rewards/margins": {"before": 0.0, "after": 0.4}}
    )
    lines = [{"step": n, "loss": 0.7, "rewards/margins": 0.1 * n, "rewards/accuracies": 0.5} for n in range(1, 4)]
    (found.run_dir / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    answer, _, data = written(place, "outputs/d")
    assert list(data["charts"]) == ["margins", "accuracies", "loss"] and answer.total is None


def test_a_record_that_is_older_than_half_of_the_files_has_a_report(place):
    found, text, _ = written(place, "outputs/old")
    assert found.shown == found.total > 0 and "It is" not in text and "No rule of health warned" in text


def test_evaluations_stand_over_the_steps_of_their_checkpoints_and_the_chosen_one_is_marked(place, composed):
    estimate = {"method": "Wilson", "prompts": 10, "error": 0.1, "low": 0.1, "high": 0.9}
    subjects = {"base": 0.2, "outputs/a@2": 0.5, "outputs/a": 0.6, "outputs/other": 0.9}
    content = {
        **hostile.FOUND_OUT,
        "subjects": {name: {"digest": {}} for name in subjects},
        "results": {"sums": {name: {"accuracy": {**estimate, "mean": mean}} for name, mean in subjects.items()}},
        "samples": {"sums": {}},
    }
    folder = place / "outputs/a" / evaluation.FOLDER / ("0" * 16)
    folder.mkdir(parents=True)
    (folder / evaluation.FILE).write_text(json.dumps(content))
    manifest = json.loads((place / "outputs/a/manifest.json").read_text())
    measured = [{"step": n, "mean": 0.1 * n, "standard_error": 0.05} for n in (0, 2, 3)]
    selection: Any = hostile.WENT_ON["selection"]
    chosen = {**selection, "measured": measured, "step": 2}
    (place / "outputs/a/manifest.json").write_text(json.dumps({**manifest, "selection": chosen}))
    _, text, data = written(place, "outputs/a")
    task = data["charts"]["task0-0"]
    assert (task["x"], task["series"][0]["values"]) == ([0, 2, 3], [0.2, 0.5, 0.6])
    assert task["series"][0]["low"] == [0.1] * 3 and task["series"][0]["points"]
    way = data["charts"]["selection"]
    assert (way["best"], way["x"]) == (2, [0, 2, 3]) and way["series"][0]["high"][0] == pytest.approx(0.098)
    assert "Step 2 was chosen: it is the highest." in text and "outputs/other" in text


def test_artifacts_stand_with_their_verdicts_and_the_benchmark(place):
    hostile.make_export(place / exports.FOLDER / "a")
    file = place / exports.FOLDER / "a" / exports.MANIFEST
    content = json.loads(file.read_text())
    assert "is of another run" in written(place, "outputs/a")[1]
    lock = (place / "outputs/a" / LOCK).read_text()
    content["of"]["identity"] = next(
        line.split()[1].strip("'") for line in lock.splitlines() if line.startswith("identity")
    )
    file.write_text(json.dumps(content))
    _, text, _ = written(place, "outputs/a")
    assert "To ship: merged: it is small." in text and "other ids" in text and "broken" in text
    assert "merged died: it was ended." in text and "Benchmark" in text


def test_several_runs_are_laid_over_each_other_beside_what_changed(place, composed):
    planted.write(place / "outputs/b", composed("hardware=cpu", "method.beta=0.04"), steps=3)
    found, text, data = written(place, "outputs/a", "outputs/b")
    assert found.kind == "runs" and found.file.name == "a_and_b.html"
    assert [line["name"] for line in data["charts"]["reward"]["series"]] == ["a", "b"]
    assert "one variable changed: method.beta" in text and "<bdi>method.beta</bdi>" in text
    with pytest.raises(RunError, match="named twice"):
        report(["outputs/a", "outputs/a"], place, place)
    with pytest.raises(RunError, match="too many"):
        report(["outputs/a"] * 9, place, place)


def test_a_sweep_has_its_points_settings_effects_and_failures(place):
    failed = {"status": "failed", "reason": "<i>boom</i>\nsecond line"}
    folder = swept.made(place, {**swept.grid(), ("method.beta=1", 0): failed, ("method.beta=2", 0): None})
    for point in sorted(folder.glob("p[0-5]")):
        lines = [{"step": n, "reward": n / 4 + int(point.name[1]) / 10} for n in range(1, 5)]
        (point / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    found, text, data = written(place, "multirun/s")
    assert found.kind == "sweep" and found.file.name == "s.html" and found.total is None
    for id in ("settings", "effects", "curves", "points", "failures", "commands"):
        assert f'<section id="{id}"' in text
    assert "&lt;i&gt;boom&lt;/i&gt;" in text and "second line" not in text and "not begun" in text
    series = data["charts"]["reward"]["series"]
    assert [line["name"] for line in series] == ["beta=0.04 (3)", "beta=0 (3)"]
    assert series[1]["low"][0] < series[1]["values"][0] < series[1]["high"][0]
    assert "6 of 8" in text and "rlexp pin multirun/s@best" in text


@pytest.mark.parametrize(
    ("words", "out", "what"),
    [
        (["nowhere"], None, "no run at nowhere"),
        (["outputs/a", "multirun/s"], None, "one run is asked for"),
        ([], None, "a report is of a run"),
        (["outputs/a"], "none/a.html", "there is no folder"),
        (["outputs/a"], "outputs/a/manifest.json", "not named like one"),
        (["outputs/a"], "outputs/a/x.html", "is a record"),
        (["outputs/a"], "outputs/a/completions/x.html", "is a record"),
        (["outputs/a"], "outputs/old/x.html", "is a record"),
        (["multirun/s"], "multirun/s/x.html", "is a record"),
        (["outputs/a"], "mine.html", "is there already, and is no report"),
        (["outputs/a"], "link.html", "is there already, and is no report"),
        (["outputs/a"], "folder.html", "is a folder"),
        (["outputs/a"], "report", "is an HTML file"),
    ],
)
def test_what_cannot_be_shown_or_written_is_one_message_and_leaves_nothing(place, words, out, what):
    swept.made(place, swept.grid())
    (place / "mine.html").write_text("<!doctype html><p>mine")
    (place / "link.html").symlink_to(place / "mine.html")
    (place / "folder.html").mkdir()
    before = {path: path.stat().st_mtime_ns for path in place.rglob("*") if path.is_file()}
    with pytest.raises(RunError, match=what) as raised:
        report(words, place, place, out)
    assert raised.value.hint
    assert before == {path: path.stat().st_mtime_ns for path in place.rglob("*") if path.is_file()}


def test_a_folder_that_cannot_be_written_is_one_message(place):
    (place / "reports").write_text("a file")
    with pytest.raises(RunError, match="cannot be written") as raised:
        report(["outputs/a"], place, place)
    assert "--out" in raised.value.hint


def test_a_report_stays_under_its_limit_and_says_what_it_holds(place, composed, monkeypatch):
    monkeypatch.setattr(write, "LIMIT", 240_000)
    hard = "<\x01\u2028" * 200  # is written with six bytes a character
    planted.write(place / "outputs/l", composed("hardware=cpu"), steps=6, prompts=6, text=lambda step, row: hard)
    found, text, data = written(place, "outputs/l")
    assert found.bytes <= 240_000 and 0 < found.shown < found.total == 288 and found.shown % 8 == 0
    assert text.startswith(MARK) and f"{found.shown} of 288 completions" in text
    assert set(data["completions"]["text"]) == {hard}
