"""The stages that pinning writes for DVC, with DVC itself."""

from __future__ import annotations

import shutil

import pytest
import yaml

from rlexp.errors import RunError
from rlexp.inputs.digest import folder_md5
from rlexp.record import ship_stage, stages
from tests.conftest import ROOT
from tests.record import made
from tests.record.made import locked

EMPTY = "d41d8cd98f00b204e9800998ecf8427e"


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
    shutil.copytree(ROOT / "conf", tmp_path / "conf")
    (tmp_path / ".dvc/config").write_text("[core]\n    no_scm = True\n")
    overrides = ["seed=1", "dataset.params.train=4", "method=grpo", "model=tiny", "hardware=cpu"]
    lock = locked(composed("hardware=cpu"), *overrides)
    lock["inputs"]["data"] |= {
        "md5": folder_md5(tmp_path / "data/arithmetic"),
        "source": {"script": "data_prep/arithmetic.py", "script_md5": EMPTY, "files": {}},
    }
    lock["config"]["dataset"]["params"]["train"] = 4
    lock["inputs"]["model"] |= {
        "path": "models/tiny",
        "source": {"script": "data_prep/tiny.py", "script_md5": EMPTY},
    }
    monkeypatch.chdir(tmp_path)  # as __main__ does
    return tmp_path, lock


def written(root):
    return yaml.safe_load((root / "dvc.yaml").read_text())["stages"]


def test_a_stage_replays_the_run_and_one_makes_each_input(project):
    root, lock = project
    assert stages.write_stages([(lock, root / "run/sources")], root) == []
    found = written(root)
    assert list(found) == ["data_arithmetic", "model_tiny", "run"]
    assert found["data_arithmetic"]["cmd"] == "python -m rlexp prepare dataset.params.train=4 method=grpo"
    assert found["data_arithmetic"]["deps"] == ["data_prep/arithmetic.py"]
    assert found["data_arithmetic"]["outs"] == [{"data/arithmetic": {"persist": True}}]
    assert found["model_tiny"]["cmd"] == "python -m rlexp prepare model=tiny"
    assert found["model_tiny"]["outs"] == [{"models/tiny": {"persist": True}}]
    run = found["run"]
    assert run["cmd"] == "python -m rlexp replay pinned --params params.yaml --dir pinned/replay"
    assert sorted(run["deps"]) == [
        *("data/arithmetic", "models/tiny", "pinned/metrics.jsonl", "pinned/run.lock.yaml", "pinned/sources")
    ]
    assert "outs" not in run and (root / "pinned/replay").is_dir()
    assert run["metrics"] == ["pinned/replay/scores.json"]


def test_what_is_shipped_gets_a_stage_behind_the_replay_and_a_pin_without_it_takes_it_away(project, composed):
    root, lock = project
    run = made.write(root / "a", {**lock, "config": composed("hardware=cpu").config()})
    (root / "eval").mkdir()
    shutil.copyfile(ROOT / "eval/sums.yaml", root / "eval/sums.yaml")
    asked = ship_stage.read(["export=merged", "eval=sums", "export.gate.rows=4"], ["--seconds=1"], run)
    stages.write_stages([(lock, root / "run/sources")], root, asked)
    found = written(root)
    words = "export=merged export.gate.rows=4 eval=sums --seconds=1 export.dir=exports/pinned"
    assert found["ship"]["cmd"] == f"python -m rlexp ship pinned/replay {words}"
    assert found["ship"]["outs"] == [{"exports/pinned/shipped.json": {"cache": False, "persist": True}}]
    assert found["run"]["outs"] == [{"pinned/replay/trained.json": {"cache": False, "persist": True}}]
    assert sorted(found["ship"]["deps"]) == [
        *("data/arithmetic", "eval/sums.yaml", "models/tiny", "pinned/replay/scores.json"),
        *("pinned/replay/trained.json", "pinned/run.lock.yaml"),
    ]
    stages.write_stages([(lock, root / "run/sources")], root)
    assert "ship" not in written(root) and "outs" not in written(root)["run"]


@pytest.mark.parametrize(
    ("words", "limits", "what"),
    [
        (["export=nix"], [], "no format 'nix'"),
        (["export=merged", "seed=1"], [], "would not be read"),
        (["eval=greedy"], [], "belongs to what is shipped"),
        ([], ["--seconds=1"], "belongs to what is shipped"),
        (["export=merged", "export.dir=exports/x"], [], "is shipped to exports/pinned"),
    ],
)
def test_what_cannot_be_shipped_is_said_before_anything_is_pinned(project, composed, words, limits, what):
    run = made.write(project[0] / "outputs/a", {**project[1], "config": composed("hardware=cpu").config()})
    with pytest.raises(RunError, match=what) as caught:
        ship_stage.read(words, limits, run)
    assert caught.value.hint and not (project[0] / "dvc.yaml").exists()


