"""torchao: int8 on a CPU."""

from __future__ import annotations

import pytest

from rlexp.runtimes import with_transformers
from rlexp.runtimes.protocol import Spec
from tests.export.made import TINY, made
from tests.runtimes import conformance

pytest.importorskip("torchao")


def test_8_bits_are_made_and_transformers_reads_them(tmp_path):
    found = made("torchao", "int8", tmp_path)
    assert list(found.mix) == ["int8", "bfloat16"]
    runtime = with_transformers.load(Spec("transformers", tmp_path))
    reference = with_transformers.load(Spec("transformers", TINY, dtype="float32"))
    assert "TorchAo" in runtime.loaded
    assert 0 < conformance.divergence(runtime, reference) < 0.02
    weights = runtime._model
    assert type(weights.model.layers[0].mlp.up_proj.weight).__name__ == "Int8Tensor"
    assert weights.lm_head.weight is weights.model.embed_tokens.weight
