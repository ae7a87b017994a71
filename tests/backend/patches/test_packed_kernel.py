"""The kernel that Unsloth's packed passes are given."""

import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch

from rlexp.backend.patches import packed_kernel
from rlexp.backend.patches.patch import Status


class Squared(torch.autograd.Function):
    """A function that says whether torch is deterministic in its backward."""

    deterministic = None

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x

    @staticmethod
    def backward(ctx, gradient):
        Squared.deterministic = torch.are_deterministic_algorithms_enabled()
        return 2 * ctx.saved_tensors[0] * gradient


def test_the_backward_of_the_kernel_is_deterministic_and_nothing_else():
    x = torch.tensor([3.0], requires_grad=True)
    packed_kernel._repeatable(Squared).apply(x).sum().backward()
    assert x.grad.item() == 6 and Squared.deterministic
    assert not torch.are_deterministic_algorithms_enabled()


@pytest.fixture
def dispatch(monkeypatch):
    """Unsloth's module of attention, where nothing is installed that attends to a packed row."""
    found = SimpleNamespace(
        __name__="unsloth.utils.attention_dispatch",
        HAS_FLASH_ATTENTION=False,
        HAS_XFORMERS=False,
        _TORCH_VARLEN_ATTN=None,
        _varlen_attn_call=object(),
        _LeanFlashVarlen=Squared,
    )
    for name in ("unsloth", "unsloth.utils"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    monkeypatch.setattr(sys.modules["unsloth.utils"], "attention_dispatch", found, raising=False)
    return found


@pytest.mark.parametrize(
    ("there", "right", "put"),
    [
        ({}, True, True),
        ({}, False, False),
        ({"HAS_XFORMERS": True}, True, False),
        ({"HAS_FLASH_ATTENTION": True}, True, False),
        ({"_TORCH_VARLEN_ATTN": "Unsloth's"}, True, False),
    ],
)
def test_the_kernel_is_put_where_there_is_none_and_only_if_it_computes_attention(
    dispatch, monkeypatch, there, right, put
):
    vars(dispatch).update(there)
    monkeypatch.setattr(packed_kernel, "_right", lambda apply: right)
    before, eager = dispatch._TORCH_VARLEN_ATTN, dispatch._LeanFlashVarlen
    assert (packed_kernel.apply().status is Status.applied) is put
    assert (dispatch._TORCH_VARLEN_ATTN is before) is not put
    assert issubclass(dispatch._LeanFlashVarlen, eager) and (dispatch._LeanFlashVarlen is eager) is not put
    if put:
        assert packed_kernel.apply().status is Status.applied  # again, for the next run of the process
        assert dispatch._LEAN_VARLEN and not dispatch._varlen_can_use_cudnn(1, 2, enable_gqa=True)


def test_an_unsloth_that_is_built_otherwise_stays_as_it_is(dispatch):
    del dispatch._varlen_attn_call
    outcome = packed_kernel.apply()
    assert outcome.status is Status.skipped and "_varlen_attn_call" in outcome.why
    assert dispatch._TORCH_VARLEN_ATTN is None


def test_grouped_heads_are_repeated_for_torchs_own_function(monkeypatch):
    taken: dict[str, Any] = {}

    def varlen_attn(query, key, value, *rest, window_size=(-1, -1), **options):
        taken.update(key=key, rest=rest, window_size=window_size, options=options)
        return query

    module = ModuleType("torch.nn.attention.varlen")
    module.varlen_attn = varlen_attn
    monkeypatch.setitem(sys.modules, "torch.nn.attention.varlen", module)
    query, key = torch.zeros(3, 4, 8), torch.arange(3.0 * 2 * 8).view(3, 2, 8)
    packed_kernel._grouped()(query, key, key, 1, window_size=(-1, 0), scale=2.0, enable_gqa=True)
    assert taken["key"].shape == (3, 4, 8) and torch.equal(taken["key"][:, 1], key[:, 0])
    assert taken["rest"] == (1,) and taken["window_size"] == (-1, 0) and taken["options"] == {"scale": 2.0}
