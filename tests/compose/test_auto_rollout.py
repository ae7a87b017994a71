"""What rollout=auto chooses for composed runs."""

from pathlib import Path

import pytest

from rlexp.compose.points import points

CONF = Path(__file__).parents[2] / "conf"


LONG = ("method.max_completion_length=2048", "model.max_seq_length=4096", "method.prompts_per_step=16")
SMALL = ("hardware.memory_gib=24",)


def run(*overrides):
    return points(CONF, list(overrides), False)[0].run


@pytest.mark.parametrize(
    ("overrides", "name", "loader", "why"),
    [
        ([], "generate", "unsloth", "vLLM needs a GPU"),
        (["hardware=h100", "model=smollm2_135m"], "colocate", "transformers", "134e6 parameters"),
        (["hardware=h100", "model=qwen3_4b"], "colocate", "unsloth", "room for vLLM's own weights"),
        # no room for a second copy, or vLLM too small a cache
        (["hardware=t4_16gb", "model=qwen3_4b"], "unsloth", "unsloth", "4.0e9 parameters"),
        (["hardware=l4_24gb", "model=qwen3_1_7b"], "colocate", "unsloth", "room for"),
        (["hardware=h100", "model=qwen3_4b", *LONG], "colocate", "unsloth", "room for vLLM's own weights"),
        (["hardware=h100", "model=qwen3_4b", *SMALL], "unsloth", "unsloth", "second copy"),
        (["hardware=h100", "model=qwen3_4b", "rollout.loader=transformers"], "colocate", "transformers", "asked for"),
        (["hardware=h100", "model=smollm2_135m", "model.load_in_4bit=true"], "unsloth", "unsloth", "4-bit"),
        (["hardware=h100", "model=qwen3_4b", "model.full_finetuning=true"], "colocate", "transformers", "every weight"),
        (["hardware=h100", "method=dpo", "dataset=arithmetic_preferences"], "generate", "unsloth", "dpo samples no"),
        # a second GPU would wait for the first, unless it samples ahead or holds what the first has no room for
        (["hardware=h100x2", "model=qwen3_4b"], "colocate", "unsloth", "method.off_policy_steps=1 uses both"),
        (["hardware=h100x2", "model=smollm2_135m"], "colocate", "transformers", "method.off_policy_steps=1 uses both"),
        (["hardware=h100x2", "model=qwen3_4b", "method.off_policy_steps=1"], "server", "unsloth", "the next step"),
        (["hardware=h100x2", "model=qwen3_4b", *SMALL], "server", "unsloth", "a GPU for the second copy"),
        (["hardware=h100x2", "model=qwen3_4b", "model.full_finetuning=true"], "server", "unsloth", "a GPU for it"),
    ],
)
def test_auto_becomes_one_of_the_others_and_says_why(overrides, name, loader, why):
    rollout = run("hardware=cpu", *overrides).rollout if not overrides else run(*overrides).rollout
    assert (rollout.name, rollout.loader.name) == (name, loader)
    assert why in rollout.why


def test_what_was_typed_beside_auto_stays():
    rollout = run("hardware=h100", "rollout.gpu_memory_utilization=0.2", "rollout.enforce_eager=true").rollout
    assert (rollout.name, rollout.gpu_memory_utilization, rollout.enforce_eager) == ("colocate", 0.2, True)


@pytest.mark.parametrize("name", ["generate", "unsloth", "colocate"])
def test_auto_sets_what_the_option_sets(name):
    from rlexp.compose.rollout import ENGINES

    overrides = ["hardware=h100", "model=qwen3_4b"]
    option = run(*overrides, f"rollout={name}").rollout
    assert all(getattr(option, key) == value for key, value in ENGINES[name].items())
    assert option.why == ""
