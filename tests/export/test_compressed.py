"""compressed-tensors: made on a CPU without data, read by transformers; the group that fits the widths."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import save_file

from rlexp.errors import RunError
from rlexp.export import widths
from rlexp.export.formats import Making
from rlexp.runtimes import with_transformers
from rlexp.runtimes.protocol import Spec
from tests.export.made import TINY, made
from tests.runtimes import conformance


@pytest.mark.parametrize(("kind", "held", "most"), [("fp8", "fp8", 0.05), ("w4a16", "int4", 2.0)])
def test_it_is_made_and_transformers_reads_it(kind, held, most, tmp_path):
    pytest.importorskip("llmcompressor")
    found = made("compressed", kind, tmp_path)
    assert list(found.mix) == [held, "float16"]
    assert found.note is None
    how = json.loads((tmp_path / "config.json").read_text())["quantization_config"]
    assert how["quant_method"] == "compressed-tensors"
    runtime = with_transformers.load(Spec("transformers", tmp_path))
    reference = with_transformers.load(Spec("transformers", TINY, dtype="float32"))
    assert 0 < conformance.divergence(runtime, reference) < most
    weights = runtime._model
    assert weights.lm_head.weight is weights.model.embed_tokens.weight


def test_the_largest_group_that_divides_all_widths_is_taken_and_said(tmp_path):
    assert widths.widths(TINY) == {128, 256}
    assert widths.largest_group(_making(TINY, tmp_path)) == (128, None)
    _model(tmp_path, 576, 1536)
    group, note = widths.largest_group(_making(tmp_path, tmp_path))
    assert group == 64
    assert "128 does not divide 576 and 1536" in note


def test_widths_that_no_group_divides_are_one_message(tmp_path):
    _model(tmp_path, 128, 100)
    with pytest.raises(RunError, match="none divides all") as error:
        widths.largest_group(_making(tmp_path, tmp_path))
    assert error.value.hint


def _model(folder, *inputs):
    weights = {f"layers.{n}.mlp.up_proj.weight": torch.zeros(4, width) for n, width in enumerate(inputs)}
    embedding = {"model.embed_tokens.weight": torch.zeros(3, 7), "model.norm.weight": torch.zeros(7)}
    save_file({**weights, **embedding}, folder / "model.safetensors")


def _making(merged, folder):
    return Making(merged, folder, "w4a16", None, list)
