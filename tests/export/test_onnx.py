"""ONNX: what the builder left, by type; what it cannot build."""

from __future__ import annotations

import json
import shutil

import pytest

from rlexp.errors import RunError
from tests.export.made import TINY, made

pytest.importorskip("onnxruntime_genai")
pytest.importorskip("onnx")


def test_4_bits_are_made_with_the_head_in_8_and_everything_travels(tmp_path):
    found = made("onnx", "int4", tmp_path / "int4")
    assert list(found.mix) == ["int4", "int8", "float32"]
    assert found.mix["int4"] > 0.4
    assert sum(found.mix.values()) == pytest.approx(1)
    config = json.loads((tmp_path / "int4/genai_config.json").read_text())
    ends = json.loads((TINY / "generation_config.json").read_text())["eos_token_id"]
    assert config["model"]["eos_token_id"] == ends
    for name in ("chat_template.jinja", "generation_config.json"):
        assert (tmp_path / "int4" / name).read_bytes() == (TINY / name).read_bytes()
    kept = json.loads((tmp_path / "int4/tokenizer.json").read_text())
    assert kept["model"]["vocab"] == json.loads((TINY / "tokenizer.json").read_text())["model"]["vocab"]


def test_an_architecture_that_the_builder_does_not_know_is_one_message(tmp_path):
    shutil.copytree(TINY, tmp_path / "gpt2")
    config = json.loads((TINY / "config.json").read_text())
    changed = {**config, "architectures": ["GPT2LMHeadModel"], "model_type": "gpt2"}
    (tmp_path / "gpt2/config.json").write_text(json.dumps(changed))
    with pytest.raises(RunError, match="builder could not make fp32") as error:
        made("onnx", "fp32", tmp_path / "fp32", tmp_path / "gpt2")
    assert "export=merged+gguf" in error.value.hint
