"""Arguments of a method that do not go together: what is said, and what to type."""

import pytest

from rlexp.compose import arguments_together, generation, optimizers
from rlexp.compose.methods import METHODS
from rlexp.compose.schema import Device, Rollout, VllmMode
from rlexp.errors import RunError


def arguments(method, **changed):
    """TRL's defaults with some changed."""
    return {name: entry["default"] for name, entry in METHODS[method].arguments.items()} | changed


@pytest.mark.parametrize("method", METHODS)
def test_trls_defaults_go_together(method):
    arguments_together.check(METHODS[method], arguments(method))


@pytest.mark.parametrize("method", METHODS)
def test_what_is_not_served_names_what_is(method):
    assert METHODS[method].unserved
    for name, instead in METHODS[method].unserved.items():
        with pytest.raises(RunError, match="is not set by hand: ") as caught:
            arguments_together.check(METHODS[method], arguments(method, **{name: "typed"}))
        assert instead in caught.value.what and caught.value.where == f"method.{name}"


@pytest.mark.parametrize(
    ("method", "changed", "what", "hint"),
    [
        ("sft", {"save_strategy": "best"}, "the best checkpoint", "save_strategy=steps"),
        ("grpo", {"max_steps": 0}, "nothing would be trained", "max_steps=60"),
        ("sft", {"save_steps": 1.5}, "neither a number of steps", "save_steps=1"),
        ("grpo", {"lr_scheduler_type": "constant", "warmup_steps": 5}, "no warmup", "constant_with_warmup"),
        ("sft", {"lr_scheduler_type": "reduce_lr_on_plateau"}, "follows evaluations", "lr_scheduler_type=cosine"),
        ("sft", {"lr_scheduler_type": "cosine_with_min_lr"}, "needs min_lr or", "{min_lr_rate: 0.1}"),
        ("sft", {"lr_scheduler_type": "warmup_stable_decay"}, "needs num_decay_steps", "{num_decay_steps: 10}"),
        ("sft", {"lr_scheduler_kwargs": {"min_lr": 1}}, "takes no arguments, not min_lr", "leave it out"),
        (
            "sft",
            {"lr_scheduler_type": "cosine", "lr_scheduler_kwargs": {"num_cycle": 1}},
            "takes num_cycles",
            "num_cycles",
        ),
        ("sft", {"dataloader_prefetch_factor": 2}, "dataloader_num_workers is 0", "dataloader_num_workers=2"),
        ("sft", {"packing_strategy": "wrapped"}, "packing is False", "method.packing=true"),
        ("grpo", {"sapo_temperature_neg": 2.0}, "loss_type is dapo", "loss_type=sapo"),
        ("dpo", {"discopop_tau": 1.0}, "loss_type is", "loss_type=[discopop]"),
        ("dpo", {"precompute_ref_batch_size": 4}, "precompute_ref_log_probs is False", "precompute_ref_log_probs=true"),
        ("grpo", {"loss_type": "cispo"}, "cispo caps", "epsilon_high=5.0"),
        ("dpo", {"loss_type": ["exo_pair"]}, "logarithm", "label_smoothing=0.001"),
        ("dpo", {"loss_weights": [1.0, 2.0]}, "2 weights for the losses sigmoid", "loss_weights=[1.0]"),
        ("dpo", {"train_sampling_strategy": "group_by_length"}, "for sft alone", "leave"),
        ("kto", {"train_sampling_strategy": "random"}, "fixed order", "apo_zero_unpaired"),
        ("grpo", {"sync_ref_model": True}, "beta is 0", "method.beta=0.04"),
        ("rloo", {"reward_clip_range": [1.0, -1.0]}, "reward_clip_range", "[-1.0, 1.0]"),
        ("rloo", {"reward_clip_range": [1.0]}, "reward_clip_range", "[-1.0, 1.0]"),
        (
            "grpo",
            {"entropy_coef_min": 2.0, "use_adaptive_entropy": True},
            "above entropy_coef_max 1.0",
            "entropy_coef_min=1.0 method.entropy_coef_max=2.0",
        ),
    ],
)
def test_arguments_that_do_not_go_together(method, changed, what, hint):
    with pytest.raises(RunError) as caught:
        arguments_together.check(METHODS[method], arguments(method, **changed))
    assert what in caught.value.what and hint in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("method", "changed"),
    [
        ("grpo", {"lr_scheduler_type": "constant_with_warmup", "warmup_steps": 5}),
        ("sft", {"lr_scheduler_type": "cosine_with_min_lr", "lr_scheduler_kwargs": {"min_lr": 1e-6}}),
        ("sft", {"dataloader_prefetch_factor": 2, "dataloader_num_workers": 1}),
        ("grpo", {"loss_type": "sapo", "sapo_temperature_neg": 2.0}),
        ("dpo", {"loss_type": ["sigmoid", "sft"], "loss_weights": [1.0, 0.5]}),
        ("kto", {"loss_type": "apo_zero_unpaired", "train_sampling_strategy": "random"}),
        ("sft", {"train_sampling_strategy": "group_by_length"}),
        ("sft", {"save_steps": 0.5, "logging_steps": 2.0}),
    ],
)
def test_arguments_that_do(method, changed):
    arguments_together.check(METHODS[method], arguments(method, **changed))


