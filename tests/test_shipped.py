"""Every option that conf/ ships composes into a run, each by itself."""

from pathlib import Path

import pytest
from omegaconf import OmegaConf

from rlexp.compose.methods import METHODS

CONF = Path(__file__).parents[1] / "conf"
OPTIONS = sorted(path.relative_to(CONF).with_suffix("").as_posix() for path in CONF.glob("*/*.yaml"))
GROUPS = ("dataset", "experiment", "hardware", "health", "method", "model", "reward", "rollout", "tracking")
NEEDS = {
    "dataset/local": ["dataset.params.file=x"],
    "experiment/sums_sft_grpo": ["model.start=null"],  # the run that it begins with
    "reward/judge": ["reward.terms.judge.params.model=x"],
    "reward/preferred": ["reward.terms.preferred.params.model=x"],
    "reward/reward_model": ["reward.terms.reward_model.params.path=x"],
    "rollout/colocate": ["hardware=h100"],
    "rollout/server": ["hardware=h100x2"],
    "rollout/unsloth": ["hardware=h100"],
}
"""What an option does not work without."""
DATASETS = {
    **{"prompt_only": "arithmetic", "preference": "arithmetic_preferences"},
    **{"prompt_completion": "arithmetic_demonstrations", "unpaired_preference": "arithmetic_judged"},
}


def test_every_group_has_options():
    assert sorted({option.partition("/")[0] for option in OPTIONS}) == sorted(GROUPS)
    assert sorted(path.name for path in CONF.iterdir() if path.is_dir()) == sorted(GROUPS)


def test_every_method_is_an_option():
    assert [option.removeprefix("method/") for option in OPTIONS if option.startswith("method/")] == sorted(METHODS)


@pytest.mark.parametrize("option", OPTIONS)
def test_every_shipped_option_composes(composed, option):
    group, _, name = option.partition("/")
    overrides = [f"{group}={name}", *NEEDS.get(option, [])]
    if group == "dataset":
        kind = OmegaConf.load(CONF / f"{option}.yaml").type
        overrides.append(f"method={next(m.name for m in METHODS.values() if m.dataset_type.name == kind)}")
    if group == "method":
        overrides.append(f"dataset={DATASETS[METHODS[name].dataset_type.name]}")
    run = composed(*overrides)
    if group == "reward":
        assert set(run.reward.terms) == {name}
    elif group == "rollout" and name == "auto":
        assert run.rollout.name == "generate" or run.rollout.why  # auto never reaches the record
    elif group in ("experiment", "tracking"):
        assert run.config()
    else:
        assert getattr(run, group).name == name
