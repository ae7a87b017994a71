"""What is said of a run that will not fit its device, or was estimated for another model."""

import dataclasses
from pathlib import Path

from rlexp.backend import peak_memory
from rlexp.cli.plan_run import _memory
from rlexp.compose.points import Point
from rlexp.preflight.memory import fits, shape
from rlexp.record.sweeps import varied
from rlexp.verdict import Level

BIG = ("model=qwen3_4b", "hardware=t4_16gb", "rollout=unsloth")


def test_a_run_above_the_device_is_a_warning_with_what_to_type(composed):
    verdict = fits(composed(*BIG, "hardware.sequences_per_device=8", "hardware.gradient_checkpointing=false"))
    assert verdict.level is Level.warning and "of 14.5 GiB" in verdict.message
    assert "load_in_4bit=true" in (verdict.hint or "") and "max_seq_length" in (verdict.hint or "")
    fitting = "hardware.sequences_per_device=1 hardware.gradient_checkpointing=true"
    assert (verdict.hint or "").endswith(f"what fits: {fitting}")
    assert fits(composed(*BIG, *fitting.split())).level is Level.passed


def test_what_is_done_already_is_not_offered(composed):
    hint = fits(composed(*BIG, "hardware.memory_gib=4", "model.load_in_4bit=true")).hint or ""
    assert hint and "load_in_4bit" not in hint and "rollout=unsloth" not in hint


def test_where_sampling_is_what_does_not_fit_fewer_prompts_are_offered(composed):
    run = composed("model=qwen3_1_7b", "hardware=l4_24gb", "rollout=generate", "method.prompts_per_step=64")
    verdict = fits(run)
    assert verdict.level is Level.warning and run.memory.training < 22 * 2**30
    hint = verdict.hint or ""
    assert "rollout=unsloth" in hint and "what fits: method.prompts_per_step=4 " in hint
    typed = ("model=qwen3_1_7b", "hardware=l4_24gb", "rollout=generate", *hint.partition("fits: ")[2].split())
    assert fits(composed(*typed)).level is Level.passed


def test_a_run_that_fits_passes_and_a_cpu_is_not_asked(composed):
    assert fits(composed("model=qwen3_0_6b", "hardware=h100")).level is Level.passed
    assert fits(composed("hardware=cpu")).level is Level.skipped
    assert fits(composed("model=qwen3_4b", "model.size=null", "hardware=h100")).level is Level.skipped


def test_plan_says_it_in_a_line_and_warns(composed):
    assert [name for name, _ in _memory(composed(*BIG))] == ["memory", "largest that fits"]
    rows = dict(_memory(composed("model=qwen3_4b", "hardware=h100", "rollout=unsloth")))
    assert rows.keys() == {"memory", "largest that fits"}
    assert "64 (a whole step) with it" in rows["largest that fits"]
    full = composed(*BIG, "hardware.sequences_per_device=8", "hardware.gradient_checkpointing=false")
    assert [name for name, _ in _memory(full)] == ["memory", "largest that fits", "warning"]
    assert "of 79 GiB" in rows["memory"] and "recomputation off" in rows["memory"] and "share 0." in rows["memory"]
    assert _memory(composed("hardware=cpu")) == []


def test_a_point_of_a_sweep_is_called_by_what_varies(composed):
    run = composed("hardware=cpu")
    made = [Point(["model=tiny", f"seed={seed}"], run, Path("x"), Path("x")) for seed in (1, 2, 2)]
    assert varied([one.overrides for one in made]) == [["seed=1"], ["seed=2"], ["seed=2"]]


def test_another_models_shape_is_a_warning_with_the_keys_to_type(composed):
    run = composed("model=qwen3_0_6b", "hardware=h100")
    other = dataclasses.replace(run.model.size, num_hidden_layers=99, tie_word_embeddings=False)
    verdict = shape(run, other, again=False)
    assert verdict.level is Level.warning and "num_hidden_layers 99 (stated: 28)" in verdict.message
    assert "model.size.num_hidden_layers=99 model.size.tie_word_embeddings=false" in (verdict.hint or "")
    assert "type the same again" in (shape(run, other, again=True).hint or "")
    assert shape(run, run.model.size, again=False).level is Level.passed
    assert shape(run, None, again=False).level is Level.skipped


def test_the_peak_is_said_beside_the_estimate():
    found = {"estimated": {"total": 23.2, "reserved": 21.7}, "measured": {"reserved": 23.08, "allocated": 20.0}}
    assert peak_memory.summary_line(found) == "peak 23.1 GiB (estimated 21.7)"
    assert peak_memory.summary_line({**found, "estimated": None}) == "peak 23.1 GiB"
