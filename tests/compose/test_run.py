"""From overrides to a checked run: identities, choices and mistakes."""

import dataclasses
import json

import pytest
from omegaconf import OmegaConf

from rlexp.compose import memory
from rlexp.compose.run import resolve
from rlexp.compose.schema import RunSchema, Size
from rlexp.compose.workload import Workload
from rlexp.errors import RunError
from rlexp.record.lock import identity

PREFERENCES = ("method=dpo", "dataset=arithmetic_preferences")


def test_the_order_of_reward_terms_says_nothing_about_the_run(composed):
    one, two = composed("reward=correct+format+length"), composed("reward=length+format+correct")
    assert identity(one) == identity(two)
    assert list(one.reward.terms) == ["correct", "format", "length"]


def test_a_dictionary_of_trl_can_be_given_keys(composed):
    run = composed("method.chat_template_kwargs={enable_thinking: false}")
    assert run.arguments["chat_template_kwargs"] == {"enable_thinking": False}


def test_the_pinned_identity_stands(composed):
    assert identity(composed("hardware=cpu")) == "0ca3ed73c5b72c23"


def test_a_run_says_its_completions_a_prompt_and_its_memory(composed):
    grpo, dpo = composed("method.num_generations=4"), composed(*PREFERENCES)
    assert (grpo.num_generations, dpo.num_generations) == (4, 1)
    assert (grpo.off_policy_steps, dpo.off_policy_steps) == (0, 0)
    assert grpo.geometry.sequences_per_step == 4 * grpo.prompts_per_step
    assert dpo.geometry.sequences_per_step == dpo.prompts_per_step
    assert grpo.chat_template_kwargs == {}
    assert composed("method.chat_template_kwargs={a: 1}").chat_template_kwargs == {"a": 1}


@pytest.mark.parametrize("checkpointing", ["true", "false"])
def test_the_memory_of_a_run_is_that_of_its_micro_batch_on_one_device(composed, checkpointing):
    run = composed(
        *("hardware=h100", "model=qwen3_0_6b", "hardware.devices=2", "hardware.sequences_per_device=4"),
        *("rollout=generate", f"hardware.gradient_checkpointing={checkpointing}"),
    )
    share = run.geometry.sequences_per_step // 2
    job = Workload(run.model.size, run.model, run.hardware, run.rollout, run.method, run.arguments, share)
    assert run.memory == memory.estimate(job, 4, checkpointing == "true")
    assert run.memory.cache == memory.cache(job)


def test_the_tree_of_a_run_holds_plain_values_and_what_says_the_problem_less(composed):
    config = composed("method.off_policy_steps=1", "rollout=generate", "hardware=cpu").config()
    assert list(config) == [f.name for f in dataclasses.fields(RunSchema) if f.name not in ("invocation", "cache")]
    assert json.loads(json.dumps(config)) == config
    assert (config["hardware"]["device"], config["dataset"]["type"]) == ("cpu", "prompt_only")
    assert list(config["method"])[:3] == ["name", "prompts_per_step", "off_policy_steps"]
    assert sorted(list(config["method"])[3:]) == list(config["method"])[3:]
    assert "off_policy_steps" not in composed(*PREFERENCES).config()["method"]
    experiment = composed("method.off_policy_steps=1").experiment()
    assert list(experiment) == ["seed", "model", "method", "dataset", "reward"]
    assert experiment["method"]["off_policy_steps"] == 1
    plain = composed().experiment()
    assert "off_policy_steps" not in plain["method"]
    assert not {"gold"} & plain["dataset"].keys() and "size" not in plain["model"]
    assert not {"time_limit", "max_failed"} & plain["reward"].keys()


def test_a_method_that_there_is_not_is_named_in_a_tree_of_any_origin(composed):
    config = composed().config()
    for name, near in (("grppo", "grpo"), (None, "grpo"), ("dpoo", "dpo")):
        config["method"]["name"] = name
        with pytest.raises(RunError, match="no method named") as caught:
            resolve(OmegaConf.create(config))
        assert caught.value.hint == f"leave out method.name, and type method={near}"


def test_the_size_of_the_folder_goes_before_that_of_the_tree(composed):
    config = OmegaConf.create(composed("model=qwen3_4b", "hardware=h100").config())
    size = Size(2, 8, 16, 4, 2, 3, 32, False)
    assert resolve(config, size).model.size == size
    assert resolve(config).model.size.num_hidden_layers == 36
    config.model.size = None
    assert resolve(config).memory is None
