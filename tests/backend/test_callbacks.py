"""What a run says while it trains."""

from rlexp.backend.callbacks import headline, split_timing


def test_timings_stay_out_of_what_runs_are_compared_by():
    learned, timing = split_timing({"loss": 0.1, "step_time": 2.0, "train_runtime": 9.0, "train_steps_per_second": 1.0})
    assert learned == {"loss": 0.1}
    assert set(timing) == {"step_time", "train_runtime", "train_steps_per_second"}


def test_the_headline_shows_reward_by_term_and_length():
    logs = {"loss": 0.0, "reward": 1.25, "rewards/format/mean": 0.75, "completions/mean_length": 20.0}
    assert headline(logs) == "reward 1.25  format 0.75  length 20"
    assert headline({"loss": 0.6931, "rewards/margins": 0.5}) == "loss 0.693  margin 0.5"
    assert headline({"train_runtime": 1.0}) == ""
