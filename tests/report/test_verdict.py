"""The four questions: each answer rests on the record, and says so where nothing tells."""

import json
import platform

import pytest

from rlexp.record import events, held_out, left
from rlexp.record.finished import FinishedRun
from rlexp.report import verdict
from tests.report import planted


@pytest.fixture
def run(composed, tmp_path):
    return planted.write(tmp_path / "a", composed("hardware=cpu"), steps=2)


def with_(run, **facts):
    """The run with other facts in its manifest."""
    return FinishedRun(run.run_dir, run.lock, {**run.manifest, **facts}, run.root)


def test_it_learned_where_the_paired_interval_of_the_change_is_above_nothing(run):
    rows = held_out.read(run.run_dir)
    found = verdict.learned(run, rows)
    assert (found.level, found.answer) == ("good", "yes") and "paired over 20 prompts" in found.said
    assert "0.350 ± 0.196 → 1.400 ± 0.196" in found.said
    assert "two independent means" in verdict.learned(run, []).said, "without the rows as two means"
    other = [{**row, "reward_after": 0.0} for row in rows]
    assert "two independent means" in verdict.learned(run, other).said, "rows of another comparison say nothing"


@pytest.mark.parametrize(
    ("row", "level", "answer"),
    [
        ({"before": 1.0, "after": 0.2, "standard_error": [0.1, 0.1]}, "bad", "it got worse"),
        ({"before": 1.0, "after": 1.1, "standard_error": [0.1, 0.1]}, "open", "not told"),
        ({"before": 0.1, "after": 0.9}, "open", "not told"),
    ],
)
def test_it_got_worse_or_nothing_tells(run, row, level, answer):
    found = verdict.learned(with_(run, held_out={"reward": row}), [])
    assert (found.level, found.answer) == (level, answer)


def test_of_a_loss_less_is_better(run):
    rows = {"loss": {"before": 2.0, "after": 1.0, "standard_error": [0.1, 0.1]}}
    assert verdict.learned(with_(run, held_out=rows), []).level == "good"
    assert "right way" in verdict.learned(with_(run, held_out={"loss": {"before": 2.0, "after": 1.0}}), []).said
    assert verdict.learned(with_(run, held_out={}), []).answer == "not measured"


def test_health_is_told_by_its_events(run):
    found = events.read(run.run_dir)
    assert verdict.healthy(run, found).said == "entropy; first at step 4: it fell."
    stop = {**found[0], "rule": "kl", "level": "stop", "step": 9, "said": "it is 30"}
    assert verdict.healthy(run, [*found, stop]).said == "The rule kl stopped it at step 9: it is 30."
    assert verdict.healthy(run, []).level == "good"
    assert verdict.healthy(with_(run, health=None), []).answer == "not watched"


def test_it_is_whole_where_every_output_is_what_it_left(run, tmp_path):
    assert verdict.whole(run).level == "good"
    assert verdict.whole(with_(run, outputs={})).level == "open"
    stopped = with_(run, status="interrupted", steps={"done": 2, "asked": 9})
    assert "2 of 9 steps" in verdict.whole(stopped).said and verdict.whole(stopped).level == "warn"
    assert "data/x" in verdict.whole(with_(run, inputs_changed=["data/x"])).said
    alone = with_(run, outputs={**run.manifest["outputs"], "adapter/a": "0" * 32})
    assert verdict.whole(alone).answer == "without its weights"
    (run.run_dir / "metrics.jsonl").write_text("{}\n")
    (tmp_path / "outside").write_text("x")
    (run.run_dir / "link").symlink_to(tmp_path / "outside")
    outputs = {**run.manifest["outputs"], "adapter/a": "0" * 32, "link": "0" * 32}
    found = verdict.whole(with_(run, outputs=outputs))
    assert found.level == "bad" and "metrics.jsonl is not what it left" in found.said
    assert "adapter/a is missing" in found.said and "link lies outside of the run" in found.said


