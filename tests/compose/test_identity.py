"""What the identity of a run counts and what it does not, and what older locks are."""

import pytest
import yaml
from omegaconf import OmegaConf

from rlexp.cli import plan_run as plan
from rlexp.compose.identity import NEW_KEYS
from rlexp.compose.methods import METHODS, owner
from rlexp.compose.run import resolve
from rlexp.errors import RunError
from rlexp.record.lock import identity, identity_of

STORED = {
    (): "0ca3ed73c5b72c23",
    ("method=dpo", "dataset=arithmetic_preferences"): "c2e9bfec00ff5a40",
    ("method=orpo", "dataset=arithmetic_preferences"): "5ebf438458f95d67",
    ("method=kto", "dataset=arithmetic_judged", "method.shuffle_rows=false"): "02db8e76956a679c",
    ("method=sft", "dataset=arithmetic_demonstrations"): "5c3802a0ac4ce37c",
    ("method=rloo",): "2b02efa0f941f811",
    ("reward=format+correct+length", "reward.combine=gate"): "5bfb4d48839c3592",
    ("model=qwen3_0_6b",): "5879d60f39d37c62",
}
"""Identities of 1dbe9d9; one that changed means that a new key counts though it has its default (NEW_KEYS)."""
PREFERENCES = ("method=dpo", "dataset=arithmetic_preferences")


