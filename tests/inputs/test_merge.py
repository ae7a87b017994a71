"""The sum of a base's weight and an adapter: the same bytes, whatever is summed at a time and by how many threads."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from rlexp.inputs import merge


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_each_weight_is_summed_in_64_bits_and_rounded_once(tmp_path, monkeypatch, dtype):
    file, scale = tmp_path / "model.safetensors", 2.0
    weight = torch.randn(37, 24).to(dtype)
    save_file({"a.weight": weight, "b": torch.ones(3)}, file)
    up, down = np.random.default_rng(0).normal(size=(2, 37, 24))[:, :, :8]
    down = np.ascontiguousarray(down[:24].T)
    monkeypatch.setattr(merge, "BLOCK", 5 * 24)  # the last rows are fewer
    merge._add(file, "a.weight", up, down, scale)
    wanted = weight.double().numpy()
    for rank in range(8):
        wanted = wanted + (scale * up[:, rank, None]) * down[rank]
    if dtype is torch.bfloat16:
        expected = torch.from_numpy(wanted.astype(np.float32)).to(dtype)  # through 32 bits, as before
    else:
        expected = torch.from_numpy(wanted).to(dtype)
    found = load_file(file)
    assert torch.equal(found["a.weight"], expected) and torch.equal(found["b"], torch.ones(3))
