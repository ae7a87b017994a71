"""The callback between a trainer and the rules: what it says, how often, and when it stops."""

from __future__ import annotations

import json
import math
from types import SimpleNamespace

import pytest
import torch

from rlexp.errors import Stopped
from rlexp.health.watch import Watch, Weights
from rlexp.reward.rubric import Batch


class Scored:
    """Hands out what a rubric would have scored in a step."""

    sources: dict = {}  # noqa: RUF012

    def __init__(self, reward):
        self.reward = reward

    def of_step(self, step):
        texts = [f"{step} {n}" for n in range(16)]
        scores = {"correct": [self.reward] * 16, "format": [0.0] * 16}
        return [Batch(step, ["p"] * 16, texts, {}, scores, [self.reward] * 16)]

    def forget(self):
        """Nothing is kept."""


@pytest.fixture
def watched(composed, tmp_path):
    """A watch, and a function that takes it through a step."""

    def made(reward, *overrides, moves=0.01):
        said: list[str] = []
        watch = Watch(composed(*overrides), Scored(reward), tmp_path, said.append)
        model = torch.nn.Linear(8, 8)
        model.config = SimpleNamespace(get_text_config=lambda: SimpleNamespace(vocab_size=384))
        model.device = torch.device("cpu")
        state = SimpleNamespace(global_step=0, max_steps=100)
        watch.on_train_begin(None, state, None, model=model)

        def step(logs=None):
            control = SimpleNamespace(should_log=logs is not None, should_training_stop=False, should_save=False)
            state.global_step += 1
            watch.on_step_begin(None, state, control)
            with torch.no_grad():
                model.weight += moves
            watch.on_step_end(None, state, control)
            if logs is not None:
                watch.on_log(None, state, control, {"learning_rate": 1e-3, "reward": reward, **logs})
            return control

        return watch, step, said

    return made


def test_a_rule_warns_once_and_speaks_again_only_to_stop(watched, tmp_path):
    watch, step, said = watched(0.0, "health.rules.all_zero.stop=6")
    controls = [step({}) for _ in range(6)]
    assert len(said) == 1 and said[0].startswith("[health.all_zero] every completion of 3 steps scored 0")
    assert [control.should_training_stop for control in controls] == [False] * 5 + [True]
    assert controls[-1].should_save
    assert watch.summary()["all_zero"] == {"level": "stop", "first_step": 3}
    lines = [json.loads(line) for line in (tmp_path / "health.jsonl").read_text().splitlines()]
    assert [(line["rule"], line["level"], line["step"]) for line in lines] == [
        ("all_zero", "warn", 3),
        ("all_zero", "stop", 6),
    ]
    assert "rule `all_zero`" in (tmp_path / "health.md").read_text()
    with pytest.raises(Stopped, match=r"\[health.all_zero\]") as caught:
        watch.require()
    assert "health.rules.all_zero.stop=null" in (caught.value.hint or "")


def test_steps_that_are_not_logged_are_judged_by_their_completions(watched):
    watch, step, said = watched(0.0)
    for _ in range(3):
        step()
    assert "[health.all_zero]" in said[0] and watch.stopped is None
    watch.require()


def test_a_rule_with_no_stop_lets_the_run_go_on_and_an_absent_one_says_nothing(watched):
    watch, step, said = watched(0.0, "health.rules.all_zero.stop=null")
    assert not any(step({}).should_training_stop for _ in range(30)) and len(said) == 1
    watch, step, said = watched(0.0, "health=off")
    assert not any(step({}).should_training_stop for _ in range(30)) and said == []
    assert watch.summary() == {}


def test_what_an_evaluation_logs_is_no_step(watched):
    watch, step, _ = watched(1.0)
    step({})
    state = SimpleNamespace(global_step=1)
    watch.on_log(None, state, None, {"eval_loss": float("nan")})
    watch.on_log(None, state, None, {"held_out/reward": 0.5})
    assert len(watch.window.steps) == 1 and watch.window.held_out == [(1, {"reward": 0.5})]


def test_the_movement_of_the_weights_is_in_their_own_size():
    model = torch.nn.Linear(4, 4, bias=False)
    torch.nn.init.ones_(model.weight)
    weights = Weights(model)
    assert weights.moved() == 0.0
    with torch.no_grad():
        model.weight += 0.5
    assert weights.moved() == pytest.approx(0.5)
    with torch.no_grad():
        model.weight[0, 0] = torch.nan
    assert math.isnan(weights.moved())
