"""What a pass of the smoke belongs to, and when a run needs none."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from rlexp.preflight.smoke import passes

DIGEST: dict[str, Any] = {
    "data": {"md5": "d.dir", "rows": {"train": 9}},
    "rewards": {"format": {"md5": "r", "version": 1, "weight": 1.0}},
    "model": {"md5": "m.dir", "revision": None, "files": {}},
}
FIGURES = {"step_s": 0.5, "startup_s": 5.0, "peak_bytes": 2**30, "on_device": False}


@pytest.mark.parametrize(
    "override",
    [
        *("seed=1", "method.max_steps=9", "method.num_train_epochs=2", "method.logging_steps=5", "method.save_steps=9"),
        *("held_out.rows=8", "tracking=tensorboard", "preflight.smoke_steps=20", "preflight.smoke=always"),
    ],
)
def test_what_makes_a_run_no_less_safe_keeps_its_pass(composed, override):
    assert passes.settings_key(composed(override)) == passes.settings_key(composed())


@pytest.mark.parametrize(
    "override",
    [
        *("method.learning_rate=1e-3", "method.beta=0.04", "method.max_completion_length=40", "model.lora.r=8"),
        *("reward=format", "reward.terms.correct.weight=2", "dataset.train_rows=100", "rollout.enforce_eager=true"),
        *("hardware.sequences_per_device=8", "method.num_generations=4", "method.prompts_per_step=4", "method=rloo"),
    ],
)
def test_what_could_break_a_run_asks_for_a_new_smoke(composed, override):
    assert passes.settings_key(composed(override)) != passes.settings_key(composed())


def test_other_versions_ask_for_a_new_smoke(composed, monkeypatch):
    before = passes.settings_key(composed())
    monkeypatch.setattr(passes, "versions", lambda: {"trl": "9"})
    assert passes.settings_key(composed()) != before


@pytest.mark.parametrize("part", ["data", "rewards", "model"])
def test_other_inputs_ask_for_a_new_smoke(part):
    changed = {"md5": "x"} if part != "rewards" else {"format": {"md5": "x"}}
    assert passes.inputs_key({**DIGEST, part: {**DIGEST[part], **changed}}) != passes.inputs_key(DIGEST)


@pytest.mark.parametrize(
    ("overrides", "found", "due"),
    [
        ((), None, True),
        ((), {}, False),
        (("method.max_steps=12",), None, False),  # no longer than the smoke itself
        (("method.max_steps=13",), None, True),
        (("method.max_steps=-1",), None, True),  # epochs
        (("preflight.smoke=always", "method.max_steps=2"), {}, True),
        (("preflight.smoke=never",), None, False),
    ],
)
def test_when_a_run_is_smoked_first(composed, overrides, found, due):
    assert passes.due(composed(*overrides), found) is due


def test_a_pass_is_read_back_and_half_a_file_is_none(tmp_path, composed):
    file = passes.path(composed(), DIGEST, tmp_path)
    assert passes.read(file) is None
    written = passes.content(FIGURES)
    passes.write(file, written)
    assert passes.read(file) == written and [path.name for path in file.parent.iterdir()] == [file.name]
    file.write_text(file.read_text()[:20])
    assert passes.read(file) is None


@pytest.mark.parametrize(
    ("overrides", "rows", "steps"),
    [
        (("method.max_steps=60",), 0, 60),
        (("method.max_steps=-1",), 2000, 750),  # 250 a pass, three passes
        (("method.max_steps=-1", "method.num_train_epochs=0.5", "method.num_iterations=2"), 2000, 250),
        (("method.max_steps=-1", "dataset.train_rows=80", "method.num_train_epochs=1"), 2000, 10),
    ],
)
def test_the_steps_of_the_whole_run(composed, overrides, rows, steps):
    assert passes.steps_of(composed(*overrides), rows) == steps


def test_costs_are_one_line(composed):
    run = composed("method.max_steps=600")
    said = "0.5 s a step, peak 1.0 GiB, 600 steps about 5.0 min after 5 s of start-up"
    assert passes.costs(FIGURES, run, 0) == said
    assert passes.duration(3 * 3600) == "3.0 h"
    assert replace(run, seed=1) and "60 steps about 30 s" in passes.costs(FIGURES, composed(), 0)


@pytest.mark.parametrize(
    ("overrides", "uncompiled"),
    [
        (("rollout=unsloth",), True),
        (("rollout=colocate",), True),
        (("rollout=colocate", "preflight.smoke_steps=60"), False),  # decoding would take longer than compiling
        (("rollout=unsloth", "rollout.enforce_eager=true"), False),
        (("rollout=unsloth", "rollout.engine.compilation_config.mode=3"), False),
        (("rollout=generate",), False),
        (("method=dpo", "dataset=arithmetic_preferences"), False),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_a_smoke_alone_starts_an_engine_that_compiles_nothing_where_that_is_quicker(composed, overrides, uncompiled):
    length = () if "method=dpo" in overrides else ("method.max_completion_length=512", "method.max_steps=200")
    run = composed(*overrides, *length, "hardware=h100", "model.max_seq_length=1024")
    compiled = False if uncompiled else run.rollout.compiled
    assert passes.engine_for(run).rollout == replace(run.rollout, compiled=compiled)
    assert passes.settings(passes.engine_for(run)) == passes.settings(run)


def test_a_smoke_without_compiling_knows_only_what_a_step_takes_at_most(composed):
    assert passes.costs(FIGURES | {"uncompiled": True}, composed(), 0).startswith("at most 0.5 s a step")