def test_an_input_that_a_stage_makes_already_gets_no_other(project):
    root, lock = project
    stages.write_stages([(lock, root / "run/sources")], root)
    lock["overrides"] = ["dataset.params.train=9"]
    assert stages.write_stages([(lock, root / "run/sources")], root) == []
    assert written(root)["data_arithmetic"]["cmd"].endswith("train=4 method=grpo")


@pytest.mark.parametrize("source", [{"script": "data_prep/tiny.py", "files": {"a.csv": "md5"}}, {}, None])
def test_an_input_that_dvc_cannot_make_is_noted(project, source):
    root, lock = project
    lock["inputs"]["data"].pop("source")
    if source is not None:
        lock["inputs"]["data"]["source"] = source
    (note,) = stages.write_stages([(lock, root / "run/sources")], root)
    assert note.startswith("no stage makes data/arithmetic: dvc add it")
    assert "data_arithmetic" not in written(root)
    assert "data/arithmetic" not in written(root)["run"]["deps"]


def test_a_snapshot_that_is_not_the_locked_one_is_noted_and_not_kept(project, monkeypatch):
    root, lock = project
    kept = []
    monkeypatch.setattr(stages.store, "keep", lambda *given: kept.append(given))
    stages.write_stages([(lock, root / "run/sources")], root)
    assert kept == [(root, root / "data/arithmetic")]
    lock["inputs"]["data"]["md5"] = "other"
    (note,) = stages.write_stages([(lock, root / "run/sources")], root)
    assert "not the locked snapshot any more" in note and len(kept) == 1


def mixed(root, lock, composed):
    """The lock as that of a run on two data sets, which lie in their folders."""
    typed = ["dataset=arithmetic+gcd", "dataset.parts.gcd.params.train=9", "dataset.parts.gcd.weight=2"]
    lock["overrides"], lock["config"] = ["seed=1", *typed, "model=tiny"], composed("hardware=cpu", *typed).config()
    parts = {}
    for name, script in (("arithmetic", "arithmetic"), ("gcd", "reasoning_gym_task")):
        (root / f"data/{name}").mkdir(exist_ok=True)
        (root / f"data/{name}/train.parquet").write_text(name)
        (root / f"data_prep/{script}.py").write_text("")
        source = {"script": f"data_prep/{script}.py", "script_md5": EMPTY, "files": {}}
        parts[name] = {"path": f"data/{name}", "md5": folder_md5(root / f"data/{name}"), "source": source}
    (root / "data/arithmetic+gcd").mkdir()
    (root / "data/arithmetic+gcd/train.parquet").write_text("both")
    made = {"path": "data/arithmetic+gcd", "md5": folder_md5(root / "data/arithmetic+gcd"), "source": {"parts": parts}}
    lock["inputs"]["data"] = made


def test_a_mixture_gets_a_stage_behind_those_of_its_parts(project, composed):
    root, lock = project
    mixed(root, lock, composed)
    assert stages.write_stages([(lock, root / "run/sources")], root) == []
    found = written(root)
    assert list(found) == ["data_arithmetic", "data_gcd", "data_arithmetic_gcd", "model_tiny", "run"]
    assert found["data_gcd"]["cmd"] == "python -m rlexp prepare dataset=gcd dataset.params.train=9"
    assert found["data_gcd"]["deps"] == ["data_prep/reasoning_gym_task.py"]
    both = found["data_arithmetic_gcd"]
    assert "dataset=arithmetic+gcd dataset.parts.gcd.params.train=9" in both["cmd"]
    assert both["deps"] == ["data/arithmetic", "data/gcd"]
    assert both["outs"] == [{"data/arithmetic+gcd": {"persist": True}}]
    assert "data/arithmetic+gcd" in found["run"]["deps"] and "data/gcd" not in found["run"]["deps"]


def test_a_mixture_one_of_whose_parts_dvc_cannot_make_is_noted(project, composed):
    root, lock = project
    mixed(root, lock, composed)
    lock["inputs"]["data"]["source"]["parts"]["gcd"]["source"]["files"] = {"a.csv": EMPTY}
    (note,) = stages.write_stages([(lock, root / "run/sources")], root)
    assert note.startswith("no stage makes data/arithmetic+gcd: dvc add it")
    assert "data_arithmetic_gcd" not in written(root)


def test_a_model_of_the_hub_needs_no_stage(project):
    root, lock = project
    del lock["inputs"]["model"]["path"]
    assert stages.write_stages([(lock, root / "run/sources")], root) == []
    assert list(written(root)) == ["data_arithmetic", "run"]


