"""Every shipped experiment takes a step through the real command line, on a CPU."""

from __future__ import annotations

import pytest
from omegaconf import OmegaConf

from tests.conftest import ROOT
from tests.end_to_end.test_train import manifest, metrics, train

pytestmark = pytest.mark.end_to_end
EXPERIMENTS = sorted(path.stem for path in (ROOT / "conf/experiment").glob("*.yaml"))
FAST = ("smollm2_arithmetic", "sums_grpo", "sums_orpo")
"""The others are left to make test-long, as each is a run of its own."""
STEP = ("method.max_steps=1", "held_out.rows=2", "held_out.samples=0", "preflight.smoke=never")


def here(experiment: str) -> list[str]:
    """What an experiment is trained with: the tiny model where its own is not in the repository."""
    options = OmegaConf.load(ROOT / f"conf/experiment/{experiment}.yaml").defaults
    model = next(part["override /model"] for part in options if "override /model" in part)
    path = OmegaConf.load(ROOT / f"conf/model/{model}.yaml").get("path")
    return [] if path and (ROOT / path).is_dir() else ["model=tiny"]


def test_there_are_experiments_and_some_need_no_other_model():
    assert EXPERIMENTS and not all(here(experiment) for experiment in EXPERIMENTS)


@pytest.mark.parametrize(
    "experiment", [pytest.param(name, marks=[] if name in FAST else [pytest.mark.long]) for name in EXPERIMENTS]
)
def test_an_experiment_takes_a_step(shared_project, experiment):
    begun = OmegaConf.select(OmegaConf.load(ROOT / f"conf/experiment/{experiment}.yaml"), "model.start")
    if begun and not (shared_project / begun).exists():
        train(shared_project, begun, f"experiment={begun.rpartition('/')[2]}", *STEP)
    folder = shared_project / f"outputs/{experiment}"
    if not folder.exists():  # as the start of another
        train(shared_project, f"outputs/{experiment}", f"experiment={experiment}", *here(experiment), *STEP)
    assert manifest(folder)["status"] == "finished"
    assert [line["step"] for line in metrics(folder) if "loss" in line] == [1]
