"""What a composed tree must not say, one table a function: the value, what is said of it, and what to type."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from rlexp.compose import validate, validate_server
from rlexp.compose.methods import METHODS
from rlexp.compose.ranges import require_fields
from rlexp.compose.schema import (
    Combine,
    Device,
    HeldOut,
    Loader,
    Model,
    Reward,
    Rollout,
    RunSchema,
    Size,
    Term,
    VllmMode,
)
from rlexp.errors import RunError


def groups_of(groups, *given):
    """The checks of a tree's groups, as ``run.resolve`` makes them."""
    require_fields(groups)
    validate.groups_of(groups, *given)


SIZE = Size(2, 8, 16, 2, 1, 4, 32, False)


def arguments(method="grpo", **changed):
    """TRL's defaults with a learning rate, and what is changed of them."""
    found = {name: entry["default"] for name, entry in METHODS[method].arguments.items()}
    return found | {"learning_rate": 1e-4} | changed


def tree(**changed: Any) -> RunSchema:
    """A tree that is right, with some keys changed: ``rollout__name="x"``."""
    groups = RunSchema(
        model=Model(name="m", path="models/m", size=dataclasses.replace(SIZE)),
        reward=Reward(terms={"correct": Term(file="a.py"), "format": Term(file="b.py")}),
        held_out=HeldOut(max_new_tokens=8),
    )
    groups.hardware.name, groups.hardware.device = "cuda", Device.cuda
    groups.rollout.name, groups.dataset.name = "generate", "d"
    for key, value in changed.items():
        *path, last = key.split("__")
        place: Any = groups
        for name in path:
            place = place[name] if isinstance(place, dict) else getattr(place, name)
        setattr(place, last, value)
    return groups


@pytest.fixture
def refused():
    def check(function, *given, what, where=None, hint=None):
        with pytest.raises(RunError) as caught:
            function(*given)
        assert what in caught.value.what
        assert where is None or caught.value.where == where
        assert hint is None or hint in (caught.value.hint or "")

    return check


@pytest.mark.parametrize("method", METHODS)
def test_trls_own_defaults_are_in_range(method):
    validate.arguments_of(METHODS[method], arguments(method), 1)


@pytest.mark.parametrize(
    ("name", "value", "what", "hint"),
    [
        ("num_generations", 1, "num_generations is 1: grpo compares", "num_generations=2 or more"),
        ("num_generations", None, "num_generations is None", None),
        ("learning_rate", 0.0, "learning_rate is 0.0", "above 0"),
        ("learning_rate", -1e-4, "learning_rate is -0.0001", "above 0"),
        ("learning_rate", float("nan"), "learning_rate is nan", "above 0"),
        ("beta", -0.1, "beta is -0.1", "at least 0"),
        ("temperature", 0, "temperature is 0", "above 0"),
        ("max_completion_length", 0, "max_completion_length is 0", "at least 1"),
        ("num_iterations", 0, "num_iterations is 0", "at least 1"),
        ("logging_steps", 0, "logging_steps is 0", "above 0"),
        ("save_steps", 0, "save_steps is 0", "above 0"),
        ("loss_type", "dapoo", "'dapoo' is no loss_type of grpo", "type method.loss_type=dapo"),
        ("loss_type", "xyzxyz", "'xyzxyz' is no loss_type", "one of: "),
        ("loss_type", "cispo", "cispo caps the importance weight", "method.epsilon_high=5.0"),
        ("max_steps", 0, "max_steps is 0: nothing would be trained", "method.max_steps=60"),
    ],
)
def test_an_argument_out_of_range_is_refused(refused, name, value, what, hint):
    refused(validate.arguments_of, METHODS["grpo"], arguments(**{name: value}), 1, what=what, hint=hint)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("num_generations", 2), ("beta", 0), ("max_completion_length", 1), ("num_iterations", 1)),
        *(("learning_rate", 1e-9), ("save_steps", 0.5), ("max_steps", 1), ("max_completion_length", None)),
    ],
)
def test_the_ends_of_the_ranges_are_in_them(name, value):
    validate.arguments_of(METHODS["grpo"], arguments(**{name: value}), 1)


