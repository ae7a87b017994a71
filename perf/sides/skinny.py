"""A matrix product of few rows, y = x @ w.T, in one kernel that reads the weights once: what decoding spends most on.

Every program takes some rows of ``w`` and a part of their columns. Where the columns are split, the program that ends
last adds the parts up, always in the same order, so that the same input gives the same bits.
"""

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl

PARTS: dict[Any, tuple[Any, Any]] = {}
"""(device) -> workspace of float32 and of counters, which are zero between two launches."""
WORKSPACE = 64 * 2**20
"""Bytes of the first."""


@triton.jit
def kernel(  # type: ignore[no-untyped-def]
    x,
    w,
    y,
    workspace,
    counters,
    M,
    N,
    K,
    K_PART,
    SPLIT: tl.constexpr,
    BLOCK_M: tl.constexpr,
    BLOCK_N: tl.constexpr,
    BLOCK_K: tl.constexpr,
    TMA: tl.constexpr,
):
    block, part = tl.program_id(0), tl.program_id(1)
    columns = block * BLOCK_N + tl.arange(0, BLOCK_N)
    rows = tl.arange(0, BLOCK_M)
    begin = part * K_PART
    depth = begin + tl.arange(0, BLOCK_K)
    total = tl.zeros((BLOCK_N, BLOCK_M), dtype=tl.float32)
    x_at = x + rows[None, :] * K + depth[:, None]
    w_at = w + columns[:, None].to(tl.int64) * K + depth[None, :] if not TMA else 0
    inside = columns[:, None] < N
    for k in range(0, K_PART, BLOCK_K):
        if TMA:
            weights = w.load([block * BLOCK_N, begin + k])
        else:
            weights = tl.load(w_at, mask=inside, other=0.0, eviction_policy="evict_first")
            w_at += BLOCK_K
        values = tl.load(x_at, mask=rows[None, :] < M, other=0.0)
        total = tl.dot(weights, values, total)
        x_at += BLOCK_K
    out = y + rows[None, :] * N + columns[:, None]
    kept = inside & (rows[None, :] < M)
    if SPLIT == 1:
        tl.store(out, total.to(y.dtype.element_ty), mask=kept)
    else:
        size = BLOCK_N * BLOCK_M
        place = tl.arange(0, BLOCK_N)[:, None] * BLOCK_M + rows[None, :]
        tl.store(workspace + (block * SPLIT + part) * size + place, total)
        tl.debug_barrier()
        arrived = tl.atomic_add(counters + block, 1, sem="acq_rel")
        if arrived == SPLIT - 1:
            total = tl.zeros((BLOCK_N, BLOCK_M), dtype=tl.float32)
            for number in range(SPLIT):
                total += tl.load(workspace + (block * SPLIT + number) * size + place, cache_modifier=".cg")
            tl.store(out, total.to(y.dtype.element_ty), mask=kept)
            tl.store(counters + block, 0)


def product(x: Any, w: Any, block_n: int, block_k: int, split: int, stages: int, warps: int, tma: bool = False) -> Any:
    """x [rows, K] times w [N, K], transposed: [rows, N]. K is a multiple of ``split * block_k``."""
    rows, depth = x.shape
    columns = w.shape[0]
    assert depth % (split * block_k) == 0, (depth, split, block_k)
    y = torch.empty(rows, columns, dtype=x.dtype, device=x.device)
    if x.device not in PARTS:
        PARTS[x.device] = (
            torch.empty(WORKSPACE // 4, dtype=torch.float32, device=x.device),
            torch.zeros(65536, dtype=torch.int32, device=x.device),
        )
    workspace, counters = PARTS[x.device]
    weights = w
    if tma:
        from triton.tools.tensor_descriptor import TensorDescriptor

        weights = TensorDescriptor.from_tensor(w, [block_n, block_k])
    block_m = max(16, triton.next_power_of_2(rows))
    kernel[(triton.cdiv(columns, block_n), split)](
        x,
        weights,
        y,
        workspace,
        counters,
        rows,
        columns,
        depth,
        depth // split,
        SPLIT=split,
        BLOCK_M=block_m,
        BLOCK_N=block_n,
        BLOCK_K=block_k,
        TMA=tma,
        num_stages=stages,
        num_warps=warps,
    )
    return y
