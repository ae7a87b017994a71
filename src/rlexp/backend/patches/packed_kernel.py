"""Unsloth attends to a packed row by one kernel: torch's variable-length flash attention.

Unsloth packs the sequences of a GRPO pass into one row. Where neither flash-attn nor xformers loads and torch is older
than 2.12, its attention takes every run of equally long sequences by itself, and the backward of each slice fills and
adds tensors as large as the row. The kernel for all of them is in torch 2.11 and groups queries, too; only its function
``varlen_attn`` does not take ``enable_gqa`` there.

Source: ``unsloth.utils.attention_dispatch`` (``_load_torch_varlen_attn``, ``_LeanFlashVarlen``,
``_sdpa_packed_segments``); ``_flash_attention_backward`` in ATen for what is deterministic.
"""

from __future__ import annotations

import inspect
import logging
from typing import Any

from rlexp.backend.patches.patch import APPLIED, Outcome, Patch, not_needed, skipped

NEEDED = ("_LeanFlashVarlen", "_TORCH_VARLEN_ATTN", "_varlen_attn_call")
"""The names that Unsloth's module must have, in this version, to be given the kernel."""

PATCH = Patch(
    name="packed_kernel",
    target="unsloth.utils.attention_dispatch: _TORCH_VARLEN_ATTN, _LeanFlashVarlen, _LEAN_VARLEN, "
    "_varlen_can_use_cudnn",
    reason="Without flash-attn, xformers or torch 2.12 Unsloth's packed attention takes sequence after sequence.",
    gain="forward/backward 1.22 -> 0.97 s of a step at 4B on an H100 (perf/results/2026-11-25_4b_h100.md)",
    upstream="https://github.com/pytorch/pytorch/pull/179468",
    made_for={"unsloth": "2026.10", "torch": "2.11"},
    expires="torch >= 2.12, whose varlen_attn takes enable_gqa",
    whole_process=True,
)


def apply() -> Outcome:
    """Gives Unsloth torch's kernel where it has none, once this device computed attention with it (on a few tokens)."""
    from unsloth.utils import attention_dispatch as dispatch

    if missing := [name for name in NEEDED if not hasattr(dispatch, name)]:
        return skipped(f"{dispatch.__name__} has no {missing[0]}")
    if getattr(dispatch._LeanFlashVarlen, "repeatable", False):
        return APPLIED
    if dispatch._TORCH_VARLEN_ATTN is not None or dispatch.HAS_FLASH_ATTENTION or dispatch.HAS_XFORMERS:
        return not_needed("Unsloth has a kernel for packed rows")
    try:
        attend, eager = _grouped(), _repeatable(dispatch._LeanFlashVarlen)
        if not _right(eager.apply):
            return skipped("torch's variable-length attention computes something else on this device")
    except (AttributeError, ImportError, RuntimeError, TypeError) as error:
        logging.getLogger(__name__).warning("torch's variable-length attention is not used: %s", error)
        return skipped(f"torch's variable-length attention does not run: {str(error).splitlines()[0]}")
    dispatch._TORCH_VARLEN_ATTN, dispatch._LeanFlashVarlen = attend, eager
    dispatch._LEAN_VARLEN = True
    dispatch._varlen_can_use_cudnn = lambda *_, **__: False
    return APPLIED


def _repeatable(function: Any) -> Any:
    """The ``torch.autograd.Function`` with a deterministic backward: flash attention adds up the gradient of the
    queries in the order in which its blocks end, unless torch is set to be deterministic."""
    import torch

    class Repeatable(function):
        repeatable = True

        @staticmethod
        def backward(ctx: Any, *gradients: Any) -> Any:
            enabled = torch.are_deterministic_algorithms_enabled()
            warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
            torch.use_deterministic_algorithms(True)
            try:
                return function.backward(ctx, *gradients)
            finally:
                torch.use_deterministic_algorithms(enabled, warn_only=warn_only)

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
    """Says whether the kernel and its backward compute what ``scaled_dot_product_attention`` does for each of two
    sequences.

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
