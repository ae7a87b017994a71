"""What was typed goes before what an option or an experiment states."""

import pytest
from omegaconf import OmegaConf

from rlexp.compose import typed
from rlexp.errors import RunError


def tree(model=None, **method):
    stated = {"max_steps": 60, "num_train_epochs": 3.0, "loss_type": "dapo", "scale_rewards": "group", **method}
    return OmegaConf.create({"method": stated, "model": {"path": "models/a", "hub_id": None, **(model or {})}})


def test_typed_epochs_go_before_the_steps_of_an_option():
    made = tree(num_train_epochs=1.0)
    typed.settle(made, {"method.num_train_epochs"})
    assert made.method.max_steps == -1


@pytest.mark.parametrize("keys", [{"method.max_steps"}, set()])
def test_steps_stay_where_no_epochs_were_typed(keys):
    made = tree()
    typed.settle(made, keys)
    assert made.method.max_steps == 60


def test_typed_steps_go_before_the_epochs_of_an_experiment():
    made = tree(num_train_epochs=1.0, max_steps=5)
    typed.settle(made, {"method.max_steps"})
    assert made.method.max_steps == 5


@pytest.mark.parametrize(
    ("made", "keys", "what", "hint"),
    [
        (tree(), {"method.max_steps", "method.num_train_epochs"}, "both are typed", "leave one"),
        (tree(num_train_epochs=1.0), set(), "would not be read", "max_steps: -1"),
        (tree({"hub_id": "org/name"}), {"model.hub_id"}, "models/a goes before", "model.path=null model.name=name"),
        (tree({"system_prompt": "one\\nTwo"}), {"model.system_prompt"}, "a backslash and an n", "line break"),
        (tree({"system_prompt": "one\\n\\ntwo"}), {"model.system_prompt"}, "a backslash and an n", "line break"),
        (tree({"system_prompt": "a\\nb"}), {"model.system_prompt"}, "a backslash and an n", "line break"),
    ],
)
def test_what_would_not_be_read_is_refused(made, keys, what, hint):
    with pytest.raises(RunError) as caught:
        typed.settle(made, keys)
    assert what in caught.value.what and hint in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("made", "keys"),
    [
        (tree({"system_prompt": "a \\neq b"}), {"model.system_prompt"}),
        (tree({"system_prompt": "one\nTwo"}), {"model.system_prompt"}),
        (tree({"hub_id": "org/name", "path": None}), {"model.hub_id"}),
        (tree(max_steps=-1, num_train_epochs=1.0), {"method.max_steps", "method.num_train_epochs"}),
        (tree(max_steps=-1, num_train_epochs=1.0), set()),
    ],
)
def test_what_is_read_is_not(made, keys):
    typed.settle(made, keys)


def test_dr_grpo_does_not_scale_rewards_unless_that_is_typed():
    made, as_typed = tree(loss_type="dr_grpo"), tree(loss_type="dr_grpo")
    typed.settle(made, set())
    typed.settle(as_typed, {"method.scale_rewards"})
    assert made.method.scale_rewards == "none" and as_typed.method.scale_rewards == "group"


def test_the_keys_of_overrides():
    assert typed.keys_of(["a.b=1", "+c.d=x=y", "~e", "++f=1"]) == {"a.b", "c.d", "e", "f"}
