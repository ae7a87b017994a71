"""Where the time of a step goes."""

import pytest

from rlexp.train.step_time import StepTime, line, medians


class Watch:
    """A clock that only the work moves on."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


class Trainer:
    """The methods of TRL's online trainers, each of a known length."""

    def __init__(self, watch: Watch) -> None:
        self.watch = watch
        self.vllm_generation = Engine(watch)

    def training_step(self, passes_of_the_policy: int = 1) -> str:
        self._prepare_inputs()
        for _ in range(passes_of_the_policy):
            self._get_per_token_logps_and_entropies()
        self.watch.now += 2  # backward
        return "loss"

    def _prepare_inputs(self) -> None:
        self.watch.now += 0.25  # tokenizing
        self._generate_single_turn()
        self._get_per_token_logps_and_entropies()
        self._calculate_rewards()

    def _generate_single_turn(self) -> None:
        self.vllm_generation.sync_weights()
        self.watch.now += 4

    def _get_per_token_logps_and_entropies(self) -> None:
        self.watch.now += 1

    def _calculate_rewards(self) -> None:
        self.watch.now += 0.5


class Engine:
    def __init__(self, watch: Watch) -> None:
        self.watch = watch

    def sync_weights(self) -> None:
        self.watch.now += 0.125


@pytest.fixture
def watched() -> tuple[Watch, Trainer, StepTime]:
    watch = Watch()
    trainer = Trainer(watch)
    return watch, trainer, StepTime(trainer, watch)


def test_a_part_inside_another_counts_for_itself_and_the_parts_add_up_to_the_step(watched):
    watch, trainer, times = watched
    times.on_step_begin()
    assert trainer.training_step() == "loss"
    watch.now += 0.0625  # clipping and the optimizer
    times.on_optimizer_step()
    watch.now += 0.03125  # the other callbacks
    times.on_step_end()
    (step,) = times.steps
    assert step.pop("step") == sum(step.values())
    assert step == {
        "other": 0.25 + 0.03125,
        "weight_sync": 0.125,
        "generate": 4,
        "logprobs": 1,  # the old policy's; the policy's own pass belongs to forward and backward
        "score": 0.5,
        "forward_backward": 1 + 2,
        "optimizer": 0.0625,
    }


def test_several_micro_batches_are_one_step_and_what_is_outside_of_steps_is_not_counted(watched):
    watch, trainer, times = watched
    trainer._prepare_inputs()  # an evaluation
    times.on_step_begin()
    trainer.training_step(0)
    trainer.training_step(0)
    times.on_optimizer_step()
    times.on_step_end()
    watch.now += 100  # a checkpoint is written
    assert len(times.steps) == 1
    assert times.steps[0]["generate"] == 8 and times.steps[0]["forward_backward"] == 4


def test_a_part_that_raises_is_closed(watched):
    _, trainer, times = watched
    trainer.vllm_generation.watch = None
    times.on_step_begin()
    with pytest.raises(AttributeError):
        trainer.training_step()
    assert times._open == ["other"]


def test_a_log_entry_gets_the_means_since_the_last_one_named_as_timings():
    times = StepTime(object(), Watch())
    times.steps = [{"step": 1.0, "generate": 0.5}, {"step": 3.0, "generate": 1.5}]
    assert times.logged() == {"step_time/step": 2.0, "step_time/generate": 1.0}
    assert times.logged() == {}


def test_medians_leave_the_first_step_out_where_there_are_others():
    slow, fast = {"step": 60.0, "optimizer": 1.0}, {"step": 2.0, "optimizer": 0.5}
    assert medians([slow, fast, fast]) == fast
    assert medians([slow]) == slow
    assert medians([]) == {}


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        # the largest first, other last, a share from a tenth on
        (
            {"step": 0.42, "score": 0.02, "other": 0.04, "forward_backward": 0.11, "generate": 0.25},
            "a step 0.42 s: generate 0.25 (60%), forward/backward 0.11 (26%), score 0.020, other 0.040",
        ),
        # what nobody would look for is not said
        ({"step": 12.3, "forward_backward": 12.29, "optimizer": 0.01}, "a step 12.3 s: forward/backward 12.3 (100%)"),
        ({}, ""),
    ],
)
def test_the_line_says_what_is_largest_first(parts, said):
    assert line(parts) == said
