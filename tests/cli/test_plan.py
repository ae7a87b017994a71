"""What ``plan`` says beside the resolved run."""

import pytest

from rlexp.cli.plan_run import _preference, preference_note, refuse
from rlexp.errors import RunError
from rlexp.inputs.find import Inputs

PAIRS = ("dataset=arithmetic_preferences", "reward=format+correct")
FULL = ("model.full_finetuning=true", "model=qwen3_4b")


@pytest.mark.parametrize("method", ["dpo", "orpo"])
@pytest.mark.parametrize(
    ("overrides", "begins", "holds"),
    [
        # an adapter: the reference is free, on any hardware
        (["hardware=cpu"], "dpo is the well-trodden default", "the base with the adapter off"),
        (["hardware=t4_16gb", "model=qwen3_4b"], "dpo is the well-trodden default", "takes no memory"),
        # every weight: one copy of the weights more, and it fits, does not, or nothing does
        (["hardware=h100", *FULL], "dpo is the well-trodden default, and fits", "of 79"),
        (["hardware=cuda", "hardware.memory_gib=36", *FULL], "orpo: dpo holds one more copy", "does not fit"),
        (["hardware=l4_24gb", *FULL], "neither fits", "model.full_finetuning=false"),
        # nothing to compare with: a CPU, or a model of unknown shape
        (["hardware=cpu", "model.full_finetuning=true"], "dpo is the well-trodden default", "orpo holds none"),
        (["hardware=h100", *FULL, "model.size=null"], "dpo is the well-trodden default", "orpo holds none"),
    ],
)
def test_the_note_says_what_memory_suggests_between_dpo_and_orpo(composed, method, overrides, begins, holds):
    note = preference_note(composed(f"method={method}", *PAIRS, *overrides))
    assert note.startswith(begins) and holds in note


def test_a_reference_that_is_asked_before_training_takes_no_memory(composed):
    asked = "method.precompute_ref_log_probs=true"
    note = preference_note(composed("method=dpo", *PAIRS, "hardware=l4_24gb", *FULL, asked))
    assert note.startswith("dpo") and "is asked before training" in note


@pytest.mark.parametrize("method", ["dpo", "orpo"])
def test_the_reference_of_a_full_fine_tuning_costs_the_weights(composed, method):
    run = composed(f"method={method}", *PAIRS, "hardware=h100", *FULL)
    words = preference_note(run).replace(",", "").split()
    whole, lean = float(words[words.index("GiB") - 1].lstrip("(")), float(words[words.index("79);") - 2])
    assert run.memory is not None
    assert whole - lean == pytest.approx(run.memory.weights / 2**30, abs=0.11)


@pytest.mark.parametrize(
    "overrides",
    [
        ["method=grpo"],
        ["method=rloo"],
        ["method=kto", "dataset=arithmetic_judged"],
        ["method=sft", "dataset=arithmetic_demonstrations"],
    ],
)
def test_only_a_preference_data_set_gets_the_note(composed, overrides):
    assert _preference(composed(*overrides)) == []


@pytest.mark.parametrize(
    ("overrides", "what", "hint"),
    [
        (["dataset.gold='<answer>{anser}</answer>'"], "'anser'", "over the columns prompt, answer"),
        (["dataset.gold='{answer'"], "cannot be made", "over the columns"),
        (["model.lora.target_modules=[q_prj]"], "no layer q_prj", "target_modules=[q_proj]"),
        (["dataset.gold='<answer>{answer}</answer>'"], None, None),
        (["dataset.gold='{anser}'", "method=dpo", *PAIRS], None, None),
        (["model.lora.target_modules=[q_prj]", "model.full_finetuning=true"], None, None),
    ],
)
def test_a_plan_makes_the_checks_that_read_little(composed, root, overrides, what, hint):
    columns = {"columns": dict.fromkeys(("prompt", "answer", "a", "b"), "string")}
    inputs = Inputs(root / "data/arithmetic", columns, None, root / "models/tiny", None, {})
    if what is None:
        refuse(composed(*overrides), inputs)
        return
    with pytest.raises(RunError) as caught:
        refuse(composed(*overrides), inputs)
    assert what in caught.value.what and hint in caught.value.hint
