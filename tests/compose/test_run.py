"""From overrides to a checked run: identities, choices and mistakes."""

import re

import pytest
import yaml
from omegaconf import OmegaConf

from rlexp.cli import plan
from rlexp.compose.methods import METHODS, owner
from rlexp.compose.points import points
from rlexp.compose.run import resolve
from rlexp.errors import RunError
from rlexp.record.lock import identity

PREFERENCES = ("method=dpo", "dataset=arithmetic_preferences")


def test_the_order_of_reward_terms_says_nothing_about_the_run(composed):
    one, two = composed("reward=correct+format+length"), composed("reward=length+format+correct")
    assert identity(one) == identity(two)
    assert list(one.reward.terms) == ["correct", "format", "length"]


@pytest.mark.parametrize(
    "override",
    ["seed=1", "method.beta=0.04", "reward=format", "reward.terms.correct.weight=2", "model.lora.r=8", "dataset=gcd"],
)
def test_what_changes_the_problem_changes_the_identity(composed, override):
    assert identity(composed(override)) != identity(composed())


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        ([], None),
        (["method=rloo"], "no time is gained"),
        (["rollout=server", "hardware=h100x2"], "while that one trains"),
    ],
)
def test_sampling_ahead_is_another_problem_wherever_it_samples_and_plan_says_so(composed, overrides, said):
    ahead = composed("method.off_policy_steps=1", *overrides)
    assert identity(ahead) != identity(composed(*overrides))
    assert plan._off_policy(composed(*overrides)) == []
    ((name, told),) = plan._off_policy(ahead)
    assert name == "off-policy" and (said or "") in told


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        ([], "1 more for a vLLM server (idle)"),  # the rollout's line says what would use it
        (["rollout=generate"], "1 more for a vLLM server (idle: rollout=server)"),
        (["rollout=server"], "1 more for a vLLM server"),
    ],
)
def test_plan_says_whether_a_second_gpu_is_used(composed, overrides, said):
    assert plan._devices(composed("hardware=h100x2", *overrides)).endswith(said)


@pytest.mark.parametrize(
    "override", ["hardware=h200", "hardware.sequences_per_device=8", "tracking=wandb", "held_out.rows=8"]
)
def test_where_it_runs_and_what_is_watched_does_not_change_the_identity(composed, override):
    assert identity(composed(override)) == identity(composed("hardware=cpu"))


def test_hardware_auto_names_a_concrete_option(composed):
    assert composed("hardware=auto").hardware.name in ("cpu", "cuda", "h100", "h200")


@pytest.mark.parametrize("name", METHODS)
def test_every_argument_of_a_method_has_one_owner(composed, root, name):
    dataset = next(
        path.stem
        for path in sorted((root / "conf/dataset").glob("arithmetic*.yaml"))
        if f"type: {METHODS[name].dataset_type.name}\n" in path.read_text()
    )
    run = composed(f"method={name}", f"dataset={dataset}")
    assert set(run.arguments) == {a for a in METHODS[name].all_arguments if owner(a) is None}


@pytest.mark.parametrize(
    ("overrides", "what", "hint"),
    [
        (["reward=format+corect"], "no reward named 'corect'", "reward=format+correct"),
        (["reward=format+format"], "names format twice", "reward=format"),
        (["method.num_generation=4"], "no key method.num_generation", "method.num_generations"),
        (["+method.junk=1"], "no key method.junk", "--cfg job --package method"),
        (["+method.max_length=9"], "no key method.max_length", "max_completion_length"),
        (["method.beta=abc"], "could not be converted to Float", "method.beta=VALUE"),
        (["method.num_generations=1"], "num_generations is 1", "method.num_generations=2"),
        (["method.loss_type=dapoo"], "'dapoo' is no loss_type of grpo", "method.loss_type=dapo"),
        (["method.gradient_accumulation_steps=2"], "not set by hand: derived from", None),
        (["+method.vllm_mode=server"], "not set by hand: the hardware option", None),
        (["method.loss_type=cispo"], "cispo caps the importance weight", "method.epsilon_high=5.0"),
        (["method.learning_rate=0"], "learning_rate is 0", "above 0"),
        (["method.learning_rate=nan"], "learning_rate is nan", "finite"),
        (["method.off_policy_steps=2"], "off_policy_steps is 2", "0: "),
        (["method.off_policy_steps=-1"], "off_policy_steps is -1", "0: "),
        (["method.off_policy_steps=1", "method.num_iterations=2"], "serves 2 updates", "method.num_iterations=1"),
        ([*PREFERENCES, "method.off_policy_steps=1"], "no key method.off_policy_steps", None),
        (["method.max_steps=0"], "nothing would be trained", "positive"),
        (["method=dppo"], "no method named 'dppo'", "method=dpo"),
        (["method.name=ppo"], "no method named 'ppo'", "method="),
        (["modle=tiny"], "no key modle", "model"),
        (["model=tinny"], "no model named 'tinny'", "model=tiny"),
        (["reward.terms.correct.wieght=2"], "no key reward.terms.correct.wieght", "weight"),
        (["reward.terms.correct.weight=inf"], "the weight is inf", "finite"),
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
        (["rollout=colocate", "hardware=h100", "rollout.gpu_memory_utilization=1.1"], "more than the device", "to 1"),
        (["rollout.gpu_memory_utilization=nan"], "gpu_memory_utilization is nan", "at least 0.01"),
        (["hardware=h100", "hardware.memory_gib=inf"], "memory_gib is inf", "at least 1"),
        (["hardware=h100", "hardware.memory_gib=nan"], "memory_gib is nan", "at least 1"),
        (["rollout=unsloth", "hardware=h100", "model.full_finetuning=true"], "shares frozen", "rollout=colocate"),
        (["model.size=null", "model.size.hidden_size=8"], "states no size", "conf/model"),
        ([*PREFERENCES, "rollout=unsloth", "hardware=h200"], "samples no completions", "rollout=generate"),
        (["model.path=null"], "neither a folder nor a hub id", "model.path=FOLDER"),
        (["seed=x"], "could not be converted to Integer", "seed=VALUE"),
        (["dataset=local"], "a value is missing", "dataset.params.file=VALUE"),
        (["method.beta=["], "cannot be read", "quote"),
        (["hardware.dtype=float8"], "expected one of [float32", None),
    ],
)
def test_a_mistake_is_one_message_with_the_nearest_valid_choice(composed, overrides, what, hint):
    with pytest.raises(RunError) as caught:
        composed(*overrides)
    assert what in caught.value.what
    assert hint is None or hint in (caught.value.hint or "")


