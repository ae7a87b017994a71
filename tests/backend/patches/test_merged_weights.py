"""The adapter written into the engine's weights."""

import pytest
import torch
from peft import LoraConfig, get_peft_model
from torch import nn
from transformers import LlamaConfig, LlamaForCausalLM

from rlexp.backend.patches import merged_weights

PACKED = {"qkv_proj": ["q_proj", "k_proj", "v_proj"], "gate_up_proj": ["gate_proj", "up_proj"]}


class Engine(nn.Module):
    """A model with the fused layers of vLLM's, its weights copied from the unfused ones."""

    packed_modules_mapping = PACKED

    def __init__(self, base):
        super().__init__()
        weights = {n.removesuffix(".weight"): w for n, w in base.named_parameters() if n.endswith(".weight")}
        for name in list(weights):
            parent, _, leaf = name.rpartition(".")
            for fused, parts in PACKED.items():
                if leaf == parts[0]:
                    weights[f"{parent}.{fused}"] = torch.cat([weights.pop(f"{parent}.{part}") for part in parts])
        self.weights = {f"{name}.weight": nn.Parameter(w.detach().clone()) for name, w in weights.items()}

    def named_parameters(self, *_, **__):
        return iter(self.weights.items())


def model(targets=("q_proj", "v_proj", "down_proj", "up_proj"), **lora):
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=32,
        hidden_size=16,
        intermediate_size=24,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
    )
    base = LlamaForCausalLM(config).to(torch.bfloat16)
    engine = Engine(base)
    peft = get_peft_model(base, LoraConfig(r=4, lora_alpha=8, target_modules=list(targets), **lora))
    for name, weight in peft.named_parameters():
        if "lora_B" in name:
            nn.init.normal_(weight, std=0.1)
    return peft, engine


def test_every_adapted_layer_is_written_in_its_place_and_the_base_is_only_read():
    peft, engine = model()
    base = {name: w.clone() for name, w in peft.named_parameters() if "lora" not in name}
    merged_weights.InPlace(peft, engine).write()
    assert all(torch.equal(w, base[name]) for name, w in peft.named_parameters() if name in base)
    whole = peft.merge_and_unload().state_dict()
    for layer in range(2):
        at = f"model.layers.{layer}"
        qkv = torch.cat([whole[f"{at}.self_attn.{p}.weight"] for p in PACKED["qkv_proj"]])
        up = torch.cat([whole[f"{at}.mlp.{p}.weight"] for p in PACKED["gate_up_proj"]])
        for name, expected in (
            (f"{at}.self_attn.qkv_proj.weight", qkv),
            (f"{at}.mlp.gate_up_proj.weight", up),
            (f"{at}.mlp.down_proj.weight", whole[f"{at}.mlp.down_proj.weight"]),
        ):
            # PEFT adds in bfloat16, this in float32: the last bit may differ.
            torch.testing.assert_close(engine.weights[name].float(), expected.float(), rtol=2**-7, atol=1e-4)
            assert not torch.equal(engine.weights[name], Engine(LlamaForCausalLM(peft.config)).weights[name])


def test_writing_twice_is_writing_once():
    peft, engine = model()
    writer = merged_weights.InPlace(peft, engine)
    writer.write()
    once = {name: w.clone() for name, w in engine.weights.items()}
    writer.write()
    assert all(torch.equal(w, once[name]) for name, w in engine.weights.items())


def test_an_engine_with_other_weights_is_refused():
    peft, engine = model()
    engine.weights["model.layers.1.mlp.down_proj.weight"].data += 1
    with pytest.raises(ValueError, match=r"model\.layers\.1\.mlp\.down_proj is not the trained model's"):
        merged_weights.InPlace(peft, engine)


def test_what_is_no_plain_lora_is_refused():
    peft, engine = model(use_dora=True)
    with pytest.raises(ValueError, match="no plain LoRA"):
        merged_weights.InPlace(peft, engine)


def test_an_engine_elsewhere_is_sent_every_weight_with_the_adapter_in_it():
    peft, _ = model()
    sent = dict(merged_weights.weights(peft))
    base = {name: w.clone() for name, w in peft.named_parameters() if "lora" not in name}
    whole = dict(peft.merge_and_unload().named_parameters())
    assert sent.keys() == whole.keys() and len(sent) == len(base)
    for name, value in sent.items():
        assert value.dtype is torch.bfloat16 and not value.requires_grad
        torch.testing.assert_close(value, whole[name].data, rtol=2**-7, atol=2**-7)
    assert not torch.equal(sent["model.layers.0.mlp.up_proj.weight"], base_of(base, "mlp.up_proj"))


def base_of(base, leaf):
    return next(w for name, w in base.items() if leaf in name)
