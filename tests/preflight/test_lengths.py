"""Lengths against limits: what is cut, and from which share on that stops a run."""

import pytest

from rlexp.preflight.lengths import percentiles, prompt_length, sequence_length


@pytest.mark.parametrize(
    ("prompts", "level", "says"),
    [
        ([10] * 100, "ok", "p50 10, p95 10, p100 10 tokens"),
        ([10] * 99 + [70], "warning", "1 of 100 prompts (1%)"),
        ([10] * 80 + [90] * 20, "failed", "20 of 100 prompts (20%)"),
        ([10] * 80 + [70] * 20, "warning", "20 of 100 prompts (20%)"),  # room for most of a completion
        ([64], "ok", "96 less a completion of 32 leave 64"),
        ([81], "failed", "100%"),
    ],
)
def test_prompts_that_leave_no_room_for_a_completion(prompts, level, says):
    verdict = prompt_length(prompts, completion=32, whole=96)
    assert (verdict.level.value, says in verdict.message) == (level, True), verdict
    assert verdict.level.value == "ok" or "type model.max_seq_length=" in verdict.hint


@pytest.mark.parametrize(
    ("prompts", "sequences", "level"),
    [
        ([10] * 100, [40] * 100, "ok"),
        ([10] * 200, [40] * 199 + [100], "ok"),  # half a percent is cut: not worth a word
        ([10] * 10, [40] * 8 + [100] * 2, "warning"),
        ([10] * 10, [40] * 4 + [100] * 6, "failed"),
        ([10] * 8 + [50] * 2, [40] * 8 + [100] * 2, "failed"),  # the prompt alone fills the limit
    ],
)
def test_sequences_that_are_cut(prompts, sequences, level):
    assert sequence_length(prompts, sequences, limit=50).level.value == level


def test_rows_of_a_sample_are_named_by_their_numbers_in_the_data():
    assert prompt_length([10, 90, 10, 90], completion=32, whole=96, every=3).rows == (3, 9)
    assert sequence_length([10, 50, 10], [40, 60, 90], limit=50, every=2).rows == (2, 4)


def test_percentiles_of_one_and_of_many():
    assert percentiles([7]) == "p50 7, p95 7, p100 7 tokens"
    assert percentiles(list(range(1, 101))) == "p50 51, p95 96, p100 100 tokens"
