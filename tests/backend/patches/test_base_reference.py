"""The reference is the policy that training begins with: of a fresh adapter the base, else TRL's copy, which stays."""

from types import SimpleNamespace
from typing import Any

import torch
from peft import LoraConfig, get_peft_model

from rlexp.backend import restore
from rlexp.backend.patches import base_reference
from rlexp.backend.patches.patch import Status


class Layers(torch.nn.Sequential):
    """What PEFT wraps."""

    def __init__(self):
        super().__init__(torch.nn.Linear(4, 4))


def test_the_copy_of_the_adapter_goes_and_the_model_without_adapter_says_what_it_said():
    torch.manual_seed(0)
    model = get_peft_model(Layers(), LoraConfig(r=2, target_modules=["0"]))
    model.add_adapter("ref", model.peft_config["default"])
    given = torch.ones(1, 4)
    model.set_adapter("ref")
    copied = model(given)
    model.set_adapter("default")
    assert base_reference.apply(model).status is Status.applied
    assert list(model.peft_config) == ["default"] and model.active_adapters == ["default"]
    with model.disable_adapter():
        assert torch.equal(model(given), copied)
    assert base_reference.apply(model).status is Status.not_needed
    assert base_reference.apply(torch.nn.Linear(1, 1)).status is Status.not_needed


def test_the_copy_of_an_adapter_that_goes_on_stays_and_a_second_trainer_can_make_it_again():
    model: Any = get_peft_model(Layers(), LoraConfig(r=2, target_modules=["0"]))
    model.base_model.model[0].lora_B["default"].weight.data.fill_(0.5)
    before = {name: weight.clone() for name, weight in model.named_parameters() if weight.requires_grad}
    model.config, model.generation_config = SimpleNamespace(), SimpleNamespace()
    tokenizer = SimpleNamespace(**dict.fromkeys(restore.TOKENIZER_STATE))
    for _ in range(2):  # the smoke, the run
        with restore.restored_after(model, tokenizer):
            model.add_adapter("ref", model.peft_config["default"])
            assert base_reference.apply(model).status is Status.not_needed
            assert "ref" in model.peft_config
            model.base_model.model[0].lora_B["default"].weight.data.zero_()
    after = {name: weight for name, weight in model.named_parameters() if weight.requires_grad}
    assert after.keys() == before.keys() and all(torch.equal(after[name], before[name]) for name in before)


def test_the_weights_that_a_run_began_with_are_put_back_for_a_while():
    model = torch.nn.Linear(2, 2)
    begun = restore.trainable(model)
    model.weight.data.add_(1)
    now = model.weight.detach().clone()
    with restore.with_weights(model, begun):
        assert torch.equal(model.weight, begun["weight"])
    assert torch.equal(model.weight, now)