def test_what_only_some_methods_have(refused):
    dpo, sft = METHODS["dpo"], METHODS["sft"]
    refused(validate.arguments_of, dpo, arguments("dpo", max_length=1), 1, what="max_length is 1", hint="at least 2")
    validate.arguments_of(dpo, arguments("dpo", max_length=2), 1)
    bad = arguments("dpo", loss_type=["sigmoid", "sigmoidd"])  # DPO takes several
    refused(validate.arguments_of, dpo, bad, 1, what="'sigmoidd' is no loss_type of dpo", hint="loss_type=sigmoid")
    validate.arguments_of(METHODS["grpo"], arguments(loss_type="cispo", epsilon_high=5.0), 1)
    refused(validate.arguments_of, sft, arguments("sft"), 0, what="prompts_per_step is 0", hint="from 1 to")


@pytest.mark.parametrize(("epochs", "fine"), [(1.0, True), (0.5, True), (0.0, False), (-1.0, False)])
def test_without_a_number_of_steps_the_epochs_count(refused, epochs, fine):
    asked = arguments(max_steps=-1, num_train_epochs=epochs)
    if fine:
        validate.arguments_of(METHODS["grpo"], asked, 1)
    else:
        refused(validate.arguments_of, METHODS["grpo"], asked, 1, what=f"num_train_epochs is {epochs}", hint="above 0")


@pytest.mark.parametrize(
    ("steps", "given", "what"),
    [
        (0, {"num_iterations": 4}, None),
        (1, {"num_iterations": 1}, None),
        (1, {}, None),
        (2, {}, "off_policy_steps is 2"),
        (-1, {}, "off_policy_steps is -1"),
        (1, {"num_iterations": 2}, "one generation serves 2 updates"),
    ],
)
def test_a_run_samples_no_more_than_one_update_ahead(refused, steps, given, what):
    if what:
        refused(validate.off_policy_of, steps, given, what=what)
    else:
        validate.off_policy_of(steps, given)


GRPO = METHODS["grpo"]
BAD = float("inf"), float("nan")


@pytest.mark.parametrize(
    ("key", "least"),
    [
        *(("hardware.devices", 1), ("hardware.rollout_devices", 0), ("hardware.sequences_per_device", 1)),
        *(("hardware.memory_gib", 1), ("hardware.reward_workers", 0), ("rollout.gpu_memory_utilization", 0.01)),
        *(("model.size.vocab_size", 1), ("model.max_seq_length", 2), ("model.lora.r", 1)),
        *(("held_out.rows", 0), ("held_out.temperature", 0), ("held_out.max_new_tokens", 1), ("held_out.samples", 0)),
        *(
            ("held_out.every", 0),
            ("held_out.keep", 0),
            ("preflight.smoke_steps", 3),
            ("seed", 0),
            ("model.lora.lora_alpha", 1),
        ),
        *(("rollout.server_port", 1), ("rollout.group_port", 1), ("rollout.server_gpu", 1), ("dataset.train_rows", 1)),
        *(("reward.time_limit", 0.01), ("reward.max_failed", 0)),
    ],
)
def test_a_number_below_its_least_is_refused_and_the_least_is_not(refused, key, least):
    name = key.replace(".", "__")
    given = arguments(max_completion_length=1)
    groups_of(tree(**{name: least}), GRPO, given)
    below = least - 1 if isinstance(least, int) else least / 2
    refused(
        groups_of,
        tree(**{name: below}),
        GRPO,
        arguments(),
        what=f"{key} is {below}",
        where=key,
        hint=str(least),
    )
    for value in BAD:
        refused(groups_of, tree(**{name: value}), GRPO, given, what=f"{key} is {value}", where=key)


def test_numbers_that_are_left_open_are_none_to_refuse(refused):
    groups_of(tree(model__size=None, dataset__train_rows=None, hardware__reward_workers=None), GRPO, arguments())
    groups_of(tree(dataset__train_rows=1), GRPO, arguments())
    refused(groups_of, tree(dataset__train_rows=-1), GRPO, arguments(), what="dataset.train_rows is -1")


