"""Reports of runs that ended in every way, of sweeps and of several runs, and places that a report must not go to."""

import json
import platform
import re
import shutil
from typing import Any

import pytest

from rlexp.api.report import report
from rlexp.errors import RunError
from rlexp.evaluate.sweeps import points
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
        (["outputs/a"], "", "names no file"),
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


def test_a_run_with_completions_and_no_line_of_metrics_shows_them(place):
    (place / "outputs/a/metrics.jsonl").write_text("")
    found, text, data = written(place, "outputs/a")
    assert found.shown == 72 and 'id="completions"' in text and 'id="curves"' not in text
    assert len(data["completions"]["text"]) == 72


DAMAGES = {
    "completions/step-000003.parquet": ("completions", "step-000003.parquet cannot be read"),
    "metrics.jsonl": ("curves", "the last line of metrics.jsonl is cut in the middle"),
    "health.jsonl": ("health", "health.jsonl"),
    "held_out.json": ("held-out", "held_out.json"),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_file_is_named_and_the_rest_is_shown(place, name):
    path, (section, said) = place / "outputs/a" / name, DAMAGES[name]
    content = path.read_bytes()
    path.write_bytes(b"{\n" + content[: len(content) // 2] if name == "health.jsonl" else content[: len(content) - 20])
    found, text, _ = written(place, "outputs/a")
    (whole,) = re.findall(r"Is it whole\?</h2>(.*?)</li>", text)
    own = re.search(rf'<section id="{section}".*?</section>', text, re.DOTALL)
    assert said in whole and "<strong><bdi>no" in whole and own and said in own[0]
    assert found.shown == (48 if "parquet" in name else 72) and 'id="settings"' in text


def test_where_no_file_of_completions_can_be_read_their_section_says_so(place):
    for step in (1, 2, 3):
        (place / f"outputs/a/completions/step-00000{step}.parquet").write_bytes(b"PAR1")
    found, text, data = written(place, "outputs/a")
    assert found.total is None and data["completions"] is None and 'id="histogram"' not in text
    assert text.count("step-000003.parquet cannot be read") == 2


def test_damaged_lines_of_several_runs_and_of_points_are_said(place, composed):
    planted.write(place / "outputs/b", composed("hardware=cpu", "method.beta=0.04"), steps=3)
    with (place / "outputs/b/metrics.jsonl").open("a") as stream:
        stream.write('{"step": 4, "rew')
    _, text, data = written(place, "outputs/a", "outputs/b")
    assert "b: Not all of it can be read: the last line" in text and data["charts"]["reward"]["x"] == [1, 2, 3]
    folder = swept.made(place, swept.grid())
    (folder / "p1/metrics.jsonl").write_text('{"step": 1, "reward": 1}\nx\n{"step": 2, "reward": 2}\n')
    _, text, data = written(place, "multirun/s")
    assert "p1: not all of it can be read: line 2 of metrics.jsonl" in text and data["charts"]["reward"]["x"] == [1, 2]


def test_reports_of_different_things_never_take_each_others_place(place, composed):
    swept.made(place, swept.grid())
    for name in ("sub/a", "sub_a"):
        planted.write(place / "outputs" / name, composed("hardware=cpu"), steps=1)
    first, _, _ = written(place, "outputs/sub/a")
    second, _, _ = written(place, "outputs/sub_a")
    assert (first.file.name, second.file.name[:6]) == ("sub_a.html", "sub_a-") and first.file.stat().st_size
    assert written(place, "outputs/sub/a")[0].file == first.file
    assert written(place, "outputs/sub_a")[0].file == second.file
    three = [written(place, "outputs/a", "outputs/old", f"outputs/{name}")[0].file for name in ("sub/a", "sub_a")]
    assert len({first.file, second.file, *three}) == 4
    (place / "reports/old.html").write_text("<p>mine")
    assert written(place, "outputs/old")[0].file.name.startswith("old-")
    assert (place / "reports/old.html").read_text() == "<p>mine"
    named = written(place, "outputs/sub_a", out="look.html")[1]
    assert named.startswith(f"{MARK}<!-- of {write.whose([place / 'outputs/sub_a'], place)} -->")


def test_runs_of_a_sweep_that_were_stopped_have_curves_of_their_own(place):
    planned = {("method.beta=0", 0): 1.0, ("method.beta=1", 0): {"status": "stopped"}, ("method.beta=1", 1): None}
    folder = swept.made(place, planned)
    for name in ("p0", "p1"):
        (folder / name / "metrics.jsonl").write_text('{"step": 1, "reward": 1}\n{"step": 2, "reward": 2}\n')
    _, text, data = written(place, "multirun/s")
    assert [line["name"] for line in data["charts"]["reward"]["series"]] == ["beta=0 (1)", "beta=1, stopped (1)"]
    assert "it is the only one that finished" in text and "only setting" not in text


def test_a_sweep_of_seeds_alone_compares_no_settings(place):
    swept.made(place, {("", 0): 1.0, ("", 1): 1.2})
    _, text, _ = written(place, "multirun/s")
    assert "over 2 seeds; only the seed was varied" in text and "only setting" not in text and "Is it told" not in text


def test_a_killed_point_did_the_steps_that_it_logged(place):
    killed = {"status": "running", "steps": {"done": 0, "asked": 4}, "host": platform.node(), "pid": 2**22 + 1}
    folder = swept.made(place, {("method.beta=0", 0): 1.0, ("method.beta=1", 0): killed})
    (folder / "p1/metrics.jsonl").write_text('{"step": 3, "reward": 1}\n')
    assert [row.steps for row in points.read(folder, place)] == [4, 3]


@pytest.mark.parametrize(
    ("words", "what", "hint"),
    [
        (["README.md"], "README.md is no run folder", "name a run folder"),
        (["a"], "no run at a", "did you mean outputs/a?"),
        (["outputs"], "no run at outputs", "did you mean outputs/a?"),
        (["multirun"], "multirun is no run and no sweep", "type report multirun/s"),
        (["s"], "s is no run and no sweep", "type report multirun/s"),
    ],
)
def test_what_is_near_is_named(place, words, what, hint):
    swept.made(place, swept.grid())
    (place / "README.md").write_text("# Title\n\n- a: [b\n***\n")
    with pytest.raises(RunError, match=what) as raised:
        report(words, place, place)
    assert hint in str(raised.value.hint)
