"""model.start: weights that are found, named by their hash, and say the adapter's shape."""

import hashlib
import json
import shutil

import pytest

from rlexp.compose import model_id, start, typed_ids
from rlexp.compose.points import points
from rlexp.errors import RunError
from rlexp.record.lock import identity
from tests import begun
from tests.conftest import ROOT

HERE = "outputs/sft"


@pytest.fixture
def project(tmp_path, composed):
    shutil.copytree(ROOT / "conf", tmp_path / "conf")
    begun.run(tmp_path / HERE, composed())
    return tmp_path


def made(project, *overrides):
    return points(project / "conf", ["hardware=cpu", *overrides], multirun=False)[0].run


def test_an_adapter_says_its_shape_and_its_hash_is_pinned(project):
    run = made(project, f"model.start={HERE}")
    assert (run.model.lora.r, run.model.lora.lora_alpha, run.model.lora.target_modules) == (4, 8, ["q_proj", "v_proj"])
    assert run.model.start == HERE and run.model.start_sha256 == start.at(HERE, project).sha256
    typed = ["model.lora.r=4", "model.lora.target_modules=[v_proj,q_proj]", "model.lora.lora_dropout=0.1"]
    assert made(project, f"model.start={HERE}", *typed).model.lora.lora_dropout == 0.1


def test_a_merged_start_leaves_the_adapter_free(project):
    run = made(project, f"model.start={HERE}", "model.start_merged=true", "model.lora.r=32")
    assert run.model.lora.r == 32
    assert identity(run) != identity(made(project, "model.lora.r=32"))


def test_the_hash_counts_and_the_path_does_not(project):
    before = identity(made(project, f"model.start={HERE}"))
    shutil.copytree(project / HERE, project / "elsewhere")
    assert identity(made(project, "model.start=elsewhere")) == before
    config = project / "elsewhere/adapter/adapter_config.json"
    config.write_text(config.read_text().replace("models/tiny", "/another/machine/models/tiny"))
    assert identity(made(project, "model.start=elsewhere")) == before, "where the base lay does not count"
    shutil.rmtree(project / "elsewhere/adapter")
    begun.adapter(project / "elsewhere/adapter", seed=1)
    assert identity(made(project, "model.start=elsewhere")) != before
    shutil.rmtree(project / "elsewhere/adapter")
    begun.adapter(project / "elsewhere/adapter", lora_alpha=16)
    assert identity(made(project, "model.start=elsewhere")) != before


def test_without_an_adapter_the_last_whole_checkpoint_is_taken_or_the_one_that_is_named(project):
    (project / HERE / "checkpoints").mkdir()
    for step in (5, 10, 15):
        begun.adapter(project / HERE / f"checkpoints/checkpoint-{step}", seed=step)
        (project / HERE / f"checkpoints/checkpoint-{step}/trainer_state.json").write_text("{}")
    file = project / HERE / "checkpoints/checkpoint-15/adapter_model.safetensors"
    file.write_bytes(file.read_bytes()[:-8])
    (project / HERE / "checkpoints/checkpoint-10/ref").mkdir()  # TRL's copy, as PEFT saves it
    assert made(project, f"model.start={HERE}@5").model.start == f"{HERE}@5"
    shutil.rmtree(project / HERE / "adapter")
    assert made(project, f"model.start={HERE}").model.start == f"{HERE}@10"
    with pytest.raises(RunError, match=r"step 15: adapter_model\.safetensors is not whole") as caught:
        made(project, f"model.start={HERE}@15")
    assert caught.value.hint == f"type model.start={HERE}@10"


