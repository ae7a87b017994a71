"""Pass rates measured: what is sampled, what is scored, whose rate is whose."""

from types import SimpleNamespace

import pytest
from datasets import Dataset

from rlexp.errors import RunError
from rlexp.evaluate import difficulty
from rlexp.evaluate.sampler import Completion

ROWS = Dataset.from_list(
    [
        {"prompt": "1 + 1", "answer": "2"},
        {"prompt": "1 + 2", "answer": "3"},
        {"prompt": "1 + 1", "answer": "3"},
        {"prompt": "2 + 2", "answer": None},
    ]
)
ANSWERS = {"1 + 1": ["2", "2", "3", "5"], "1 + 2": ["3", "3", "3", "3"], "2 + 2": ["4", "4", "4", "4"]}


class Sampler:
    """Answers as written above, and notes what was asked."""

    def __init__(self):
        self.asked = []

    def sample(self, dialogues, n, sampling, seed, logprobs=False):
        self.asked.append((list(dialogues), n, seed))
        return [[Completion([1], text, False) for text in ANSWERS[prompt][:n]] for prompt in dialogues]


class Rubric:
    """Scores 1 where the answer is right, None where there is none."""

    def __init__(self):
        self.sources = {"correct": SimpleNamespace(wanted_columns=("answer",), columns=("answer",))}

    def score(self, completions, prompts, columns, num_generations):
        assert len(completions) == len(prompts) == len(columns["answer"]) == len(columns["completion_ids"])
        assert len(completions) % num_generations == 0
        pairs = zip(completions, columns["answer"], strict=True)
        return SimpleNamespace(scores={"correct": [None if b is None else float(a == b) for a, b in pairs]})


def test_equal_prompts_are_sampled_once_and_scored_for_each_row(composed):
    done: list[int] = []
    sampler = Sampler()
    rates = difficulty.measure(composed(), sampler, Rubric(), ROWS, "correct", 1.0, 4, done.append)
    assert [(rate.known, rate.share) for rate in rates] == [(4, 0.5), (4, 1.0), (4, 0.25), (0, None)]
    assert sampler.asked == [(["1 + 1", "1 + 2", "2 + 2"], 4, 0)] and done == [3]


def test_parts_have_random_numbers_of_their_own(composed, monkeypatch):
    monkeypatch.setattr(difficulty, "SEQUENCES", 4)
    done: list[int] = []
    sampler = Sampler()
    rates = difficulty.measure(composed("seed=7"), sampler, Rubric(), ROWS, "correct", 1.0, 4, done.append)
    assert [seed for _, _, seed in sampler.asked] == [7, 8, 9] and done == [1, 2, 3]
    assert [rate.share for rate in rates] == [0.5, 1.0, 0.25, None]


def test_a_term_that_the_rows_have_nothing_for_is_refused(composed):
    class Lacking(Rubric):
        def score(self, *_):
            return SimpleNamespace(scores={})

    with pytest.raises(RunError, match="lack what the reward correct reads: answer"):
        difficulty.measure(composed(), Sampler(), Lacking(), ROWS, "correct", 1.0, 4)
