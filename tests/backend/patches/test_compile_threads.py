"""How many processes Inductor compiles in."""

import pytest
from torch._inductor import async_compile, config

from rlexp.backend.patches import compile_threads
from rlexp.backend.patches.patch import Status

GPU = ("hardware=h100", "model=qwen3_0_6b", "rollout=colocate")


@pytest.fixture
def started(monkeypatch):
    """How many there were to be when they were started; none is."""
    counts = []
    monkeypatch.setattr(async_compile, "maybe_warm_pool", lambda: counts.append(config.compile_threads))
    with config.patch(compile_threads=1):
        yield counts


@pytest.mark.parametrize(("cores", "count"), [(16, 8), (4, 4), (None, 1)])
def test_as_many_as_there_are_processors_and_no_more_than_are_of_use(composed, started, monkeypatch, cores, count):
    monkeypatch.setattr(compile_threads.os, "cpu_count", lambda: cores)
    assert compile_threads.apply(composed(*GPU), None).status is Status.applied
    assert started == [count] and config.compile_threads == count


def test_the_users_own_number_stands_and_none_is_started_for_a_cpu(composed, started):
    for run, given in ((composed(*GPU), "3"), (composed("hardware=cpu"), None)):
        assert compile_threads.apply(run, given).status is Status.not_needed
    assert started == [] and config.compile_threads == 1


def test_a_torch_without_the_pool_stays_as_it_is(composed, started, monkeypatch):
    monkeypatch.delattr(async_compile, "maybe_warm_pool")
    assert compile_threads.apply(composed(*GPU), None).status is Status.skipped
    assert config.compile_threads == 1
