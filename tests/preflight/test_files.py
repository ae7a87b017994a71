"""What a model's folder shows without importing anything heavy."""

import json
import shutil

import pytest

from rlexp.preflight import files


@pytest.fixture
def folder(root, tmp_path):
    return shutil.copytree(root / "models/tiny", tmp_path / "mine")


def test_the_tiny_model_passes(folder):
    assert files.template(folder).level.value == "ok"
    assert files.vocabulary(folder, ("<think>",)).level.value == "ok"


def test_a_template_is_found_wherever_transformers_looks_for_one(folder):
    text = (folder / "chat_template.jinja").read_text()
    (folder / "chat_template.jinja").unlink()
    assert files.template(folder).level.value == "failed"
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    for entry in (text, [{"name": "default", "template": text}]):
        (folder / "tokenizer_config.json").write_text(json.dumps({**settings, "chat_template": entry}))
        assert files.chat_template(folder) == text.strip()


@pytest.mark.parametrize(
    ("config", "level"),
    [({"vocab_size": 380}, "failed"), ({"text_config": {"vocab_size": 400}}, "ok"), ({}, "skipped")],
)
def test_the_size_of_the_vocabulary_is_read_wherever_it_stands(folder, config, level):
    (folder / "config.json").write_text(json.dumps(config))
    assert files.vocabulary(folder, ("<think>",)).level.value == level


def test_files_that_cannot_be_read_are_left_to_the_loading(folder):
    (folder / "config.json").write_text("{")
    assert files.vocabulary(folder, ()).level.value == "skipped"


@pytest.mark.parametrize(
    ("longest", "vllm", "level"), [(512, True, "ok"), (513, False, "warning"), (1024, True, "failed")]
)
def test_a_sequence_needs_positions(folder, longest, vllm, level):
    verdict = files.positions(folder, longest, vllm)
    assert verdict.level.value == level
    assert level == "ok" or "max_seq_length=512" in (verdict.hint or "")


def test_a_config_without_positions_is_skipped(folder):
    (folder / "config.json").write_text("{}")
    assert files.positions(folder, 9, True).level.value == "skipped"
