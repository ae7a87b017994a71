"""The sum of a base's weight and an adapter: the same bytes, whatever is summed at a time and by how many threads."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from rlexp.inputs import merge

KINDS = [torch.float32, torch.float16, torch.bfloat16]
HALVES = KINDS[1:]


def merged(folder, weight, up, down, scale=2.0):
    file = folder / "model.safetensors"
    save_file({"a.weight": weight, "b": torch.ones(3)}, file)
    merge._add(file, "a.weight", up, down, scale)
    found = load_file(file)
    assert torch.equal(found["b"], torch.ones(3))
    return found["a.weight"]


def normal(*shape, size=1.0):
    return np.random.default_rng(0).normal(size=shape) * size


@pytest.mark.parametrize("dtype", KINDS)
def test_each_weight_is_summed_in_64_bits_and_rounded_once_to_one_of_its_neighbours(tmp_path, dtype):
    weight, up, down = torch.tensor(normal(37, 24)).to(dtype), normal(37, 8), normal(8, 24)
    found = merged(tmp_path, weight, up, down).double().numpy()
    wanted = weight.double().numpy()
    for rank in range(8):
        wanted = wanted + (2.0 * up[:, rank, None]) * down[rank]
    nearest = torch.from_numpy(wanted).to(dtype)
    if dtype is torch.float32:
        assert np.array_equal(found, nearest.double().numpy())
    step = torch.finfo(dtype).eps * np.exp2(np.floor(np.log2(abs(wanted))))
    assert (abs(found - wanted) <= step).all()


@pytest.mark.parametrize("dtype", KINDS)
def test_the_bytes_do_not_depend_on_what_is_summed_at_a_time(tmp_path, monkeypatch, dtype):
    given = torch.tensor(normal(37, 24)).to(dtype), normal(37, 8), normal(8, 24)
    whole = merged(tmp_path, *given)
    monkeypatch.setattr(merge, "BLOCK", 5 * 24)  # the last rows are fewer
    assert torch.equal(merged(tmp_path, *given), whole)


@pytest.mark.parametrize("dtype", HALVES)
@pytest.mark.parametrize("weight", [1.0, -0.75, 2.0**-7, 3e-6, 0.0])
def test_what_is_smaller_than_half_a_step_is_kept_in_the_mean(tmp_path, dtype, weight):
    start = torch.full((400, 600), weight).to(dtype)
    step = max(torch.finfo(dtype).eps * abs(weight), 6e-8)
    up, down = np.full((400, 1), 0.1 * step), np.ones((1, 600))
    found = merged(tmp_path, start, up, down, 1.0).double().numpy() - start.double().numpy()
    assert found.mean() == pytest.approx(0.1 * step, rel=0.05)


@pytest.mark.parametrize("dtype", HALVES)
def test_what_an_adapter_leaves_alone_stays_the_same(tmp_path, dtype):
    weight = torch.tensor(normal(64, 48, size=0.02)).to(dtype)
    assert torch.equal(merged(tmp_path, weight, np.zeros((64, 2)), normal(2, 48)), weight)


def test_the_largest_number_of_16_bits_is_not_left(tmp_path):
    weight = torch.full((4, 4), 65504.0).half()
    assert torch.equal(merged(tmp_path, weight, np.full((4, 1), 100.0), np.ones((1, 4))), weight)
