"""What GGUF says and refuses; tests/runtimes/test_llama_cpp.py makes files."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from rlexp.compose.schema_export import TYPES, Gguf
from rlexp.errors import RunError
from rlexp.export import gguf, gguf_process
from rlexp.export.formats import Making
from rlexp.export.pre_tokenizer import BYTES, GPT_2, LLAMA_3, QWEN_2, name_of, split

TINY = Path("models/tiny").resolve()
DIGITS = {"type": "Digits", "individual_digits": True}


@pytest.mark.parametrize(
    ("normalizer", "steps", "ignore_merges", "name"),
    [
        (None, [GPT_2], False, "gpt-2"),
        (None, [DIGITS, GPT_2], False, "smollm"),
        (None, [split(LLAMA_3), BYTES], True, "llama-bpe"),
        ({"type": "NFC"}, [split(QWEN_2), BYTES], False, "qwen2"),
        (None, [GPT_2], True, None),
        ({"type": "NFC"}, [GPT_2], False, None),
        (None, [{**DIGITS, "individual_digits": False}, GPT_2], False, None),
        (None, [{**GPT_2, "add_prefix_space": True}], False, None),
        (None, [{"type": "Whitespace"}, GPT_2], False, None),
    ],
)
def test_the_pre_tokenizer_is_matched_or_refused(tmp_path, normalizer, steps, ignore_merges, name):
    pre = {"type": "Sequence", "pretokenizers": [{**one, "trim_offsets": True} for one in steps]}
    held = {"normalizer": normalizer, "pre_tokenizer": pre, "model": {"type": "BPE", "ignore_merges": ignore_merges}}
    (tmp_path / "tokenizer.json").write_text(json.dumps(held))
    assert name_of(tmp_path / "tokenizer.json") == name


@pytest.fixture
def merged(tmp_path):
    return Path(shutil.copytree(TINY, tmp_path / "merged"))


def making(merged, kind="f16"):
    (merged.parent / "out").mkdir(exist_ok=True)
    return Making(merged, merged.parent / "out", kind, Gguf(), list, threads=1)


def test_every_end_is_named_the_tokenizers_own_first(merged):
    found = gguf._values(merged)
    assert found["tokenizer.ggml.eos_token_id"] == [2, "UINT32"]
    assert found["tokenizer.ggml.eot_token_id"] == [0, "UINT32"]
    assert found["tokenizer.ggml.add_bos_token"] == [False, "BOOL"]
    generation = json.loads((merged / "generation_config.json").read_text())
    (merged / "generation_config.json").write_text(json.dumps({**generation, "repetition_penalty": 1.5}))
    assert gguf._values(merged)["general.sampling.penalty_repeat"] == [1.5, "FLOAT32"]


@pytest.mark.parametrize("writes", [True, False])
def test_a_first_token_is_added_where_the_run_has_seen_it(merged, writes):
    held = json.loads((merged / "tokenizer.json").read_text())
    first = {"SpecialToken": {"id": "<|endoftext|>", "type_id": 0}}
    held["post_processor"]["single"].insert(0, first)
    held["post_processor"]["special_tokens"] = {
        "<|endoftext|>": {"id": "<|endoftext|>", "ids": [0], "tokens": ["<|endoftext|>"]}
    }
    (merged / "tokenizer.json").write_text(json.dumps(held))
    config = json.loads((merged / "tokenizer_config.json").read_text())
    (merged / "tokenizer_config.json").write_text(json.dumps({**config, "bos_token": "<|endoftext|>"}))
    template = (merged / "chat_template.jinja").read_text()
    (merged / "chat_template.jinja").write_text("{{ bos_token }}" * writes + template)
    assert gguf._values(merged)["tokenizer.ggml.add_bos_token"] == [writes, "BOOL"]


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ("... BPE pre-tokenizer was not recognized - update get_vocab_base_pre()", "no pre-tokenizer that splits"),
        ("ERROR:hf-to-gguf:Model XForCausalLM is not supported", "XForCausalLM is not supported"),
    ],
)
def test_what_the_converter_cannot_do_is_one_message(merged, monkeypatch, said, message):
    def fails(task, **_):
        raise gguf_process.Failed(said)

    monkeypatch.setattr(gguf_process, "run", fails)
    with pytest.raises(RunError) as found:
        gguf.make(making(merged))
    assert message in found.value.what and "export=merged+onnx" in found.value.hint
    assert not list((merged.parent / "out").iterdir())


def test_ends_of_its_own_are_said_and_lost_ones_refused(merged, monkeypatch):
    monkeypatch.setattr(gguf, "ends_of", lambda _: [0, 1, 2])
    assert gguf._other_ends(merged, merged) == ["llama.cpp ends at <|im_start|> too, by their text"]
    monkeypatch.setattr(gguf, "ends_of", lambda _: [2])
    with pytest.raises(RunError, match="ends of a completion"):
        gguf._other_ends(merged, merged)


def test_weights_that_float16_cannot_hold(merged):
    import torch
    from safetensors.torch import load_file, save_file

    assert gguf._largest(merged) < gguf.F16_MOST
    held = load_file(merged / "model.safetensors")
    held["model.norm.weight"] = torch.full_like(held["model.norm.weight"], 1e5, dtype=torch.bfloat16)
    save_file(held, merged / "model.safetensors")
    assert gguf._largest(merged) > gguf.F16_MOST


def test_every_type_is_one_of_llama_cpps():
    for kind in TYPES["gguf"]:
        assert gguf._ftype(kind.removesuffix(gguf.IMAT))
