"""The stages that pinning writes for DVC, with DVC itself."""

from __future__ import annotations

import pytest
import yaml

from rlexp.errors import RunError
from rlexp.inputs.digest import folder_md5
from rlexp.record import stages
from tests.record.made import locked


@pytest.fixture
def project(tmp_path, composed, monkeypatch):
    """A project of DVC with a snapshot and a model, and a lock of both."""
    for name in (".dvc", "data/arithmetic", "models/tiny", "pinned/sources", "data_prep"):
        (tmp_path / name).mkdir(parents=True)
    for name in ("data/arithmetic/train.parquet", "models/tiny/config.json", "pinned/run.lock.yaml", "params.yaml"):
        (tmp_path / name).write_text("{}")
    (tmp_path / "pinned/metrics.jsonl").write_text("{}")
    for name in ("arithmetic", "tiny"):
        (tmp_path / f"data_prep/{name}.py").write_text("")
    (tmp_path / "rewards").mkdir()
    for name in ("correct", "format"):
        (tmp_path / f"rewards/{name}.py").write_text("")
    (tmp_path / ".dvc/config").write_text("[core]\n    no_scm = True\n")
    overrides = ["seed=1", "+dataset.params.train=4", "method=grpo", "model=tiny", "hardware=cpu"]
    lock = locked(composed("hardware=cpu"), *overrides)
    lock["inputs"]["data"] |= {
        "md5": folder_md5(tmp_path / "data/arithmetic"),
        "source": {"script": "data_prep/arithmetic.py", "files": {}},
    }
    lock["inputs"]["model"] |= {"path": "models/tiny", "source": {"script": "data_prep/tiny.py"}}
    monkeypatch.chdir(tmp_path)  # as __main__ does
    return tmp_path, lock


def written(root):
    return yaml.safe_load((root / "dvc.yaml").read_text())["stages"]


def test_a_stage_replays_the_run_and_one_makes_each_input(project):
    root, lock = project
    assert stages.write_stages(lock, root) == []
    found = written(root)
    assert list(found) == ["data_arithmetic", "model_tiny", "run"]
    assert found["data_arithmetic"]["cmd"] == "python -m rlexp prepare +dataset.params.train=4 method=grpo"
    assert found["data_arithmetic"]["deps"] == ["data_prep/arithmetic.py"]
    assert found["data_arithmetic"]["outs"] == ["data/arithmetic"]
    assert found["model_tiny"]["cmd"] == "python -m rlexp prepare model=tiny"
    assert found["model_tiny"]["outs"] == ["models/tiny"]
    run = found["run"]
    assert run["cmd"] == "python -m rlexp replay pinned --params params.yaml --dir pinned/replay"
    assert sorted(run["deps"]) == [
        *("data/arithmetic", "models/tiny", "pinned/metrics.jsonl", "pinned/run.lock.yaml", "pinned/sources"),
        *("rewards/correct.py", "rewards/format.py"),
    ]
    assert run["outs"] == ["pinned/replay/adapter"] and (root / "pinned/replay").is_dir()
    assert run["metrics"] == ["pinned/replay/scores.json"]


def test_an_input_that_a_stage_makes_already_gets_no_other(project):
    root, lock = project
    stages.write_stages(lock, root)
    lock["overrides"] = ["dataset.params.train=9"]
    lock["config"]["model"]["full_finetuning"] = True
    assert stages.write_stages(lock, root) == []
    assert written(root)["data_arithmetic"]["cmd"].endswith("train=4 method=grpo")
    assert written(root)["run"]["outs"] == ["pinned/replay/model"]


@pytest.mark.parametrize("source", [{"script": "data_prep/tiny.py", "files": {"a.csv": "md5"}}, {}, None])
def test_an_input_that_dvc_cannot_make_is_noted(project, source):
    root, lock = project
    lock["inputs"]["data"].pop("source")
    if source is not None:
        lock["inputs"]["data"]["source"] = source
    (note,) = stages.write_stages(lock, root)
    assert note.startswith("no stage makes data/arithmetic: dvc add it")
    assert "data_arithmetic" not in written(root)
    assert "data/arithmetic" not in written(root)["run"]["deps"]


def test_a_snapshot_that_is_not_the_locked_one_is_noted_and_not_kept(project, monkeypatch):
    root, lock = project
    kept = []
    monkeypatch.setattr(stages.store, "keep", lambda *given: kept.append(given))
    stages.write_stages(lock, root)
    assert kept == [(root, root / "data/arithmetic")]
    lock["inputs"]["data"]["md5"] = "other"
    (note,) = stages.write_stages(lock, root)
    assert "not the locked snapshot any more" in note and len(kept) == 1


def test_a_model_of_the_hub_needs_no_stage(project):
    root, lock = project
    del lock["inputs"]["model"]["path"]
    assert stages.write_stages(lock, root) == []
    assert list(written(root)) == ["data_arithmetic", "run"]


def test_a_project_without_dvc_is_a_mistake(tmp_path, composed):
    with pytest.raises(RunError, match="DVC refused the stage run") as caught:
        stages.write_stages(locked(composed()), tmp_path)
    assert "dvc init" in caught.value.hint
