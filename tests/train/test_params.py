"""What DVC's parameters ask for: the pinned run with some of it changed."""

import shutil

import pytest
from omegaconf import OmegaConf

from rlexp.errors import RunError
from rlexp.train.params import read


def test_a_params_file_varies_the_pinned_run_whatever_conf_defaults_to(composed, project):
    tree = composed("hardware=cpu", "method.beta=0.2", "seed=7").config()
    (project / "conf/config.yaml").write_text((project / "conf/config.yaml").read_text().replace("seed: 0", "seed: 5"))
    (project / "params.yaml").write_text(OmegaConf.to_yaml({**tree, "reward": "format+correct+length"}))
    run = read(project, "params.yaml", composed("hardware=cpu").config())
    assert sorted(run.reward.terms) == ["correct", "format", "length"]
    assert (run.seed, run.arguments["beta"]) == (7, 0.2)


@pytest.mark.parametrize("place", ["queued", ".dvc/tmp/exps/tmp1"])
def test_an_option_that_the_queue_lacks_is_to_be_added_to_git(composed, project, tmp_path, place):
    root = tmp_path / place
    shutil.copytree(project, root)
    (root / "params.yaml").write_text(OmegaConf.to_yaml({**composed("hardware=cpu").config(), "reward": "brief"}))
    with pytest.raises(RunError, match="brief") as caught:
        read(root, "params.yaml", composed("hardware=cpu").config())
    assert ("git add it" in (caught.value.hint or "")) == (place != "queued")


def test_a_params_file_is_read_as_dvc_writes_it(composed, project):
    from dvc.utils.hydra import apply_overrides

    (project / "params.yaml").write_text(OmegaConf.to_yaml(composed("hardware=cpu").config()))
    apply_overrides(str(project / "params.yaml"), ["method.learning_rate=1e-4", "method.eval_strategy=no"])
    run = read(project, "params.yaml", composed("hardware=cpu").config())
    assert (run.arguments["learning_rate"], run.arguments["eval_strategy"]) == (1e-4, "no")
    (project / "params.yaml").write_text("a: [")
    with pytest.raises(RunError, match="cannot be read"):
        read(project, "params.yaml", composed("hardware=cpu").config())


def test_epochs_that_are_varied_go_before_the_steps_of_the_pinned_run(composed, project):
    locked = composed("hardware=cpu").config()
    varied = {**locked, "method": {**locked["method"], "num_train_epochs": 2.0}}
    (project / "params.yaml").write_text(OmegaConf.to_yaml(varied))
    run = read(project, "params.yaml", locked)
    assert (run.arguments["max_steps"], run.arguments["num_train_epochs"]) == (-1, 2.0)