@pytest.mark.parametrize(
    ("overrides", "what", "hint"),
    [
        (["model.start=outputs/sft", "model.lora.r=8"], "r is 8, .* its own: 4", "type model.start_merged=true"),
        (["model.start=outputs/sft", "model.lora.target_modules=[q_proj]"], r"\[q_proj\],.*\[q_proj,v_proj\]", "leave"),
        (["model.start=outputs/sfd"], "no run at outputs/sfd", "did you mean model.start=outputs/sft?"),
        (["experiment=sums_sft_grpo"], "yet", "experiment=sums_sft hydra.run.dir=outputs/sums_sft"),
        (["model.start=outputs/sft@best"], "best", "type model.start=outputs/sft"),
        (["model.start=outputs/sft@7"], "no whole checkpoint of step 7", "it kept none: type model.start=outputs/sft"),
        (["model.start=outputs/sft", "model.full_finetuning=true"], "every weight", "type model.start_merged=true"),
        (["model.start_merged=true"], "none is named", "type model.start=RUN"),
        (["model.start=outputs/sft", "model.start_sha256=ab"], "not those that are meant", "leave out"),
        (["model.start=foreign"], "an adapter of models/tiny, and no run", "type model=FOLDER"),
        (["model.start=."], "names a run folder", "model.start=outputs/..."),
        (["model.start=outputs/sft@"], "names a run folder", "model.start=outputs/..."),
        (
            ["model.start=outputs/sft/checkpoints/checkpoint-4"],
            "lies in the run outputs/sft",
            "model.start=outputs/sft@4",
        ),
        (["model.start=outputs/sft", "model=smollm2_135m"], "was trained on tiny", "type model=tiny"),
    ],
)
def test_mistakes(project, overrides, what, hint):
    begun.adapter(project / "foreign")
    with pytest.raises(RunError, match=what) as caught:
        made(project, *overrides)
    assert hint in caught.value.hint


def test_weights_that_are_not_those_the_run_left_are_refused(project):
    adapter, manifest = project / HERE / "adapter", project / HERE / "manifest.json"
    left = {f"adapter/{path.name}": hashlib.md5(path.read_bytes()).hexdigest() for path in adapter.iterdir()}
    manifest.write_text(json.dumps({"status": "finished", "outputs": left}))
    assert made(project, f"model.start={HERE}").model.start == HERE
    shutil.rmtree(adapter)
    begun.adapter(adapter, seed=9)
    with pytest.raises(RunError, match=r"adapter/adapter_\w+\.\w+ is not what the run outputs/sft left"):
        made(project, f"model.start={HERE}")


def test_a_run_is_typed_from_where_one_is_or_from_the_project(project, tmp_path_factory):
    outside = tmp_path_factory.mktemp("outside") / "a run"
    shutil.copytree(project / HERE, outside)

    def placed(typed, here):
        return typed_ids.from_project([f"model.start={typed}"], here, project)

    assert placed("sft@5", project / "outputs") == [f"model.start={HERE}@5"]
    assert placed(HERE, project / "outputs") == [f"model.start={HERE}"]
    assert placed("nowhere", project) == ["model.start=nowhere"]
    (named,) = placed("a run", outside.parent)
    assert made(project, named).model.start == outside.as_posix()


def test_a_run_or_an_adapter_that_is_named_as_a_model_is_answered_with_the_line_to_type(project):
    for typed in (HERE, f"{HERE}/adapter"):
        said = start.not_a_model(project / typed, typed, "model.path")
        assert "is an adapter of models/tiny" in said.what and f"model.start={HERE} " in said.hint
    with pytest.raises(RunError, match="is an adapter of models/tiny") as caught:
        model_id.settle(f"{HERE}/adapter", project)
    assert f"model.start={HERE}" in caught.value.hint


def test_a_lock_composes_without_the_run_it_began_with(project):
    overrides = [f"model.start={HERE}", "model.lora.r=4"]
    run = made(project, *overrides)
    shutil.rmtree(project / HERE)
    again = made(project, *overrides, f"model.start_sha256={run.model.start_sha256}")
    assert again.model.start_sha256 == run.model.start_sha256
    assert json.dumps(again.config()["model"]["start"]) == json.dumps(HERE)
