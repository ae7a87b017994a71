"""The facts of the methods, and the schemas made of TRL's arguments."""

from __future__ import annotations

import dataclasses

import pytest
from omegaconf import MISSING, OmegaConf
from omegaconf.errors import ValidationError

from rlexp.compose.methods import HARDWARE, METHODS, OWNED, Reference, owner, schema, table
from rlexp.compose.schema import DatasetType

FACTS = {
    # samples, reference, sequences a row, flags
    "grpo": (True, Reference.with_beta, 1, {"packs_passes"}),
    "rloo": (True, Reference.with_beta, 1, {"leave_one_out"}),
    "dpo": (False, Reference.always, 2, {"imitates"}),
    "orpo": (False, Reference.never, 2, {"adds_bos", "keeps_all_columns", "whole_logits"}),
    "kto": (False, Reference.always, 1, {"imitates"}),
    "sft": (False, Reference.never, 1, {"imitates", "takes_eos_token"}),
}
FLAGS = (
    "imitates",
    "takes_eos_token",
    "adds_bos",
    "keeps_all_columns",
    "whole_logits",
    "leave_one_out",
    "packs_passes",
)
TYPES = {"grpo": "prompt_only", "rloo": "prompt_only", "dpo": "preference", "orpo": "preference"}
TYPES |= {"kto": "unpaired_preference", "sft": "prompt_completion"}


@pytest.mark.parametrize("name", METHODS)
def test_the_facts_of_a_method(name):
    method, (online, reference, sequences, flags) = METHODS[name], FACTS[name]
    assert method.name == name
    assert (method.online, method.reference, method.sequences_per_row) == (online, reference, sequences)
    assert {flag for flag in FLAGS if getattr(method, flag)} == flags
    assert method.dataset_type is DatasetType[TYPES[name]]
    assert method.config_class.endswith(f".{name.upper()}Config")


@pytest.mark.parametrize(
    ("argument", "said"),
    [
        ("vllm_mode", HARDWARE),
        ("vllm_anything", HARDWARE),
        ("seed", "set seed"),
        ("per_device_train_batch_size", OWNED["generation_batch_size"]),
        ("learning_rate", None),
        ("beta", None),
    ],
)
def test_an_argument_has_an_owner_or_is_the_experiments(argument, said):
    assert owner(argument) == said


@pytest.mark.parametrize("name", METHODS)
def test_a_schema_has_the_arguments_that_the_experiment_owns_at_trls_defaults(name):
    method, kind = METHODS[name], schema(name)
    made = {f.name: f for f in dataclasses.fields(kind)}
    own = {"name", "prompts_per_step"} | ({"off_policy_steps"} if method.online else set())
    own |= {"shuffle_rows"} if method.fixed_order else set()
    every = table()["methods"][name]["arguments"]
    assert set(made) == own | {argument for argument in every if owner(argument) is None}
    assert set(method.arguments) == set(made) - own and set(method.all_arguments) == set(every)
    assert made["name"].default == name and made["prompts_per_step"].default == MISSING
    assert made["learning_rate"].default == f"${{model.learning_rate.{name}}}"
    node = OmegaConf.structured(kind)
    for argument, entry in method.arguments.items():
        if argument != "learning_rate":
            assert node[argument] == entry["default"], argument


def test_two_trees_of_a_method_share_no_list():
    one, two = schema("dpo")(prompts_per_step=1), schema("dpo")(prompts_per_step=1)
    lists = [f.name for f in dataclasses.fields(one) if isinstance(getattr(one, f.name), list)]
    assert lists and all(getattr(one, name) is not getattr(two, name) for name in lists)


def test_sampling_ahead_is_off_unless_it_is_typed():
    (field,) = [f for f in dataclasses.fields(schema("grpo")) if f.name == "off_policy_steps"]
    assert field.default == 0


def test_an_optional_argument_takes_none_and_its_own_type_and_an_optional_dictionary_takes_keys():
    node = OmegaConf.structured(schema("grpo"))
    node.epsilon_high = None
    node.epsilon_high = 5
    assert node.epsilon_high == 5.0
    with pytest.raises(ValidationError):
        node.epsilon_high = "x"
    assert OmegaConf.merge(node, {"chat_template_kwargs": {"a": 1}}).chat_template_kwargs == {"a": 1}
    with pytest.raises(ValidationError):
        node.learning_rate = None
