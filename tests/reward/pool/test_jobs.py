"""What travels to a worker: jobs, their chunks, and how large those are."""

import pytest

from rlexp.reward.pool.jobs import FIRST_CHUNK, Chunk, ChunkSizes, ScoreRequest
from rlexp.reward.pool.worker import BOARD_SCORES


def job(count, size=1):
    return ScoreRequest("mine", {"completions": [f"c{n}" for n in range(count)], "n": list(range(count))}, size)


@pytest.mark.parametrize(
    ("seconds", "sizes"),
    [
        ([0.001] * 5, [16, 32, 64, 128, 256]),  # fast ones travel in bulk
        ([9.0] * 5, [16, 8, 4, 2, 1]),  # slow ones alone
        ([9.0] * 6, [16, 8, 4, 2, 1, 1]),
        ([0.04] * 3, [16, 16, 16]),  # about right
        ([0.1] * 2, [16, 16]),  # just no more than twice as long
        ([0.11] * 2, [16, 8]),
        ([0.025] * 2, [16, 16]),
        ([0.024] * 2, [16, 32]),
        ([0.01, 9.0, 0.01], [16, 32, 16]),  # one that hangs says little of the others
    ],
)
def test_chunks_are_sized_by_the_time_they_take(seconds, sizes):
    chosen, work = ChunkSizes(2), job(100_000)
    seen = []
    for taken in seconds:
        seen.append(chosen.next(work))
        chosen.learn("mine", seen[-1], taken)
    assert seen == sizes


def test_a_chunk_never_outgrows_the_board_and_a_small_one_says_nothing_of_larger():
    chosen, work = ChunkSizes(1), job(10**6)
    for _ in range(20):
        chosen.learn("mine", 10**6, 0.0)
    assert chosen.next(work) == BOARD_SCORES
    fresh = ChunkSizes(1)
    fresh.learn("mine", FIRST_CHUNK - 1, 0.0)
    assert fresh.next(work) == FIRST_CHUNK == 16
    fresh.learn("mine", FIRST_CHUNK, 0.0)
    assert fresh.next(work) == 32 and fresh.next(ScoreRequest("other", {"a": [1] * 100}, 1)) == 16


@pytest.mark.parametrize(
    ("waiting", "processes", "size"), [(1000, 2, 16), (40, 2, 10), (12, 2, 3), (4, 2, 2), (12, 1, 6), (1, 2, 2)]
)
def test_towards_the_end_chunks_are_small_but_no_crumbs(waiting, processes, size):
    assert ChunkSizes(processes).next(job(waiting)) == size


def test_chunks_shrink_towards_the_end_and_hold_whole_groups():
    chosen, work, sizes = ChunkSizes(2), job(100, size=4), []
    while work.waiting:
        sizes.append(len(work.take(chosen.next(work)).rows))
    assert sum(sizes) == 100
    assert sizes == sorted(sizes, reverse=True)
    assert (sizes[0], sizes[-1]) == (FIRST_CHUNK, 4)
    assert {size % 4 for size in sizes} == {0}


def test_what_is_taken_no_longer_waits_and_what_is_given_back_waits_first():
    work = job(10, size=2)
    first = work.take(5)  # two whole calls
    assert (first.rows, list(work.waiting), first.calls()) == (range(0, 4), [range(4, 10)], 2)
    assert work.take(1).rows == range(4, 6)  # at least one call
    work.give_back(range(2, 4))
    work.give_back(range(0, 0))
    assert list(work.waiting) == [range(2, 4), range(6, 10)]
    assert work.take(100).rows == range(2, 4)


def test_a_last_call_may_be_shorter():
    assert Chunk(job(5, size=2), range(0, 5)).calls() == 3 and Chunk(job(5), range(0, 5)).calls() == 5


def test_a_part_has_the_columns_of_its_completions():
    assert job(5).part(range(1, 3)) == {"completions": ["c1", "c2"], "n": [1, 2]}


def test_a_job_is_done_with_the_last_of_its_scores():
    work = job(3)
    assert work.future.running() and work.lost == 0
    work.keep(range(1, 3), [2.0, None])
    assert not work.future.done()
    work.keep(range(0, 1), [1.0])
    assert work.future.result(0) == [1.0, 2.0, None]
    work.keep(range(0, 1), [9.0])
    assert work.future.result(0) == [1.0, 2.0, None]


def test_a_job_that_failed_waits_for_nothing_and_drops_what_still_comes():
    work = job(3)
    work.fail(ValueError("first"))
    work.fail(ValueError("second"))
    work.keep(range(0, 3), [1.0, 1.0, 1.0])
    assert not work.waiting and str(work.future.exception(0)) == "first"
