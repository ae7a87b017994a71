"""Whatever is typed, lies in conf/ or stands in a lock: a valid plan, or one message with exit code 2."""

from __future__ import annotations

import secrets

import pytest

from tests.fuzz.__main__ import fuzz
from tests.fuzz.cases import Case
from tests.fuzz.worker import Outcome, Worker, scratch


@pytest.mark.parametrize(
    ("outcome", "fault"),
    [
        (Outcome(0, "", 0.1, ()), None),
        (Outcome(2, "error: what\n  do:    this", 0.1, ()), None),
        (Outcome(2, "error: what\n  where: there", 0.1, ()), "no do: line"),
        (Outcome(2, "usage: rlexp", 0.1, ()), "0 messages"),
        (Outcome(1, "Traceback (most recent call last):\nKeyError: 'x'", 0.1, ()), "a traceback: KeyError: 'x'"),
        (Outcome(1, "", 0.1, ()), "exit code 1"),
        (Outcome(0, "", 31.0, ()), "took 31 s"),
        (Outcome(0, "", 0.1, ("data/x",)), "wrote data/x"),
    ],
)
def test_what_is_no_plan_and_no_message_is_a_fault(outcome, fault):
    assert outcome.fault(Case(("plan",))) == fault


@pytest.mark.end_to_end
def test_the_worker_types_a_plan_a_mistake_and_a_broken_file_and_puts_the_file_back(tmp_path):
    project = scratch(tmp_path)
    experiment = project / "conf/experiment/sums_grpo.yaml"
    before = experiment.read_bytes()
    with Worker(project) as worker:
        assert worker.type(Case(("plan", "seed=3"))).code == 0
        mistake = worker.type(Case(("plan", "sead=3")))
        assert mistake.code == 2 and "did you mean seed" in mistake.said
        tab = worker.type(Case(("plan", "experiment=sums_grpo"), "conf/experiment/sums_grpo.yaml", b"a:\n\tb: 1\n"))
        assert tab.code == 2 and "conf/experiment/sums_grpo.yaml:2" in tab.said and tab.written == ()
    assert experiment.read_bytes() == before


@pytest.mark.long
@pytest.mark.end_to_end
def test_three_hundred_cases_of_a_new_seed(tmp_path):
    seed = secrets.randbelow(10**6)
    done, faults = fuzz(300, seed, scratch(tmp_path))
    assert not faults, f"seed {seed}\n" + "\n".join(faults)
    assert len(done) >= 300 and {outcome.code for _, outcome in done} >= {0, 2}