def test_a_sweep_names_every_impossible_point(root):
    with pytest.raises(RunError, match="2 of 4 points") as caught:
        points(root / "conf", ["method.beta=0,0.04", "method.num_generations=1,4"], multirun=True)
    assert len(re.findall(r"method\.num_generations=1", caught.value.what)) == 2


def test_a_sweep_over_num_generations_is_not_cut_by_divisibility(root):
    made = points(root / "conf", ["method.num_generations=2,3,5,7,16", "method.prompts_per_step=6"], multirun=True)
    assert [point.run.geometry.sequences_per_step for point in made] == [12, 18, 30, 42, 96]


@pytest.mark.parametrize(
    ("overrides", "what", "hint"),
    [
        (["reward=correct", "reward.combine=gate"], "the gate is the term 'format'", "reward.gate=correct"),
        (["reward=format+correct", "reward.combine=gate", "reward.gate=corect"], "'corect'", "reward.gate=correct"),
        (["method=rloo", "reward.combine=normalize"], "rloo cannot standardise", "method=grpo"),
        (["reward.combine=mean"], "mean", "sum"),
    ],
)
def test_terms_that_cannot_be_combined_so_are_refused(composed, overrides, what, hint):
    with pytest.raises(RunError) as caught:
        composed(*overrides)
    assert what in caught.value.what and hint in str(caught.value)


def test_how_a_reward_is_guarded_does_not_change_the_identity(composed):
    guarded = composed("reward.time_limit=3", "reward.max_failed=0.5", "dataset.gold=x", "hardware.reward_workers=1")
    assert identity(guarded) == identity(composed())
    assert identity(composed("reward.combine=normalize")) != identity(composed())


def test_a_dictionary_of_trl_can_be_given_keys(composed):
    run = composed("method.chat_template_kwargs={enable_thinking: false}")
    assert run.arguments["chat_template_kwargs"] == {"enable_thinking": False}


@pytest.mark.parametrize("method", METHODS)
def test_a_config_read_back_from_a_lock_is_the_same_run(composed, root, method):
    dataset = {"prompt_only": "arithmetic", "preference": "arithmetic_preferences"}.get(
        METHODS[method].dataset_type.name, "arithmetic_judged" if method == "kto" else "arithmetic_demonstrations"
    )
    run = composed(f"method={method}", f"dataset={dataset}", "reward=format+length")
    locked = yaml.safe_load(yaml.safe_dump(run.config()))
    assert resolve(OmegaConf.create(locked)).config() == run.config()


@pytest.mark.parametrize(
    "overrides",
    [
        ["hardware=h100", "rollout=unsloth", "model=qwen3_4b"],
        ["hardware=cuda", "rollout=colocate", "model=qwen3_0_6b"],
        ["hardware=cpu"],
    ],
)
def test_the_record_holds_numbers_and_reads_back_as_the_same_run(composed, overrides):
    run = composed(*overrides)
    locked = yaml.safe_load(yaml.safe_dump(run.config()))
    for key in ("sequences_per_device", "gradient_checkpointing"):
        assert locked["hardware"][key] is not None
    assert resolve(OmegaConf.create(locked)).config() == run.config()


def test_a_lock_from_before_there_were_sizes_is_the_same_run(composed):
    run = composed("hardware=h100", "model=qwen3_0_6b", "rollout=unsloth")
    older = run.config()
    del older["model"]["size"], older["hardware"]["memory_gib"], older["hardware"]["rollout_devices"]
    again = resolve(OmegaConf.create(older))
    assert identity(again) == identity(run)
    assert again.geometry == run.geometry and again.rollout == run.rollout
    assert again.hardware.gradient_checkpointing == run.hardware.gradient_checkpointing


def test_the_size_does_not_change_the_identity(composed):
    one = composed("model=qwen3_4b", "hardware=h100")
    assert identity(composed("model=qwen3_4b", "hardware=h100", "model.size.hidden_size=4096")) == identity(one)


def test_the_pinned_identity_stands(composed):
    assert identity(composed("hardware=cpu")) == "0ca3ed73c5b72c23"
