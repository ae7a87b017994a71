"""What a ladder says of its additions."""

from __future__ import annotations

import json

import pytest

from rlexp.compare.ladder import EQUAL, Rung, TrainedChange, fifths, read, verdict

BOTH, ALL = ["format", "correct"], ["format", "correct", "length"]
FINE = (0.04, 0.04)


def rung(terms, equal=(0.1, 0.2), reason="", **held):
    """A rung whose held-out terms went from 0.5 to the given ends."""
    values = {name: TrainedChange(0.5, end, FINE) for name, end in held.items()}
    return Rung(list(terms), reason, {EQUAL: TrainedChange(*equal)}, values)


ONE = rung(["format"], format=0.95, reward=0.95)
TWO = rung(BOTH, format=0.97, correct=0.75, reward=1.7)


@pytest.mark.parametrize(
    ("rungs", "said"),
    [
        ([ONE, TWO, rung(ALL, format=0.96, correct=0.74, length=0.9, reward=1.6)], "no addition did harm"),
        (
            [ONE, TWO, rung(ALL, format=0.96, correct=0.30, length=0.9, reward=1.2)],
            "adding length lowered correct from 0.75 to 0.30",
        ),
        # Within the noise of the held-out rows.
        ([ONE, TWO, rung(ALL, format=0.96, correct=0.62, length=0.9, reward=1.5)], "no addition did harm"),
        (
            [ONE, rung(BOTH, format=0.5, correct=0.9, reward=1.4), TWO],
            "adding correct lowered format from 0.95 to 0.50",
        ),
        (
            [rung(["format"], equal=(0.9, 0.97), format=0.5, reward=0.5), TWO],
            "format alone leaves nothing to learn from: 97% of the groups have equal rewards at the end",
        ),
        ([ONE, rung(BOTH, equal=(0.2, 1.0), format=0.95, correct=0.5, reward=0.5)], "adding correct leaves nothing"),
        # Groups are equal because the task is solved.
        ([rung(["format"], equal=(0.1, 1.0), format=1.0, reward=1.0), TWO], "no addition did harm"),
        ([ONE, rung(BOTH, reason="the reward correct hangs")], "adding correct: the run did not finish: the reward"),
    ],
)
def test_the_first_addition_that_did_harm_is_named(rungs, said):
    assert verdict(rungs).startswith(said)


def test_without_held_out_rows_the_training_is_compared():
    trained = [
        {"format": TrainedChange(0.5, 0.9, FINE)},
        {"format": TrainedChange(0.5, 0.2, FINE), "correct": TrainedChange(0.1, 0.9, FINE)},
    ]
    rungs = [Rung(BOTH[: n + 1], trained=values) for n, values in enumerate(trained)]
    assert verdict(rungs) == "adding correct lowered format from 0.90 to 0.20"


def test_the_ends_of_a_series_are_fifths_with_their_errors():
    assert fifths([1.0]) == TrainedChange(1.0, 1.0)
    change = fifths([0.0, 1.0, *[5.0] * 6, 2.0, 2.0])
    assert (change.start, change.end, change.errors) == (0.5, 2.0, (0.5, 0.0))


def test_a_rung_is_read_from_its_run_folder(tmp_path):
    lines = [
        {"step": n, "reward": n / 10, "rewards/format/mean": n / 10, "frac_reward_zero_std": 0.5} for n in range(10)
    ]
    (tmp_path / "metrics.jsonl").write_text("\n".join(map(json.dumps, [*lines, {"step": 9, "train_loss": 0.0}])))
    held = {"format": {"before": 0.1, "after": 0.2, "standard_error": [0.01, 0.02]}}
    (tmp_path / "manifest.json").write_text(json.dumps({"status": "finished", "held_out": held}))
    found = read(tmp_path, ["format"])
    assert found.held == {"format": TrainedChange(0.1, 0.2, (0.01, 0.02))}
    trained = found.trained["format"]
    assert (trained.start, trained.end) == pytest.approx((0.05, 0.85))
    (tmp_path / "manifest.json").write_text(json.dumps({"status": "failed", "reason": "one\n  where: two"}))
    assert read(tmp_path, ["format"]).reason == "one"