@pytest.mark.parametrize(
    ("changed", "given", "what", "hint"),
    [
        ({"model__path": None}, {}, "neither a folder nor a hub id", "model.path=FOLDER"),
        ({"reward__terms": {}}, {}, "grpo needs a reward", "reward=format+correct"),
        ({"reward__terms__correct__weight": float("inf")}, {}, "correct.weight is inf", "a finite one"),
        ({"model__max_seq_length": 20}, {"max_completion_length": 20}, "leave no room", "max_seq_length=40"),
        ({"rollout__gpu_memory_utilization": 1.1}, {}, "gpu_memory_utilization is 1.1", "from 0.01 to 1"),
    ],
)
def test_groups_that_do_not_go_together_are_refused(refused, changed, given, what, hint):
    refused(groups_of, tree(**changed), GRPO, arguments(**given), what=what, hint=hint)


def test_groups_that_just_go_together():
    groups_of(tree(model__max_seq_length=21), GRPO, arguments(max_completion_length=20))
    groups_of(tree(rollout__gpu_memory_utilization=1.0), GRPO, arguments())
    groups_of(tree(model__path=None, model__hub_id="a/b"), GRPO, arguments())
    groups_of(tree(reward__terms={}), METHODS["sft"], arguments("sft"))


COLOCATE = {"rollout__name": "colocate", "rollout__vllm_mode": VllmMode.colocate}
UNSLOTH = {"rollout__name": "unsloth", "rollout__fast_inference": True}
CPU = {"hardware__device": Device.cpu}
TRANSFORMERS = {"rollout__loader": Loader.transformers}


@pytest.mark.parametrize(
    ("changed", "method", "what", "hint"),
    [
        (COLOCATE | CPU, "grpo", "vLLM needs a GPU", "rollout=generate"),
        (UNSLOTH | CPU, "grpo", "vLLM needs a GPU", "rollout=generate"),
        (COLOCATE, "sft", "sft samples no completions", "rollout=generate"),
        (COLOCATE | UNSLOTH, "grpo", "two engines", "rollout=unsloth or rollout=colocate"),
        (UNSLOTH | {"model__full_finetuning": True}, "grpo", "shares frozen ones", "rollout=colocate"),
        (TRANSFORMERS | CPU, "grpo", "TRL's trainers need a GPU without Unsloth", "loader=unsloth"),
        (TRANSFORMERS | UNSLOTH, "grpo", "Unsloth's vLLM comes with Unsloth's model", "loader=unsloth"),
        (TRANSFORMERS | {"model__load_in_4bit": True}, "grpo", "a 4-bit base is Unsloth's", "loader=unsloth"),
        (COLOCATE | {"model__load_in_4bit": True}, "grpo", "a 4-bit base cannot be sent", "rollout=unsloth"),
        (COLOCATE | {"rollout__engine": {"max_num_seq": 8}}, "grpo", "takes no max_num_seq", "max_num_seqs="),
        (COLOCATE | {"rollout__server_port": 0}, "grpo", "server_port is 0", "from 1 to 65535"),
    ],
)
def test_completions_that_cannot_be_sampled_so_are_refused(refused, changed, method, what, hint):
    refused(groups_of, tree(**changed), METHODS[method], arguments(method), what=what, hint=hint)


@pytest.mark.parametrize(
    "changed",
    [
        CPU,
        COLOCATE,
        UNSLOTH,
        TRANSFORMERS,
        COLOCATE | TRANSFORMERS,
        COLOCATE | {"model__full_finetuning": True},
        UNSLOTH | {"model__load_in_4bit": True},
        {"model__full_finetuning": True, "model__load_in_4bit": False},
    ],
)
def test_completions_that_can_be(changed):
    groups_of(tree(**changed), GRPO, arguments())


SERVER = Rollout(name="server", vllm_mode=VllmMode.server)


