"""``model=hub:...`` and ``model=FOLDER``: what their files say, and what they are not."""

from __future__ import annotations

import json
import shutil

import pytest
import yaml

from rlexp.compose import model_id, model_kind
from rlexp.compose.points import points
from rlexp.compose.schema import Size
from rlexp.compose.workload import parameters
from rlexp.errors import RunError
from rlexp.record.lock import identity
from tests.conftest import ROOT
from tests.hub_cache import COMMIT, add, add_folder

TINY = ROOT / "models/tiny"


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache; the hub is not asked."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def folder(tmp_path):
    """A folder of a model, whose files a test changes."""
    return shutil.copytree(TINY, tmp_path / "models/my model")


def change(file, **keys):
    content = json.loads(file.read_text())
    file.write_text(json.dumps({**content, **keys}))


def of_hub(cache, **more):
    add_folder(cache, "someone/tiny-sums", TINY, **more)
    return points(ROOT / "conf", ["model=hub:someone/tiny-sums", "hardware=cpu"], multirun=False)[0]


def test_the_shipped_options_state_what_the_table_says():
    for one in model_id.DEFAULTS:
        option = yaml.safe_load((ROOT / f"conf/model/{one.option}.yaml").read_text())
        lengths = (option["max_seq_length"], option["max_completion_length"])
        assert (one.learning_rate, (one.max_seq_length, one.max_completion_length)) == (
            option["learning_rate"],
            lengths,
        )
        assert one.weights == parameters(Size(**option["size"]))
    assert {one.option for one in model_id.DEFAULTS} == {path.stem for path in (ROOT / "conf/model").glob("*.yaml")}
    assert list(model_id.DEFAULTS) == sorted(model_id.DEFAULTS, key=lambda one: one.weights)


def test_a_hub_model_is_its_commit_and_its_config_says_the_rest(cache, composed):
    point, tiny = of_hub(cache), composed("hardware=cpu").model
    model = point.run.model
    assert (model.name, model.path, model.hub_id, model.revision) == ("tiny-sums", None, "someone/tiny-sums", COMMIT)
    assert (model.size, model.learning_rate) == (tiny.size, tiny.learning_rate)
    assert (model.max_seq_length, model.max_completion_length) == (96, 32)
    assert point.overrides[0] == f"model=hub:someone/tiny-sums@{COMMIT}" == f"model={point.choices['model']}"


def test_the_same_run_is_named_by_a_branch_and_by_a_commit_and_by_keys(cache):
    run = of_hub(cache).run
    typed = [f"model=hub:someone/tiny-sums@{COMMIT}", "hardware=cpu"]
    assert identity(points(ROOT / "conf", typed, multirun=False)[0].run) == identity(run)
    keys = ["model=tiny", "model.path=null", "model.hub_id=someone/tiny-sums", f"model.revision={COMMIT}"]
    keys += ["model.name=tiny-sums", "model.prepare=null", "hardware=cpu"]
    assert identity(points(ROOT / "conf", keys, multirun=False)[0].run) == identity(run)


def test_it_is_a_point_of_a_sweep_and_the_choice_of_an_experiment(cache, tmp_path):
    add_folder(cache, "someone/tiny-sums", TINY)
    overrides = ["model=hub:someone/tiny-sums,tiny,models/tiny", "model.lora.r=8", "hardware=cpu"]
    made = points(ROOT / "conf", overrides, multirun=True)
    assert [(point.run.model.name, point.run.model.lora.r) for point in made] == [
        *(("tiny-sums", 8), ("tiny", 8), ("tiny", 8))
    ]
    conf = shutil.copytree(ROOT / "conf", tmp_path / "conf")
    chooses = "# @package _global_\ndefaults: [override /model: hub:someone/tiny-sums@main]\n"
    (conf / "experiment/mine.yaml").write_text(chooses)
    run = points(conf, ["experiment=mine", "hardware=cpu"], multirun=False)[0].run
    assert (run.model.hub_id, run.model.revision) == ("someone/tiny-sums", COMMIT)


def test_few_positions_bound_the_lengths_and_an_unknown_size_takes_the_smallest_rates(folder, tmp_path):
    change(folder / "config.json", max_position_embeddings=20)
    settled = model_id.settle("models/my model", tmp_path)
    assert (settled.name, settled.max_seq_length, settled.max_completion_length) == ("my_model", 20, 10)
    change(folder / "config.json", num_experts=8)
    settled = model_id.settle("models/my model", tmp_path)
    assert settled.size is None and settled.defaults.option == "qwen3_4b" and "size" not in settled.tree()


def spoil(folder, what):
    """Makes a model's folder into something else."""
    if what == "adapter":
        (folder / "config.json").unlink()
        (folder / "adapter_config.json").write_text('{"base_model_name_or_path": "Org/Base"}')
    elif what == "gguf":
        (folder / "model.safetensors").rename(folder / "model.gguf")
    elif what == "empty":
        (folder / "config.json").unlink()
    elif what == "images":
        change(folder / "config.json", vision_config={"depth": 2}, architectures=["Qwen2VLForConditionalGeneration"])
    elif what == "unknown":
        change(folder / "config.json", model_type="my_llama", architectures=["MyLlamaForCausalLM"])
    elif what == "classifier":
        change(folder / "config.json", architectures=["LlamaForSequenceClassification"])
    elif what == "base":
        (folder / "chat_template.jinja").unlink()
    else:
        (folder / "config.json").write_text("{")


SPOILED = {
    "adapter": "is an adapter of Org/Base, and a model is asked for",
    "gguf": "it holds GGUF weights",
    "empty": "there is no config.json",
    "images": "reads images or sound",
    "unknown": r"no language model of the type 'my_llama' \(nearest: mllama\)",
    "classifier": "is a LlamaForSequenceClassification",
    "base": "has no chat template",
    "broken": "is no JSON",
}


@pytest.mark.parametrize(("what", "message"), SPOILED.items())
def test_what_cannot_be_trained_is_one_message(folder, tmp_path, cache, what, message):
    spoil(folder, what)
    with pytest.raises(RunError, match=message) as caught:
        model_id.settle("models/my model", tmp_path)
    assert caught.value.hint and caught.value.where
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    commit = f"{list(SPOILED).index(what):x}" * 40
    place = add(cache, "model", "someone/spoiled", files, commit)
    no_exist = place.parents[1] / ".no_exist" / commit  # as huggingface_hub remembers that there is no such file
    no_exist.mkdir(parents=True)
    for name in {"config.json", "adapter_config.json", *model_kind.TEMPLATES} - files.keys():
        (no_exist / name).touch()
    with pytest.raises(RunError, match=message):
        model_id.settle(f"hub:someone/spoiled@{commit}", tmp_path)


def test_a_folder_without_weights_says_so(folder, tmp_path):
    (folder / "model.safetensors").unlink()
    with pytest.raises(RunError, match="it holds no weights"):
        model_id.settle("models/my model", tmp_path)


def test_a_folder_that_is_not_there_names_the_nearest_and_the_hub(folder, tmp_path):
    with pytest.raises(RunError, match="there is no folder models/my_model") as caught:
        model_id.settle("models/my_model", tmp_path)
    assert "models/my model" in caught.value.hint and "model=hub:models/my_model" in caught.value.hint
