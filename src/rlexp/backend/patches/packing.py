"""What Unsloth's packed passes need to be fast: one attention kernel for a whole row, and one check of a model.

Unsloth packs the sequences of a GRPO pass into one row. Where neither flash-attn nor xformers loads and torch is older
than 2.12, its attention takes every run of equally long sequences by itself, and the backward of each slice fills and
adds tensors as large as the row. The kernel for all of them is in torch 2.11 and groups queries, too; only
``varlen_attn`` there has no word for that.

Source: ``unsloth.utils.attention_dispatch`` (``_load_torch_varlen_attn``, ``_LeanFlashVarlen``,
``_sdpa_packed_segments``); ``unsloth_zoo.rl_replacements.grpo_accumulated_loss`` for the check;
``_flash_attention_backward`` in ATen for what is deterministic.
"""

from __future__ import annotations

import inspect
import logging
from typing import Any

from rlexp.backend.patches.micro_batches import rotary

ANY_LENGTH = 1 << 40
CHECKED = ("grad", "nograd")
"""The passes that Unsloth checks: those of the training, and those of old and reference log-probabilities."""


def check_once(model: Any) -> None:
    """Has Unsloth compare packed sequences with single ones at their first pass only, and not again whenever a longer
    row comes, which takes a forward pass a sequence; where positions are rotated alike at every length."""
    if not rotary(model.config):
        return
    for passes in CHECKED:
        for what in ("T", "seg"):
            setattr(model, f"_unsloth_seq_packing_{passes}_verified_{what}", ANY_LENGTH)


def one_kernel() -> bool:
    """Lets Unsloth attend to a packed row by torch's variable-length flash kernel.

    Returns:
        Whether it does so by this; False where Unsloth has a kernel already, or this one does not compute on this
        device what attention is (tried on a few tokens).
    """
    from unsloth.utils import attention_dispatch as dispatch

    wanted = ("_LeanFlashVarlen", "_TORCH_VARLEN_ATTN", "_varlen_attn_call")
    if any(not hasattr(dispatch, name) for name in wanted) or dispatch._TORCH_VARLEN_ATTN is not None:
        return False
    if dispatch.HAS_FLASH_ATTENTION or dispatch.HAS_XFORMERS:
        return False
    try:
        attend, eager = _grouped(), _repeatable(dispatch._LeanFlashVarlen)
        if not _right(eager.apply):
            return False
    except (AttributeError, ImportError, RuntimeError, TypeError) as error:
        logging.getLogger(__name__).warning("torch's variable-length attention is not used: %s", error)
        return False
    dispatch._TORCH_VARLEN_ATTN, dispatch._LeanFlashVarlen = attend, eager
    dispatch._LEAN_VARLEN = True
    dispatch._varlen_can_use_cudnn = lambda *_, **__: False
    return True


def _repeatable(function: Any) -> Any:
    """A ``torch.autograd.Function`` whose backward says the same every time: flash attention adds up the gradient of
    the queries in the order in which its blocks end, unless torch is told to be deterministic."""
    import torch

    class Repeatable(function):
        @staticmethod
        def backward(ctx: Any, *gradients: Any) -> Any:
            asked = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
            torch.use_deterministic_algorithms(True)
            try:
                return function.backward(ctx, *gradients)
            finally:
                torch.use_deterministic_algorithms(asked[0], warn_only=asked[1])

    return Repeatable


def _grouped() -> Any:
    """``varlen_attn`` with ``enable_gqa``, for compiled code, which does not take Unsloth's own function."""
    from torch.nn.attention.varlen import varlen_attn

    if "window_size" not in inspect.signature(varlen_attn).parameters:
        raise ImportError("varlen_attn has no window_size")

    def attend(query: Any, key: Any, value: Any, *rest: Any, enable_gqa: bool = False, **options: Any) -> Any:
        groups = query.shape[1] // key.shape[1] if enable_gqa else 1
        if groups > 1:
            key, value = (x.repeat_interleave(groups, dim=1) for x in (key, value))
        return varlen_attn(query, key, value, *rest, **options)

    return attend


def _right(apply: Any) -> bool:
    """Whether the kernel and its backward say what ``scaled_dot_product_attention`` says of each of two sequences.

    Args:
        apply: of (query, key, value, cu_seqlens, longest, causal, scale, window_left, window_right); the first three
            [tokens, heads, 64].
    """
    import torch

    lengths, heads, groups = (40, 24), 4, 2
    generator = torch.Generator("cuda").manual_seed(0)
    shapes = [(sum(lengths), count, 64) for count in (heads, heads // groups, heads // groups, heads)]
    query, key, value, weights = (
        torch.randn(shape, device="cuda", dtype=torch.bfloat16, generator=generator) for shape in shapes
    )
    ends = torch.tensor([0, lengths[0], sum(lengths)], device="cuda", dtype=torch.int32)

    def packed(*inputs: Any) -> Any:
        return apply(*inputs, ends, max(lengths), True, None, -1, 0)

    def single(*inputs: Any) -> Any:
        spread = [inputs[0], *(x.repeat_interleave(groups, dim=1) for x in inputs[1:])]
        parts = zip(*(x.transpose(0, 1).split(lengths, dim=1) for x in spread), strict=True)
        made = [torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True) for q, k, v in parts]
        return torch.cat(made, dim=1).transpose(0, 1)

    answers = []
    with torch.enable_grad():
        for function in (packed, single):
            inputs = [x.detach().clone().requires_grad_() for x in (query, key, value)]
            out = function(*inputs)
            answers.append([out.detach(), *torch.autograd.grad((out * weights).sum(), inputs)])
    return all(torch.allclose(a.float(), b.float(), atol=0.05, rtol=0.05) for a, b in zip(*answers, strict=True))