VLLM = Rollout(name="colocate", vllm_mode=VllmMode.colocate)
GENERATE = Rollout(name="generate")


@pytest.mark.parametrize(
    ("given", "rollout", "hint"),
    [
        ({"foo": 1}, GENERATE, "leave it out"),
        ({"temperature": 0.1}, GENERATE, "type method.temperature=..."),
        ({"max_tokens": 5}, VLLM, "type method.max_completion_length=..."),
        ({"n": 2}, VLLM, "type method.num_generations=..."),
        ({"do_sample": False}, GENERATE, "leave it out"),
        ({"no_repeat_ngram_sizes": 3}, GENERATE, "generation_kwargs={no_repeat_ngram_size: 3}"),
        ({"no_repeat_ngram_size": 3}, VLLM, "leave it out"),
        ({"presence_penalt": 1.0}, VLLM, "generation_kwargs={presence_penalty: 1.0}"),
    ],
)
def test_further_arguments_of_sampling_that_nothing_reads(given, rollout, hint):
    with pytest.raises(RunError) as caught:
        generation.check(given, rollout)
    assert hint in (caught.value.hint or "")


def test_those_that_the_engine_reads():
    generation.check({"no_repeat_ngram_size": 3}, GENERATE)
    generation.check({"presence_penalty": 1.0, "bad_words": ["x"]}, VLLM)


@pytest.mark.parametrize(
    ("optim", "device", "hint"),
    [
        ("lion_8bit", Device.cpu, "optim=adamw_torch"),
        ("paged_adamw_32bit", Device.cpu, "optim=adamw_torch"),
        ("galore_adafactor", Device.cpu, None),
        ("adamw_torch_8bit", Device.cpu, "optim=adamw_torch"),
        ("lion_8bit", Device.cuda, None),
        ("adamw_torch_xla", Device.cuda, "optim=adamw_torch"),
        *((optim, Device.cpu, None) for optim in ("adamw_torch", "adamw_torch_fused", "adafactor", "sgd", "rmsprop")),
    ],
)
def test_an_optimizer_that_the_device_cannot_run(optim, device, hint):
    given = {"optim": optim, "optim_target_modules": None, "optim_args": None}
    if hint is None:
        optimizers.check(given, device)
        return
    with pytest.raises(RunError) as caught:
        optimizers.check(given, device)
    assert hint in (caught.value.hint or "")


def test_layers_that_no_optimizer_treats_apart():
    with pytest.raises(RunError, match="reads no optim_target_modules"):
        optimizers.check({"optim": "sgd", "optim_target_modules": "all-linear", "optim_args": None}, Device.cuda)
    optimizers.check({"optim": "galore_adamw", "optim_target_modules": "all-linear", "optim_args": None}, Device.cuda)


@pytest.mark.parametrize(
    ("optim", "needed"),
    [
        *(("adamw_torch", []), ("lion_8bit", ["bitsandbytes"]), ("adamw_torch_4bit", ["torchao"])),
        *(("galore_adamw_8bit", ["bitsandbytes", "galore-torch"]), ("schedule_free_sgd", ["schedulefree"])),
    ],
)
def test_what_an_optimizer_needs(optim, needed):
    assert optimizers.packages(optim) == needed


@pytest.mark.parametrize(
    ("optim", "given", "what"),
    [
        ("adamw_torch", "foo=1", "adamw_torch reads no optim_args"),
        ("sgd", "3.9e16", "sgd takes momentum, dampening, weight_decay, nesterov, not 3.9e16"),
        ("sgd", "momentun=0.9", "not momentun=0.9"),
        ("sgd", "momentum=fast", "momentum is 'fast', no number"),
        ("rmsprop", "centered=maybe", "not centered=maybe"),
        ("sgd", "momentum=0.9,nesterov=true", None),
        ("galore_adamw", "rank=4", None),
        ("adamw_torch", None, None),
    ],
)
def test_arguments_that_an_optimizer_reads(optim, given, what):
    arguments = {"optim": optim, "optim_target_modules": None, "optim_args": given}
    if what is None:
        optimizers.check(arguments, Device.cuda)
        return
    with pytest.raises(RunError) as caught:
        optimizers.check(arguments, Device.cuda)
    assert what in caught.value.what


@pytest.mark.parametrize("typed", ["adam", "adamw", "AdamW"])
def test_adam_is_torchs(typed):
    assert optimizers.likely(typed, METHODS["sft"].arguments["optim"]["choices"]) == "adamw_torch"