def test_completions_and_held_out_rows_that_are_others_or_gone_are_named(run):
    run = with_(run, evidence=left.evidence(run.run_dir))
    assert verdict.whole(run).level == "good"
    planted_over = sorted((run.run_dir / "completions").iterdir())[0]
    planted_over.write_bytes(b"others")
    (run.run_dir / "held_out.json").unlink()
    found = verdict.whole(run)
    assert (found.level, found.answer) == ("bad", "no")
    assert f"completions/{planted_over.name} is not what it left" in found.said and "held_out.json" in found.said


def test_it_cannot_be_replayed_from_where_its_inputs_are_not(run):
    found = verdict.replayable(run)
    assert (found.level, found.answer) == ("warn", "not from here") and "nothing was started" not in found.said


def test_lines_of_health_that_are_none_are_refused_and_one_that_a_kill_cut_is_left_out(run):
    path = run.run_dir / "health.jsonl"
    path.write_text(json.dumps(planted.WARNED) + "\n" + '{"rule": "k')
    assert [one["rule"] for one in events.read(run.run_dir)] == ["entropy"]
    for wrong in ("7\n", '{"rule": "kl"}\n', json.dumps({**planted.WARNED, "step": "1"}) + "\n"):
        path.write_text(wrong)
        with pytest.raises(Exception, match=r"health\.jsonl|line 1"):
            events.read(run.run_dir)


def status_of(run, status, **facts):
    manifest = {name: value for name, value in run.manifest.items() if name not in ("health", "held_out", "outputs")}
    return FinishedRun(
        run.run_dir, run.lock, {**manifest, "status": status, "steps": {"done": 0, "asked": 60}, **facts}, run.root
    )


KILLED = {"host": platform.node(), "pid": 2**22 + 1}


def test_a_run_that_did_not_write_its_end_did_the_steps_that_it_logged(run):
    for status, facts in (("running", {}), ("running", KILLED), ("failed", {})):
        assert "after 2 of 60 steps" in verdict.whole(status_of(run, status, **facts)).said
    with (run.run_dir / "metrics.jsonl").open("a") as stream:
        stream.write('{"step": 3, "rew')
    assert "after 2 of 60 steps" in verdict.whole(status_of(run, "running", **KILLED)).said


def test_a_run_that_was_watched_and_did_not_finish_says_how_far_no_rule_warned(run):
    found = verdict.healthy(status_of(run, "running"), [])
    assert found.answer == "no warning yet" and "by step 2; it is known when it has ended" in found.said
    for status, facts in (("running", KILLED), ("failed", {})):
        found = verdict.healthy(status_of(run, status, **facts), [])
        assert (found.level, found.answer) == ("open", "no warning") and "by step 2" in found.said
    (run.run_dir / "metrics.jsonl").write_text("")
    assert "no step" in verdict.healthy(status_of(run, "running"), []).said
    assert "before a step" in verdict.healthy(status_of(run, "failed"), []).said
    run.lock["config"]["health"] = {"name": "off", "rules": {}}
    assert "No rule of health was on (health=off)" in verdict.healthy(status_of(run, "running"), []).said


def test_whether_nothing_was_held_out_or_it_was_not_compared_yet_is_said(run):
    run.lock["config"]["held_out"]["rows"] = 8
    assert "when it has ended" in verdict.learned(status_of(run, "running"), []).said
    assert "before they were compared" in verdict.learned(status_of(run, "running", **KILLED), []).said
    assert "holds no comparison" in verdict.learned(status_of(run, "finished"), []).said
    run.lock["config"]["held_out"]["rows"] = 0
    for status in ("running", "finished"):
        assert "Nothing was held out" in verdict.learned(status_of(run, status), []).said


def test_a_line_that_a_kill_cut_is_no_fault_of_a_run_that_was_killed(run):
    cut = ["the last line is cut"]
    found = verdict.whole(status_of(run, "running", **KILLED), [], cut)
    assert (found.level, found.answer) == ("warn", "it did not finish") and cut[0] in found.said
    assert verdict.whole(run, [], cut).level == "bad" and cut[0] in verdict.whole(run, [], cut).said
    assert verdict.whole(status_of(run, "running"), ["x cannot be read"]).said == "x cannot be read."