def own_model(root, lock, place):
    lock["config"]["model"]["path"] = lock["inputs"]["model"]["path"] = place
    lock["overrides"].append(f"model.path={place}")
    (root / place).mkdir(parents=True)
    (root / place / "config.json").write_text("{}")


def test_a_model_of_the_users_own_is_no_out_of_any_stage(project):
    root, lock = project
    own_model(root, lock, "models/mysft")
    (note,) = stages.write_stages([(lock, root / "run/sources")], root)
    assert note == "no stage makes models/mysft: dvc add it, and dvc push, for a colleague to have it"
    found = written(root)
    assert list(found) == ["data_arithmetic", "run"] and "models/mysft" not in found["run"]["deps"]


def test_a_model_where_dvc_sees_nothing_is_to_be_copied_first(project):
    root, lock = project
    (root / ".dvcignore").write_text("outputs\n")
    own_model(root, lock, "outputs/one/model")
    (note,) = stages.write_stages([(lock, root / "run/sources")], root)
    assert "copy it to models/ first" in note


@pytest.mark.parametrize(
    "change",
    [
        lambda root, lock: lock["config"]["dataset"]["params"].update(seed=7),
        lambda root, lock: lock["overrides"].append("dataset.params.seed=9"),
        lambda root, lock: lock["overrides"].append("dataset.name=other"),
        lambda root, lock: lock["overrides"].append("dataset.nothing=1"),
        lambda root, lock: lock["inputs"]["data"]["source"].update(script_md5="0" * 32),
        lambda root, lock: (root / "data_prep/arithmetic.py").unlink(),
    ],
)
def test_data_that_the_command_would_make_otherwise_is_no_out(project, change):
    root, lock = project
    change(root, lock)
    (note,) = stages.write_stages([(lock, root / "run/sources")], root)
    assert "no stage makes data/arithmetic" in note and "data_arithmetic" not in written(root)


def test_data_whose_script_was_kept_is_made_by_a_replay(project):
    root, lock = project
    (root / "data_prep/arithmetic.py").unlink()
    kept = root / "run/sources/data_prep/arithmetic.py"
    kept.parent.mkdir(parents=True)
    kept.write_text("")
    assert stages.write_stages([(lock, root / "run/sources")], root) == []
    kept.write_text("another")
    (note,) = stages.write_stages([(lock, root / "run/sources")], root)
    assert "no stage makes data/arithmetic" in note


def test_the_stages_are_in_dvc_lock_and_dvc_would_still_run_the_replay(project):
    from dvc.repo import Repo

    root, lock = project
    stages.write_stages([(lock, root / "run/sources")], root)
    stages.lock_stages([(lock, {"reward": {"before": 1.0, "after": 2.0}})], root)
    kept = yaml.safe_load((root / "dvc.lock").read_text())["stages"]
    assert set(kept) == {"data_arithmetic", "model_tiny", "run"}
    assert [out["path"] for out in kept["run"]["outs"]] == ["pinned/replay/scores.json"]
    assert not (root / "pinned/replay/scores.json").exists()
    with Repo(str(root)) as repo:
        assert set(repo.status()) == {"run"}


@pytest.mark.parametrize(
    ("spoil", "hint"),
    [
        (lambda root: (root / "dvc.yaml").write_text("stages: {a: {cmd: [}"), "mend that file"),
        (lambda root: (root / "dvc.yaml").write_text("stages: {a: {outs: [x]}}"), "mend that file"),
        (
            lambda root: (root / "dvc.yaml").write_text("stages: {a: {cmd: x, outs: [pinned/replay]}}"),
            "take the stage that makes the same folder out",
        ),
    ],
)
def test_each_refusal_of_dvc_has_its_own_advice(project, spoil, hint):
    root, lock = project
    spoil(root)
    with pytest.raises(RunError, match="DVC refused the stage run") as caught:
        stages.write_stages([(lock, root / "run/sources")], root)
    assert hint in caught.value.hint


def test_a_project_that_another_dvc_command_holds_says_so(project, monkeypatch):
    from dvc.lock import LockError
    from dvc.repo.stage import StageLoad

    def busy(*given, **more):
        raise LockError("Unable to acquire lock")

    monkeypatch.setattr(StageLoad, "add", busy)
    with pytest.raises(RunError, match="Unable to acquire lock") as caught:
        stages.write_stages([(project[1], project[0] / "run/sources")], project[0])
    assert "another dvc command is at work" in caught.value.hint


def test_a_project_without_dvc_is_a_mistake(tmp_path, composed):
    with pytest.raises(RunError, match="DVC refused the stage run") as caught:
        stages.write_stages([(locked(composed()), tmp_path)], tmp_path)
    assert "dvc init" in caught.value.hint