@pytest.fixture(autouse=True)
def the_hub_is_as_before(monkeypatch):
    """``invocation.offline`` is for the whole process."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "")  # so that it is put back
    monkeypatch.delenv("HF_HUB_OFFLINE")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)


@pytest.mark.parametrize(("overrides", "stored"), STORED.items())
def test_identities_hold_over_time(composed, overrides, stored):
    assert identity(composed("hardware=cpu", *overrides)) == stored


def test_a_new_key_counts_where_it_differs_from_its_default_and_only_there(composed, monkeypatch):
    config, before = composed().config(), identity(composed())
    config["model"]["new"] = 1
    assert identity_of(config) != before
    monkeypatch.setitem(NEW_KEYS, ("model", "new"), 1)
    assert identity_of(config) == before
    config["model"]["new"] = 2
    assert identity_of(config) != before
    assert identity(composed("model.trust_remote_code=true")) != before != identity(composed("model.allow_pickle=true"))


@pytest.mark.parametrize(
    "override",
    [
        *("seed=1", "method.beta=0.04", "reward=format", "reward.terms.correct.weight=2", "model.lora.r=8"),
        *("dataset=gcd", "dataset.difficulty=[0.1,0.9]"),
    ],
)
def test_what_changes_the_problem_changes_the_identity(composed, override):
    assert identity(composed(override)) != identity(composed())


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        ([], None),
        (["method=rloo"], "no time is gained"),
        (["rollout=server", "hardware=h100x2"], "while that one trains"),
    ],
)
def test_sampling_ahead_is_another_problem_wherever_it_samples_and_plan_says_so(composed, overrides, said):
    ahead = composed("method.off_policy_steps=1", *overrides)
    assert identity(ahead) != identity(composed(*overrides))
    assert plan._off_policy(composed(*overrides)) == []
    ((name, told),) = plan._off_policy(ahead)
    assert name == "off-policy" and (said or "") in told


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        ([], "1 more for a vLLM server (idle)"),  # the rollout's line says what would use it
        (["rollout=generate"], "1 more for a vLLM server (idle: rollout=server)"),
        (["rollout=server"], "1 more for a vLLM server"),
    ],
)
def test_plan_says_whether_a_second_gpu_is_used(composed, overrides, said):
    assert plan._devices(composed("hardware=h100x2", *overrides)).endswith(said)


@pytest.mark.parametrize(
    "override",
    [
        *("hardware=h200", "hardware.sequences_per_device=8", "tracking=wandb", "held_out.rows=8", "held_out.every=2"),
        *("health=strict", "health=off", "preflight.smoke=never", "rollout.patches=off", "tracking.project=other"),
        "invocation.offline=true",
    ],
)
def test_where_it_runs_and_what_is_watched_does_not_change_the_identity(composed, override):
    assert identity(composed(override)) == identity(composed("hardware=cpu"))


def test_hardware_auto_names_a_concrete_option(composed):
    assert composed("hardware=auto").hardware.name in ("cpu", "cuda", "h100", "h200")


@pytest.mark.parametrize("name", METHODS)
def test_every_argument_of_a_method_has_one_owner(composed, root, name):
    dataset = next(
        path.stem
        for path in sorted((root / "conf/dataset").glob("arithmetic*.yaml"))
        if f"type: {METHODS[name].dataset_type.name}\n" in path.read_text()
    )
    run = composed(f"method={name}", f"dataset={dataset}")
    assert set(run.arguments) == {a for a in METHODS[name].all_arguments if owner(a) is None}


@pytest.mark.parametrize(
    ("overrides", "what", "hint"),
    [
        (["reward=correct", "reward.combine=gate"], "the gate is the term 'format'", "reward.gate=correct"),
        (["reward=format+correct", "reward.combine=gate", "reward.gate=corect"], "'corect'", "reward.gate=correct"),
        (["method=rloo", "reward.combine=normalize"], "rloo cannot standardise", "method=grpo"),
        (["reward.combine=mean"], "mean", "sum"),
    ],
)
def test_terms_that_cannot_be_combined_so_are_refused(composed, overrides, what, hint):
    with pytest.raises(RunError) as caught:
        composed(*overrides)
    assert what in caught.value.what and hint in str(caught.value)


def test_how_a_reward_is_guarded_does_not_change_the_identity(composed):
    guarded = composed("reward.time_limit=3", "reward.max_failed=0.5", "dataset.gold=x", "hardware.reward_workers=1")
    assert identity(guarded) == identity(composed())
    assert identity(composed("reward.combine=normalize")) != identity(composed())


@pytest.mark.parametrize(
    "overrides",
    [
        ["hardware=h100", "rollout=unsloth", "model=qwen3_4b"],
        ["hardware=cuda", "rollout=colocate", "model=qwen3_0_6b"],
        ["hardware=cpu"],
    ],
)
def test_the_record_holds_numbers_and_reads_back_as_the_same_run(composed, overrides):
    run = composed(*overrides)
    locked = yaml.safe_load(yaml.safe_dump(run.config()))
    for key in ("sequences_per_device", "gradient_checkpointing"):
        assert locked["hardware"][key] is not None
    assert resolve(OmegaConf.create(locked)).config() == run.config()


def test_a_lock_from_before_there_were_sizes_is_the_same_run(composed):
    run = composed("hardware=h100", "model=qwen3_0_6b", "rollout=unsloth")
    older = run.config()
    del older["model"]["size"], older["hardware"]["memory_gib"], older["hardware"]["rollout_devices"]
    again = resolve(OmegaConf.create(older))
    assert identity(again) == identity(run)
    assert again.geometry == run.geometry and again.rollout == run.rollout
    assert again.hardware.gradient_checkpointing == run.hardware.gradient_checkpointing


def test_the_size_does_not_change_the_identity(composed):
    one = composed("model=qwen3_4b", "hardware=h100")
    assert identity(composed("model=qwen3_4b", "hardware=h100", "model.size.hidden_size=4096")) == identity(one)


@pytest.mark.parametrize("method", METHODS)
def test_a_config_read_back_from_a_lock_is_the_same_run(composed, root, method):
    dataset = {"prompt_only": "arithmetic", "preference": "arithmetic_preferences"}.get(
        METHODS[method].dataset_type.name, "arithmetic_judged" if method == "kto" else "arithmetic_demonstrations"
    )
    run = composed(f"method={method}", f"dataset={dataset}", "reward=format+length")
    locked = yaml.safe_load(yaml.safe_dump(run.config()))
    assert resolve(OmegaConf.create(locked)).config() == run.config()


def test_how_a_run_is_started_is_in_no_config(composed):
    run = composed("invocation.offline=true")
    assert "invocation" not in run.config() and not hasattr(run, "invocation")
