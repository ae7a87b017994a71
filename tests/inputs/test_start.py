"""The weights that a run begins with, as an input: of which model, merged, kept, found again."""

import json
import shutil

import numpy
import pytest
from safetensors.numpy import load_file, save_file

from rlexp import shapes
from rlexp.compose.points import points
from rlexp.errors import RunError
from rlexp.inputs import locked_start, merge, start
from rlexp.inputs.locked_code import Search
from rlexp.record.lock import SCHEMA, checksum
from tests import begun
from tests.conftest import ROOT
from tests.record import made as made_by_hand

HERE = "outputs/sft"
NAME = "model.layers.0.self_attn.q_proj"


@pytest.fixture
def project(tmp_path, composed):
    for name in ("conf", "models/tiny"):
        shutil.copytree(ROOT / name, tmp_path / name)
    begun.run(tmp_path / HERE, composed())
    return tmp_path


def made(project, *overrides):
    return points(project / "conf", ["hardware=cpu", f"model.start={HERE}", *overrides], multirun=False)[0].run


def found(project, *overrides):
    return start.find(made(project, *overrides), project, project / "models/tiny")


def test_an_adapter_goes_on_beside_the_model_that_the_run_names(project):
    one = found(project)
    assert one.adapter == project / HERE / "adapter" and one.model is None and not one.make(project)
    assert one.digest["base"]["path"] == "models/tiny" and len(one.digest["files"]) == 2


def test_another_model_than_the_starts_is_refused_with_the_line_to_type(project):
    other = project / "models/other"
    shutil.copytree(project / "models/tiny", other)
    run = made(project, "model.path=models/other", "model.name=other")
    assert start.find(run, project, other).model is None, "the same files in another folder are the same model"
    (other / "generation_config.json").write_text("{}")
    with pytest.raises(RunError, match=r"was trained on tiny \(models/tiny\), not on other") as caught:
        start.find(run, project, other)
    assert caught.value.hint == "type model=tiny"
    (project / "models/tiny/generation_config.json").write_text("{}")
    with pytest.raises(RunError, match="models/tiny is not the model that outputs/sft was trained on"):
        found(project)


def test_weights_that_changed_since_they_were_composed_are_refused(project):
    run = made(project)
    shutil.rmtree(project / HERE / "adapter")
    begun.adapter(project / HERE / "adapter", seed=1)
    with pytest.raises(RunError, match="not those that were composed"):
        start.find(run, project, project / "models/tiny")


def test_a_changed_lock_is_no_start(project):
    run, lock = made(project), project / HERE / "run.lock.yaml"
    lock.write_text(lock.read_text().replace("models/tiny", "models/tina"))
    with pytest.raises(RunError, match="the lock was changed"):
        start.find(run, project, project / "models/tiny")


def test_a_merged_start_is_a_model_of_its_own(project):
    one = found(project, "model.start_merged=true")
    assert one.model == start.merged_place(one.digest["sha256"]) and one.adapter is None
    assert one.make(project) and not one.make(project)
    names = {path.name for path in (project / one.model).iterdir()}
    assert names == {path.name for path in (project / "models/tiny").iterdir()}


@pytest.mark.parametrize("dtype", ["float16", "float32"])
@pytest.mark.parametrize("rslora", [False, True])
def test_a_weight_is_the_base_plus_the_scaled_product_rounded_once(tmp_path, dtype, rslora):
    shutil.copytree(ROOT / "models/tiny", tmp_path / "base")
    before = {name: value.astype(dtype) for name, value in load_file(tmp_path / "base/model.safetensors").items()}
    save_file(before, tmp_path / "base/model.safetensors")
    begun.adapter(tmp_path / "adapter", use_rslora=rslora)
    merge.write(tmp_path / "base", tmp_path / "adapter", tmp_path / "merged")
    after, lora = (
        load_file(tmp_path / "merged/model.safetensors"),
        load_file(tmp_path / "adapter/adapter_model.safetensors"),
    )
    up, down = (lora[f"base_model.model.{NAME}.lora_{part}.weight"].astype("float64") for part in "BA")
    wanted = before[f"{NAME}.weight"].astype("float64") + (8 / (2 if rslora else 4)) * (up @ down)
    assert numpy.allclose(after[f"{NAME}.weight"], wanted, rtol=2 * numpy.finfo(dtype).eps, atol=1e-6)
    changed = {name for name in before if not numpy.array_equal(before[name], after[name])}
    assert changed == {f"model.layers.0.self_attn.{layer}.weight" for layer in begun.LAYERS}


@pytest.mark.parametrize(("config", "what"), [({"use_dora": True}, "use_dora"), ({"bias": "all"}, "bias")])
def test_what_is_more_than_a_plain_lora_is_not_merged(tmp_path, config, what):
    begun.adapter(tmp_path / "adapter", **config)
    with pytest.raises(RunError, match=f"more than a plain LoRA: {what}"):
        merge.write(ROOT / "models/tiny", tmp_path / "adapter", tmp_path / "merged")
    assert not (tmp_path / "merged").exists(), "whole or not at all"


def test_a_locked_start_is_found_by_its_hash_wherever_it_lies(project):
    digest, run_dir = found(project).digest, project / "outputs/grpo"
    run_dir.mkdir()

    def places(make=True):
        return Search(made_places, run_dir / "sources", make)

    made_places = made(project).places
    assert locked_start.find(places(), digest).weights == project / HERE / "adapter"
    start.keep(found(project), run_dir)
    assert {path.name for path in (run_dir / "start").iterdir()} == set(digest["files"])
    shutil.rmtree(project / HERE)
    assert locked_start.find(places(), digest).weights == run_dir / "start"
    replayed = run_dir / "start/replay/adapter"
    shutil.copytree(run_dir / "start", replayed)
    for name in digest["files"]:
        (run_dir / "start" / name).unlink()
    assert locked_start.find(places(), digest).weights == replayed, "the stage that was pinned before"
    shutil.rmtree(replayed)
    begun.adapter(replayed, seed=1)
    search = places(make=False)
    assert locked_start.find(search, digest) is None
    assert search.faults == [(f"{HERE} (its weights: dvc pull, or train it again)", digest["sha256"][:12], "missing")]


def test_the_lineage_goes_to_the_first_run(project):
    first = found(project).digest
    second = {**first, "run": "outputs/dpo", "step": 5, "merged": True, "source": first}
    assert [one["run"] for one in start.lineage(second)] == ["outputs/dpo", HERE]
    one, two = start.words(second)
    assert one.startswith("outputs/dpo at step 5") and one.endswith("merged into its base") and two.startswith(HERE)
    assert json.dumps(start.manifest(second)).count("sha256") == 2


@pytest.mark.parametrize(
    ("key", "wrong"),
    [("run", "a\0b"), ("step", -1), ("identity", "x"), ("sha256", "../x"), ("files", {"../x": "0" * 32}), ("base", [])],
)
@pytest.mark.parametrize("depth", [0, 1, 2])
def test_a_start_of_a_strangers_lock_has_the_shape_of_one_at_any_depth(project, tmp_path, key, wrong, depth):
    digest = found(project).digest
    begun_with = {**digest, key: wrong}
    for _ in range(depth):
        begun_with = {**digest, "source": begun_with}
    lock = made_by_hand.locked(made(project))
    lock["inputs"]["start"] = digest
    lock["checksum"] = checksum(lock)
    shapes.require(lock, SCHEMA, "lock", tmp_path)
    lock["inputs"]["start"] = begun_with
    with pytest.raises(RunError, match="the lock"):
        shapes.require(lock, SCHEMA, "lock", tmp_path)
