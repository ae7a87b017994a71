"""The shape of a model, read from its config.json."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest
from omegaconf import OmegaConf

from rlexp.compose import model_size
from rlexp.compose.places import Places
from rlexp.compose.schema import Size

S135M = Size(30, 576, 1536, 9, 3, 64, 49152, True)
S4B = Size(36, 2560, 9728, 32, 8, 128, 151936, True)


def test_the_options_state_the_sizes_of_the_models_that_are_here(composed, root):
    seen = []
    for path in sorted((root / "conf/model").glob("*.yaml")):
        option: Any = OmegaConf.load(path)
        stated = Size(**option["size"])
        folder = root / (option.get("path") or "nowhere")
        if found := model_size.of_folder(folder):
            assert model_size.differences(stated, found) == {}, path.name
            seen.append(path.stem)
    assert "tiny" in seen


def test_the_folder_goes_before_the_option(composed, tmp_path, root):
    content = json.loads((root / "models/tiny/config.json").read_text()) | {"num_hidden_layers": 9}
    (tmp_path / "config.json").write_text(json.dumps(content))
    assert composed(f"model.path={tmp_path}").model.size.num_hidden_layers == 9


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ({"num_local_experts": 8, **dataclasses.asdict(S4B)}, None),
        ({"hidden_size": 8}, None),
        ({k: v for k, v in dataclasses.asdict(S4B).items() if k != "head_dim"} | {"num_attention_heads": 0}, None),
        ({"text_config": dataclasses.asdict(S4B)}, S4B),
        (dataclasses.asdict(S4B), S4B),
        ({k: v for k, v in dataclasses.asdict(S135M).items() if k != "head_dim"}, S135M),
    ],
)
def test_a_shape_is_read_from_a_config_or_not_at_all(content, found):
    assert model_size.of_config(content) == found


def test_what_is_no_model_has_no_shape(tmp_path):
    assert model_size.of_folder(tmp_path) is None
    for text in ("{", "[]", "{}"):
        (tmp_path / "config.json").write_text(text)
        assert model_size.of_folder(tmp_path) is None
    (tmp_path / "config.json").write_text(json.dumps(dataclasses.asdict(S4B)))
    assert model_size.of_folder(tmp_path) == S4B


def test_the_folder_is_that_of_the_tree_below_the_project(tmp_path):
    (tmp_path / "models").mkdir()
    (tmp_path / "models/config.json").write_text(json.dumps(dataclasses.asdict(S4B)))
    for path, found in (("models", S4B), ("elsewhere", None), (None, None)):
        assert model_size.of_tree(OmegaConf.create({"model": {"path": path}}), Places.of(tmp_path)) == found


def test_differences_are_named_with_both_values():
    other = dataclasses.replace(S4B, vocab_size=1, head_dim=2)
    assert model_size.differences(S4B, other) == {"head_dim": (128, 2), "vocab_size": (151936, 1)}
    assert model_size.differences(S4B, S4B) == {}
