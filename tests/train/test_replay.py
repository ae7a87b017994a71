"""What a replay notes of a conf/ that composes otherwise now, and what DVC's parameters ask for."""

import shutil

import pytest
from omegaconf import OmegaConf

from rlexp.errors import RunError
from rlexp.record.finished import FinishedRun
from rlexp.train.replay import _drift, _params


@pytest.mark.parametrize(
    ("rollout", "noted"),
    [
        ("auto", False),  # its choice follows the hardware, which a replay takes from the lock
        ("colocate", True),  # asked for then, and not by the overrides below
    ],
)
def test_what_auto_chose_on_another_machine_is_no_drift(composed, root, rollout, noted):
    model = "model=smollm2_135m"
    then = composed("hardware=h100", model, f"rollout={rollout}")
    assert then.rollout.name == "colocate"
    lock = {"overrides": ["hardware=cpu", model], "config": then.config(), "versions": {}}
    assert any("rollout.name" in note for note in _drift(FinishedRun(root, lock, {}, root))) is noted


def test_a_lock_from_before_auto_gave_reasons_composes_as_now(composed, root):
    then = composed("hardware=cpu").config()
    then["rollout"]["why"] = ""
    lock = {"overrides": [], "config": then, "versions": {}}
    assert not any("rollout" in note for note in _drift(FinishedRun(root, lock, {}, root)))


def test_a_params_file_varies_the_pinned_run_whatever_conf_defaults_to(composed, project):
    tree = composed("hardware=cpu", "method.beta=0.2", "seed=7").config()
    (project / "conf/config.yaml").write_text((project / "conf/config.yaml").read_text().replace("seed: 0", "seed: 5"))
    (project / "params.yaml").write_text(OmegaConf.to_yaml({**tree, "reward": "format+correct+length"}))
    run = _params(project, "params.yaml")
    assert sorted(run.reward.terms) == ["correct", "format", "length"]
    assert (run.seed, run.arguments["beta"]) == (7, 0.2)


@pytest.mark.parametrize("place", ["queued", ".dvc/tmp/exps/tmp1"])
def test_an_option_that_the_queue_lacks_is_to_be_added_to_git(composed, project, tmp_path, place):
    root = tmp_path / place
    shutil.copytree(project, root)
    (root / "params.yaml").write_text(OmegaConf.to_yaml({**composed("hardware=cpu").config(), "reward": "brief"}))
    with pytest.raises(RunError, match="brief") as caught:
        _params(root, "params.yaml")
    assert ("git add it" in (caught.value.hint or "")) == (place != "queued")


def test_a_params_file_is_read_as_dvc_writes_it(composed, project):
    from dvc.utils.hydra import apply_overrides

    (project / "params.yaml").write_text(OmegaConf.to_yaml(composed("hardware=cpu").config()))
    apply_overrides(str(project / "params.yaml"), ["method.learning_rate=1e-4", "method.eval_strategy=no"])
    run = _params(project, "params.yaml")
    assert (run.arguments["learning_rate"], run.arguments["eval_strategy"]) == (1e-4, "no")
    (project / "params.yaml").write_text("a: [")
    with pytest.raises(RunError, match="cannot be read"):
        _params(project, "params.yaml")
