"""Mistakes on the command line, each composed as it is typed: one message with the nearest valid choice."""

import pytest

from rlexp.errors import RunError

PREFERENCES = ("method=dpo", "dataset=arithmetic_preferences")


CASES: list[tuple[list[str], str, str | None]] = [
    (["reward=format+corect"], "no reward named 'corect'", "reward=format+correct"),
    (["reward=format+format"], "names format twice", "reward=format"),
    (["method.num_generation=4"], "no key method.num_generation", "method.num_generations"),
    (["+method.junk=1"], "no key method.junk", "--cfg job --package method"),
    (["+method.max_length=9"], "no key method.max_length", "max_completion_length"),
    (["dataset.difficulty=[0.9,0.1]"], "difficulty is [0.9, 0.1]", "dataset.difficulty=[0.1,0.9]"),
    (["dataset.difficulty=[0.1]"], "difficulty is [0.1]", "dataset.difficulty=[0.1,0.9]"),
    (["dataset.difficulty=[0,1.5]"], "difficulty is [0, 1.5]", "dataset.difficulty=null"),
    (["dataset.difficulty=[nan,1]"], "difficulty is [nan, 1]", "dataset.difficulty=[0.1,0.9]"),
    (["dataset.difficulty=0.5"], "takes a list", "dataset.difficulty=[0.5]"),
    (["method.beta=abc"], "could not be converted to Float", "method.beta=VALUE"),
    (["method.num_generations=1"], "num_generations is 1", "method.num_generations=2"),
    (["method.loss_type=dapoo"], "'dapoo' is no loss_type of grpo", "method.loss_type=dapo"),
    (["method.gradient_accumulation_steps=2"], "not set by hand: derived from", None),
    (["+method.vllm_mode=server"], "not set by hand: the hardware option", None),
    (["method.loss_type=cispo"], "cispo caps the importance weight", "method.epsilon_high=5.0"),
    (["method.learning_rate=0"], "learning_rate is 0", "above 0"),
    (["method.learning_rate=nan"], "learning_rate is nan", "above 0"),
    (["method.off_policy_steps=2"], "off_policy_steps is 2", "0: "),
    (["method.off_policy_steps=-1"], "off_policy_steps is -1", "0: "),
    (["method.off_policy_steps=1", "method.num_iterations=2"], "serves 2 updates", "method.num_iterations=1"),
    ([*PREFERENCES, "method.off_policy_steps=1"], "no key method.off_policy_steps", None),
    (["method.max_steps=0"], "nothing would be trained", "method.max_steps=60"),
    (["method=dppo"], "no method named 'dppo'", "method=dpo"),
    (["method.name=ppo"], "no method named 'ppo'", "method="),
    (["modle=tiny"], "no key modle", "model"),
    (["model=tinny"], "no model named 'tinny'", "model=tiny"),
    (["reward.terms.correct.wieght=2"], "no key reward.terms.correct.wieght", "weight"),
    (["reward.terms.correct.weight=inf"], "weight is inf", "finite"),
    (["model.max_seq_length=20"], "leave no room for the prompt", "model.max_seq_length=64"),
    (["hardware.devices=7"], "do not divide by 7 devices", "method.prompts_per_step="),
    (["rollout=unsloth", "hardware=cpu"], "needs a GPU", "rollout=generate"),
    (["rollout=server", "hardware=cpu"], "needs a GPU", "rollout=generate"),
    (["rollout=unsloth", "hardware=h100", "rollout.server_url=http://a:1"], "asks none", "rollout=server"),
    (["rollout=server", "hardware=h100", "rollout.server_url=a:1"], "no address", "server_url=http://a:1"),
    (["rollout=server", "hardware=h100", "rollout.server_gpu=0"], "server_gpu is 0", "from 1"),
    (["rollout=server", "hardware=h100", "rollout.server_port=51216"], "share port", "group_port"),
    (["rollout=server", "hardware=h100", "rollout.server_timeout=0"], "server_timeout is 0", "above 0"),
    (["rollout=server", "hardware=h100", "rollout.server_timeout=nan"], "server_timeout is nan", "above 0"),
    (
        ["rollout=colocate", "hardware=h100", "rollout.engine.async_schedulin=false"],
        "takes no",
        "async_scheduling=",
    ),
    (
        ["rollout=unsloth", "hardware=h100", "rollout.engine={compilation_config:{cudagraph_mod:FULL}}"],
        "takes no cudagraph_mod",
        "rollout.engine.compilation_config.cudagraph_mode=",
    ),
    (
        [
            *("rollout=server", "hardware=h100", "rollout.engine.cudagraph_capture_sizes=[8]"),
            "rollout.engine.compilation_config={cudagraph_capture_sizes:[8]}",
        ],
        "said twice",
        "leave one",
    ),
    (["rollout=unsloth", "hardware=h100", "rollout.engine.dtype=auto"], "not said here", "hardware.dtype="),
    (["rollout=unsloth", "hardware=h100", "rollout.engine.quantization=fp8"], "not said here", "leave it out"),
    (["rollout.engine.max_num_seqs=8"], "starts no vLLM", "rollout=unsloth"),
    (
        [
            *("rollout=server", "hardware=h100", "rollout.server_url=http://a:1"),
            "rollout.engine.max_num_seqs=8",
        ],
        "runs already",
        "give it to the server",
    ),
    (
        ["rollout=colocate", "hardware=h100", "rollout.gpu_memory_utilization=1.1"],
        "gpu_memory_utilization is 1.1",
        "to 1",
    ),
    (["rollout.gpu_memory_utilization=nan"], "gpu_memory_utilization is nan", "from 0.01 to 1"),
    (["hardware=h100", "hardware.memory_gib=inf"], "memory_gib is inf", "from 1 to"),
    (["hardware=h100", "hardware.memory_gib=nan"], "memory_gib is nan", "from 1 to"),
    (["rollout=unsloth", "hardware=h100", "model.full_finetuning=true"], "shares frozen", "rollout=colocate"),
    (["model.size=null", "model.size.hidden_size=8"], "model.size states nothing", "conf/"),
    ([*PREFERENCES, "rollout=unsloth", "hardware=h200"], "samples no completions", "rollout=generate"),
    (["model.path=null"], "neither a folder nor a hub id", "model.path=FOLDER"),
    (["seed=x"], "could not be converted to Integer", "seed=VALUE"),
    (["dataset=local"], "a value is missing", "dataset.params.file=VALUE"),
    (["reward.terms.correct.params.tol=1"], "no key reward.terms.correct.params.tol", "states no parameters"),
    (["method.beta=["], "cannot be read", "quote"),
    (["hardware.dtype=float8"], "expected one of [float32", None),
]
MISTAKES = [overrides for overrides, _, _ in CASES]
"""Command lines that are refused."""


@pytest.mark.parametrize(("overrides", "what", "hint"), CASES)
def test_a_mistake_is_one_message_with_the_nearest_valid_choice(composed, overrides, what, hint):
    with pytest.raises(RunError) as caught:
        composed(*overrides)
    assert what in caught.value.what
    assert hint is None or hint in (caught.value.hint or "")
