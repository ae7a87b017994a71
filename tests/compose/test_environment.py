"""References to the environment stay text in the Run; secrets that are typed out are refused."""

import pytest
import yaml
from omegaconf import OmegaConf

from rlexp import secrets
from rlexp.compose.environment import resolved, variables
from rlexp.compose.run import resolve
from rlexp.errors import RunError
from rlexp.inputs import prepare, reward_source
from rlexp.record.lock import identity
from rlexp.reward.rubric import workers_for

KEY = "+reward.terms.correct.params.api_key"
REFERENCE = "${oc.env:PLANTED}"


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    monkeypatch.setattr(secrets, "_watched", set())
    monkeypatch.setenv("PLANTED", "Planted-1111")


@pytest.mark.parametrize("value", [REFERENCE, "Bearer ${oc.env:PLANTED}", "${oc.env:MISSING,none}"])
def test_a_reference_is_kept_as_text_and_its_value_reaches_the_reward(composed, root, value):
    run = composed(f"{KEY}='{value}'")
    assert run.reward.terms["correct"].params["api_key"] == value
    locked = yaml.safe_load(yaml.safe_dump(run.config()))
    assert locked["reward"]["terms"]["correct"]["params"]["api_key"] == value
    again = resolve(OmegaConf.create(locked))
    assert again.config() == run.config() and identity(again) == identity(run)
    with workers_for(run.reward, {"correct": reward_source.read(root, "rewards/correct.py")}, 0) as workers:
        given = workers._sources["correct"][1]["api_key"]
    assert given == value.replace(REFERENCE, "Planted-1111").replace("${oc.env:MISSING,none}", "none")


def test_the_identity_takes_the_reference_not_the_value(composed, monkeypatch):
    one = composed(f"{KEY}='{REFERENCE}'")
    monkeypatch.setenv("PLANTED", "Planted-2222")
    assert identity(resolve(OmegaConf.create(one.config()))) == identity(one) != identity(composed())


def test_data_and_model_scripts_get_the_value_and_the_snapshot_says_the_reference(tmp_path):
    script = tmp_path / "data_prep/own.py"
    script.parent.mkdir()
    script.write_text("def rows(word):\n    return {'train': [{'prompt': word}], 'test': [{'prompt': word}]}\n")
    prepare.write_snapshot(script, tmp_path / "data", {"word": REFERENCE})
    description = (tmp_path / "data/snapshot.json").read_text()
    assert REFERENCE in description and "Planted" not in description
    assert b"Planted-1111" in (tmp_path / "data/train.parquet").read_bytes()


@pytest.mark.parametrize("key", ["tracking.project", "model.system_prompt", "dataset.gold", "reward.gate"])
def test_elsewhere_than_in_params_a_reference_is_refused(composed, key):
    with pytest.raises(RunError) as caught:
        composed(f"{key}='{REFERENCE}'")
    assert caught.value.where == key and "PLANTED" in caught.value.what and "only params" in caught.value.what


def test_a_variable_that_is_not_set_is_one_message_when_it_is_needed():
    with pytest.raises(RunError) as caught:
        resolved({"a": ["${oc.env:MISSING}"]})
    assert "MISSING" in str(caught.value.where) and "export MISSING=..." in str(caught.value.hint)
    assert variables({"a": ["${oc.env:B}", "x${oc.env:A,1}"]}) == ["A", "B"]


@pytest.mark.parametrize(
    ("override", "typed"),
    [
        (f"{KEY}=abc", "'reward.terms.correct.params.api_key=${oc.env:API_KEY}'"),
        ("+dataset.params.password=abc", "'dataset.params.password=${oc.env:PASSWORD}'"),
        ("+model.params.access_token=abc", "'model.params.access_token=${oc.env:ACCESS_TOKEN}'"),
        ("+reward.terms.correct.params.signing_key=a1b2c3d4e5f6g7h8i9j0k1", "${oc.env:SIGNING_KEY}"),
        ("+reward.terms.correct.params.x=hf_" + "a1B2" * 8, "'reward.terms.correct.params.x=${oc.env:X}'"),
        ("model.system_prompt=sk-proj-" + "a1b2" * 8, "leave it out of model.system_prompt"),
        ("+reward.terms.correct.params.x=Planted-3333", "${oc.env:OTHER_TOKEN}"),
    ],
)
def test_a_secret_that_is_typed_out_is_refused_with_the_line_to_type(composed, monkeypatch, override, typed):
    monkeypatch.setenv("OTHER_TOKEN", "Planted-3333")
    with pytest.raises(RunError) as caught:
        composed(override)
    message = str(caught.value)
    assert "looks like a secret" in message and typed in message
    assert override.partition("=")[2] not in message


@pytest.mark.parametrize(
    "override",
    [
        "+reward.terms.correct.params.api_key_variable=OPENAI_API_KEY",
        "+reward.terms.correct.params.eos_token='<|im_end|>'",
        "+reward.terms.correct.params.max_tokens=512",
        "+dataset.params.key=answer",
        f"{KEY}=null",
        f"{KEY}=''",
    ],
)
def test_what_only_sounds_like_a_secret_is_not_refused(composed, override):
    composed(override)
