"""What a model's folder would have run is loaded only where the model option says so."""

import dataclasses
import json
import pickle
import shutil

import pytest

from rlexp.backend import model as models
from rlexp.errors import RunError
from rlexp.inputs import model_files
from tests.conftest import rlexp


@pytest.fixture
def model(composed):
    return composed("hardware=cpu").model


@pytest.mark.parametrize("file", ["config.json", "tokenizer_config.json"])
def test_code_beside_the_weights_needs_the_switch(model, tmp_path, file):
    (tmp_path / file).write_text(json.dumps({"auto_map": {"AutoModelForCausalLM": "modeling_evil.Evil"}}))
    (tmp_path / "modeling_evil.py").write_text("1/0")
    with pytest.raises(RunError) as caught:
        model_files.require_plain(model, tmp_path)
    assert "modeling_evil.py" in caught.value.what and "model.trust_remote_code=true" in caught.value.hint
    model_files.require_plain(dataclasses.replace(model, trust_remote_code=True), tmp_path)


@pytest.mark.parametrize("file", ["pytorch_model.bin", "pytorch_model-00001-of-00002.bin", "weights.pt", "model.ckpt"])
def test_pickled_weights_need_the_switch_unless_safetensors_are_there(model, tmp_path, file):
    (tmp_path / file).touch()
    with pytest.raises(RunError) as caught:
        model_files.require_plain(model, tmp_path)
    assert file in caught.value.what and "model.allow_pickle=true" in caught.value.hint
    model_files.require_plain(dataclasses.replace(model, allow_pickle=True), tmp_path)
    (tmp_path / "model.safetensors").touch()
    model_files.require_plain(model, tmp_path)


def test_a_config_that_cannot_be_read_names_no_code(model, tmp_path):
    (tmp_path / "config.json").write_text("[1")
    model_files.require_plain(model, tmp_path)
    (tmp_path / "config.json").write_text("[1]")
    model_files.require_plain(model, tmp_path)


def test_an_adapter_that_is_a_pickle_is_never_loaded(composed, tmp_path):
    class Evil:
        def __reduce__(self):
            return (open, (str(tmp_path / "marker"), "w"))

    (tmp_path / "adapter_model.bin").write_bytes(pickle.dumps(Evil()))
    with pytest.raises(RunError, match="no safetensors"):
        models.load_trained(composed("hardware=cpu"), None, tmp_path, None)
    assert not (tmp_path / "marker").exists()


def test_the_command_line_says_so_before_anything_is_loaded(project):
    own = project / "models/own"
    shutil.copytree(project / "models/tiny", own)
    config = json.loads((own / "config.json").read_text())
    (own / "config.json").write_text(json.dumps({**config, "auto_map": {"AutoConfig": "evil.Evil"}}))
    (own / "evil.py").write_text("raise SystemExit('ran')")
    done = rlexp(project, "plan", "model.path=models/own")
    assert done.returncode == 2 and "evil.py" in done.stderr and "Traceback" not in done.stderr
    allowed = rlexp(project, "plan", "model.path=models/own", "model.trust_remote_code=true")
    assert allowed.returncode == 0, allowed.stderr
