"""Seeds of the rows that transformers samples: a row's tokens are the same beside any others, and likely as asked."""

from types import SimpleNamespace

import pytest
import torch

from rlexp.backend.patches import seeded_rows
from rlexp.backend.patches.patch import APPLIED, Status
from rlexp.reward.ranks import Alone


def of(rank, rows, steps=5):
    """What a rank with so many rows draws in so many steps, from probabilities that depend on the row of the batch."""
    torch.manual_seed(0)
    logits = torch.randn(8, 50)[rank * rows : (rank + 1) * rows]
    draw = seeded_rows.drawn(torch.multinomial, lambda row: 1000 + row, rank)
    return torch.cat([draw(logits.softmax(-1), num_samples=1) for _ in range(steps)], dim=1)


def test_two_ranks_draw_what_one_draws():
    assert torch.equal(of(0, 8), torch.cat([of(0, 4), of(1, 4)]))
    assert not torch.equal(of(0, 8)[0], of(0, 8)[1])


def test_tokens_are_as_likely_as_asked_and_never_one_of_probability_0():
    probabilities = torch.tensor([0.0, 0.5, 0.0, 0.3, 0.2, 0.0]).repeat(4000, 1)
    draw = seeded_rows.drawn(torch.multinomial, lambda row: row, 0)
    counts = torch.bincount(draw(probabilities, num_samples=1)[:, 0], minlength=6) / 4000
    assert counts[[0, 2, 5]].tolist() == [0, 0, 0]
    assert counts[[1, 3, 4]].tolist() == pytest.approx([0.5, 0.3, 0.2], abs=0.03)


def test_other_draws_are_torchs_own():
    draw = seeded_rows.drawn(torch.multinomial, lambda row: row, 0)
    torch.manual_seed(1)
    found = draw(torch.ones(5), 3)
    torch.manual_seed(1)
    assert torch.equal(found, torch.multinomial(torch.ones(5), 3))


def test_it_is_applied_where_asked_or_where_there_are_several(monkeypatch):
    def trainer():
        draw = lambda: torch.multinomial(torch.ones(2, 9) / 9, num_samples=1).tolist()  # noqa: E731
        return SimpleNamespace(state=SimpleNamespace(global_step=3), _generate_single_turn=draw)

    alone, two = Alone(), SimpleNamespace(number=1, count=2)
    own = torch.multinomial
    assert seeded_rows.apply(trainer(), 0, None, alone).status is Status.not_needed
    assert seeded_rows.apply(trainer(), 0, False, two).status is Status.not_needed
    drawn = []
    for _ in range(2):
        seeded = trainer()
        assert seeded_rows.apply(seeded, 0, True, alone) == APPLIED
        drawn.append([seeded._generate_single_turn(), seeded._generate_single_turn()])
    assert drawn[0] == drawn[1] and torch.multinomial is own
    assert seeded_rows.apply(trainer(), 0, None, two) == APPLIED
