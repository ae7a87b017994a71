"""The reference model is the base: TRL's copy of the fresh adapter goes."""

import torch
from peft import LoraConfig, get_peft_model

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
