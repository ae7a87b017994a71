"""The ranks of a run want the same after every step, and a difference of their weights ends it."""

from types import SimpleNamespace

import pytest
import torch

from rlexp.errors import Failed
from rlexp.train.devices.agree import EVERY, Agree


class Ranks:
    """This rank is 0; rank 1 answers what is given."""

    number, count = 0, 2

    def __init__(self, other):
        self.other, self.asked, self.noted = other, [], []

    def parts(self, value):
        self.asked.append(value)
        return [value, value if self.other is None else self.other]

    def note(self, training=None):
        self.noted.append(training)


def control(stop=False, save=False):
    return SimpleNamespace(should_training_stop=stop, should_save=save)


@pytest.mark.parametrize(
    ("own", "other"), [((False, False), (True, True)), ((True, True), (False, False)), ((False, True), (True, False))]
)
def test_what_one_rank_wants_all_do(own, other):
    wanted = control(*own)
    Agree(Ranks(other)).on_step_end(None, SimpleNamespace(global_step=1), wanted)
    assert (wanted.should_training_stop, wanted.should_save) == (own[0] or other[0], own[1] or other[1])


def test_weights_are_compared_at_the_beginning_every_so_many_steps_and_at_the_end():
    model, ranks = torch.nn.Linear(2, 2), Ranks(None)
    agree = Agree(ranks)
    agree.on_train_begin(None, SimpleNamespace(global_step=0), control(), model=model)
    for step in range(1, EVERY + 1):
        agree.on_step_end(None, SimpleNamespace(global_step=step), control(), model=model)
    agree.on_train_end(None, SimpleNamespace(global_step=EVERY), control(), model=model)
    digests = [value for value in ranks.asked if isinstance(value, str)]
    assert len(digests) == 3 and len(set(digests)) == 1
    assert ranks.noted == [True] * EVERY + [False]


def test_other_weights_end_the_run():
    agree = Agree(Ranks("0" * 64))
    with pytest.raises(Failed, match="different weights at step 20: those of rank 1") as caught:
        agree.on_train_end(None, SimpleNamespace(global_step=20), control(), model=torch.nn.Linear(2, 2))
    assert "hardware.devices=1" in (caught.value.hint or "")
