"""A locked config with what is typed over it, and what a fork or a resumed run may not change."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from rlexp.compose.points import CommandLine
from rlexp.errors import RunError
from rlexp.record.checkpoints import Checkpoint
from rlexp.record.finished import FinishedRun
from rlexp.record.lock import identity
from rlexp.train import continued, forked
from rlexp.train.forked import Forked
from rlexp.train.same_run import require_same
from tests.conftest import ROOT
from tests.record.made import locked


def original(composed, *overrides, **method):
    """A run that was locked; ``method`` are keys that conf/ composed otherwise then."""
    lock = locked(composed(*overrides), *overrides)
    lock["config"]["method"] |= method
    return FinishedRun(ROOT / "outputs/none", lock, {}, ROOT)


def made(run, *typed):
    line = continued.over(CommandLine(ROOT, []), run, list(typed))
    return line.points()[0].run, line.over


def test_nothing_typed_is_the_locked_run(composed):
    run = original(composed, "method.max_steps=5", logging_steps=7)
    found, over = made(run)
    assert found.config() == run.run.config() and "logging_steps 7" in over.note


def test_an_override_changes_its_key_and_what_follows_it_and_nothing_else(composed):
    run = original(composed, "method.max_steps=5", logging_steps=7)
    found, _ = made(run, "model.max_completion_length=16")
    before, after = run.run.config(), found.config()
    assert after["method"]["max_completion_length"] == 16 and after["method"]["logging_steps"] == 7
    assert after["method"]["max_steps"] == 5 and after["dataset"] == before["dataset"]


def test_a_key_is_taken_although_conf_composes_the_same_by_now(composed):
    run = original(composed, logging_steps=7)
    assert made(run, "method.logging_steps=1")[0].arguments["logging_steps"] == 1


def test_the_choice_of_a_group_replaces_it(composed):
    run = original(composed, "reward=format+correct", "reward.terms.correct.weight=2")
    assert set(made(run, "reward=format+length")[0].reward.terms) == {"format", "length"}
    assert made(run, "tracking=tensorboard")[0].tracking.report_to == ["tensorboard"]


def test_passes_over_the_data_take_the_place_of_steps(composed):
    found, _ = made(original(composed, "method.max_steps=5"), "method.num_train_epochs=2")
    assert (found.arguments["max_steps"], found.arguments["num_train_epochs"]) == (-1, 2)


def test_overrides_that_no_longer_compose_are_a_note(composed):
    run = original(composed, "method.max_steps=5")
    run.lock["overrides"].append("method.gone=1")
    found, over = made(run, "max_minutes=3")
    assert found.max_minutes == 3 and found.arguments["max_steps"] == 5 and "no longer composes" in over.note


@pytest.mark.parametrize("more", [[], ["method.gone=1"]])
@pytest.mark.parametrize("tracking", [["tracking=wandb"], ["tracking.report_to=[wandb]"], ["tracking=wandb+trackio"]])
def test_trackers_that_cannot_log_in_here_may_be_left_out(composed, tracking, more):
    run = original(composed, *tracking, "tracking.project=team")
    run.lock["overrides"] += more  # which no longer compose
    found = made(run, "tracking=none")[0]
    require_same(run, found, ["tracking=none"], "outputs/a", None)
    assert "wandb" in run.run.tracking.report_to and found.tracking.report_to == []


def test_what_would_be_another_run_is_answered_with_the_fork(composed):
    run = original(composed, "method.max_steps=5")
    require_same(run, made(run, "max_minutes=3", "held_out.rows=4")[0], [], "outputs/a b", None)
    typed = ["method.beta=0.04"]
    with pytest.raises(RunError) as refused:
        require_same(run, made(run, *typed)[0], typed, "outputs/a b", Checkpoint(3, Path("x")))
    assert "method.beta 0.0 -> 0.04" in refused.value.what
    assert """python -m rlexp 'fork="outputs/a b@3"' method.beta=0.04""" in str(refused.value.hint)


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("model.lora.r=8", "model.lora.r is 16 there, 8 here"),
        ("model.lora.target_modules=[q_proj]", "model.lora.target_modules"),
        ("model.full_finetuning=true", "model.full_finetuning"),
        ("method.max_steps=3", "nothing would be trained"),
    ],
)
def test_a_fork_keeps_the_shape_of_the_weights_and_ends_behind_its_beginning(composed, typed, said):
    run = original(composed, "method.max_steps=5")
    line = continued.over(CommandLine(ROOT, []), run, [typed])
    with pytest.raises(RunError, match=said.replace(".", r"\.")) as refused:
        dataclasses.replace(line, over=Forked(line.over, Checkpoint(3, Path("none")))).points()
    assert refused.value.hint


def test_only_the_hash_of_a_forks_beginning_counts(composed):
    plain = composed()
    one = dataclasses.replace(plain, fork="outputs/a@3", fork_sha256="1" * 64)
    two = dataclasses.replace(plain, fork="outputs/b@3", fork_sha256="1" * 64)
    assert identity(one) == identity(two) != identity(plain) == "0ca3ed73c5b72c23"


def test_a_fork_in_a_file_is_refused(composed):
    with pytest.raises(RunError, match="fork is typed"):
        composed("fork=outputs/a@3")


def test_the_beginning_of_a_fork_is_verified_by_its_hash(composed, tmp_path):
    run = dataclasses.replace(composed(), fork="outputs/a@3", fork_sha256="1" * 64)
    assert forked.checkpoint_of(composed(), tmp_path) is None
    with pytest.raises(RunError, match="is not there: step 3 of outputs/a"):
        forked.checkpoint_of(run, tmp_path)
    folder = tmp_path / "outputs/a/checkpoints/checkpoint-3"
    folder.mkdir(parents=True)
    (folder / "digest.json").write_text("{}")
    with pytest.raises(RunError, match="not the checkpoint"):
        forked.checkpoint_of(run, tmp_path)
    known = dataclasses.replace(run, fork_sha256=forked.sha256(folder))
    assert forked.checkpoint_of(known, tmp_path) == Checkpoint(3, folder)