@pytest.mark.parametrize(
    ("rollout", "what", "hint"),
    [
        (Rollout(name="colocate", server_url="http://a:1"), "a server is named", "type rollout=server"),
        (dataclasses.replace(SERVER, server_url="a:1"), "a:1 is no address", "server_url=http://a:1"),
        (dataclasses.replace(SERVER, group_port=8000), "share port 8000", "group_port=51216"),
    ],
)
def test_a_server_that_cannot_be_is_refused(refused, rollout, what, hint):
    refused(validate_server.server_of, rollout, what=what, hint=hint)


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"server_url": "http://a:1"},
        {"server_url": "https://a"},
        {"server_port": 1, "group_port": 65535, "server_gpu": 1023, "server_timeout": 0.1},
        {"server_port": 65535, "group_port": 1, "server_gpu": 1},
    ],
)
def test_a_server_that_can_be(changed):
    validate_server.server_of(dataclasses.replace(SERVER, **changed))


def terms(*names, **changed):
    return Reward(terms={name: Term(file=f"{name}.py") for name in names}, **changed)


@pytest.mark.parametrize(
    ("reward", "method", "what", "hint"),
    [
        (terms("correct", combine=Combine.gate), "grpo", "'format', and the reward has correct", "gate=correct"),
        (terms("format", combine=Combine.gate, gate="formt"), "grpo", "'formt'", "reward.gate=format,"),
        (terms(combine=Combine.gate), "grpo", "the reward has none", "reward.gate=TERM"),
        (terms("correct", combine=Combine.normalize), "rloo", "rloo cannot standardise", "method=grpo"),
        (terms("format", combine=Combine.gate), "grpo", None, None),
        (terms("correct", combine=Combine.gate), "dpo", None, None),  # it is asked no reward
        (terms("correct", combine=Combine.normalize), "grpo", None, None),
        (terms("correct", combine=Combine.normalize), "dpo", None, None),
        (terms("correct"), "rloo", None, None),
    ],
)
def test_terms_are_combined_as_the_method_can(refused, reward, method, what, hint):
    if what:
        refused(validate.combination_of, reward, METHODS[method], what=what, hint=hint)
    else:
        validate.combination_of(reward, METHODS[method])


def test_checkpoints_are_not_chosen_by_no_rows(composed):
    with pytest.raises(RunError, match=r"held_out\.rows is 0") as error:
        composed("held_out.every=2", "held_out.rows=0")
    assert "held_out.rows=128" in error.value.hint
    assert composed("held_out.every=2", "held_out.rows=0", "held_out.task=sums").held_out.every == 2


@pytest.mark.parametrize(
    "key",
    [
        "hardware.memory_gib",
        "hardware.devices",
        "hardware.rollout_devices",
        "hardware.sequences_per_device",
        "hardware.reward_workers",
        "rollout.gpu_memory_utilization",
        "model.max_seq_length",
        "model.lora.alpha",
        "model.size.hidden_size",
        "method.learning_rate",
        "method.max_steps",
        "method.prompts_per_step",
        "held_out.rows",
        "preflight.smoke_steps",
        "seed",
        "max_minutes",
        "cache.max_gib",
        "reward.terms.correct.weight",
    ],
)
@pytest.mark.parametrize("value", ["nan", "inf", "-inf"])
def test_no_number_of_the_config_is_infinite_or_none_at_all(composed, key, value):
    """With the rollout left to what is estimated, which must not compute with it first."""
    with pytest.raises(RunError) as caught:
        composed("hardware=h100", "model=qwen3_4b", f"{key}={value}")
    assert key in str(caught.value) and caught.value.hint


@pytest.mark.parametrize(
    ("typed", "hint"),
    [
        (("model.load_in_4bit=true", "rollout=colocate"), "rollout=unsloth"),
        (("rollout=unsloth", "rollout.loader=transformers"), "rollout.loader=unsloth"),
        (("model.load_in_4bit=true", "rollout=generate", "rollout.loader=transformers"), "rollout.loader=unsloth"),
    ],
)
def test_what_a_refused_loader_offers_composes(composed, typed, hint):
    whole = ("hardware=h100", "model=qwen3_1_7b", *typed)
    with pytest.raises(RunError) as caught:
        composed(*whole)
    assert caught.value.hint == f"type {hint}"
    composed(*whole, hint)
