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


def test_spaces_before_a_digit_are_read_as_the_run_reads_them(tmp_path):
    """onnxruntime-genai takes the pre-tokenizers of SmolLM2 for one expression."""
    import onnxruntime_genai
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    digits, words = pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)
    wanted = Tokenizer(models.BPE())
    wanted.pre_tokenizer, wanted.decoder = pre_tokenizers.Sequence([digits, words]), decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    wanted.train_from_iterator(["a  1\tb  c"] * 9, trainers.BpeTrainer(vocab_size=262, initial_alphabet=alphabet))
    shutil.copytree(TINY, tmp_path / "merged")
    wanted.save(str(tmp_path / "merged/tokenizer.json"))
    made("onnx", "fp32", tmp_path / "fp32", tmp_path / "merged")
    found = onnxruntime_genai.Tokenizer(onnxruntime_genai.Model(onnxruntime_genai.Config(str(tmp_path / "fp32"))))
    for text in ("a  1", "\tx  1234\n\n5 y  z", "it's  \u00bd  7.25  %"):
        ids = wanted.encode(text).ids
        assert found.encode(text).tolist() == ids
        assert Tokenizer.from_file(str(tmp_path / "fp32/tokenizer.json")).encode(text).ids == ids


def test_an_architecture_that_the_builder_does_not_know_is_one_message(tmp_path):
    shutil.copytree(TINY, tmp_path / "gpt2")
    config = json.loads((TINY / "config.json").read_text())
    changed = {**config, "architectures": ["GPT2LMHeadModel"], "model_type": "gpt2"}
    (tmp_path / "gpt2/config.json").write_text(json.dumps(changed))
    with pytest.raises(RunError, match="builder could not make fp32") as error:
        made("onnx", "fp32", tmp_path / "fp32", tmp_path / "gpt2")
    assert "export=merged+gguf" in error.value.hint
