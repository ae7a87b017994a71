"""Held-out completions."""

import pytest
from rich.console import Console

from rlexp.evaluate import evaluated
from rlexp.evaluate.measure import Measurement
from rlexp.evaluate.transformers_sampler import until_end
from rlexp.train import summary


@pytest.mark.parametrize(
    ("ids", "kept"),
    [
        ([5, 6, 2, 0, 0], [5, 6, 2]),  # padding behind the end is not the model's
        ([5, 6, 7], [5, 6, 7]),  # cut by the limit: no end
        ([2, 5], [2]),  # ended at once
        ([], []),
    ],
)
def test_a_completion_ends_with_its_first_end_token(ids, kept):
    assert until_end(ids, {0, 2}) == kept


def standing(reward, text, **metrics):
    sampled = Measurement({"reward": reward}, {"reward": 0.1}, ["What is [1] + 1?"], [text], [reward], [4], {})
    return summary.HeldOutScores(metrics, sampled)


def test_the_closing_table_shows_the_change_and_the_completions(composed, capsys):
    before, after = standing(0.5, "a [b] c", loss=1.0), standing(1.0, "line\nbreak", loss=0.5)
    summary.show(Console(soft_wrap=True, highlight=False), composed(), before, after)
    said = capsys.readouterr().out
    assert "+100%" in said and "-50%" in said
    assert "What is [1] + 1?" in said and "a [b] c" in said and "line\\nbreak" in said
    assert summary.change_table(before, after)["loss"] == {"before": 1.0, "after": 0.5}


def test_the_closing_table_has_the_chosen_weights_where_they_are_others(composed, capsys):
    before, best, after = standing(0.5, "a", loss=1.0), standing(1.0, "b", loss=0.25), standing(0.75, "c", loss=0.5)
    summary.show(Console(soft_wrap=True, highlight=False), composed(), before, after, best)
    said = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert "before best after change" in said and "loss 1.000 0.250 0.500 -50%" in said
    assert "reward 0.500 ± 0.196 1.000 ± 0.196 0.750 ± 0.196 +50%" in said and "best 1.00 b" in said
    table, plain = summary.change_table(before, after, best), summary.change_table(before, after)
    assert table["reward"] == {**plain["reward"], "best": 1.0, "best_standard_error": 0.1}
    assert table["loss"] == {**plain["loss"], "best": 0.25}
    (item,), (without,) = summary.samples(before, after, best), summary.samples(before, after)
    assert item == {**without, "best": "b", "reward_best": 1.0}


def test_an_evaluation_keeps_the_learning_metrics_only():
    logged = {"eval_loss": 0.5, "eval_rewards/margins": 0.2, "eval_runtime": 1.0, "eval_logps/chosen": -3.0}
    assert evaluated.kept(logged) == {"loss": 0.5, "rewards/margins": 0.2}
