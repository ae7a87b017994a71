"""ORPO's passes weigh as many tokens as they have."""

from types import SimpleNamespace

import torch

from rlexp.backend.patches import orpo_tokens
from rlexp.backend.patches.patch import Status


def trainer(passes):
    """What of TRL's trainer the patch touches: batches as they come, and a likelihood of 3."""
    masks = ([[1, 1, 1, 0], [1, 1, 0, 0]], [[1, 1, 1, 1]])
    batches = [{"chosen_attention_mask": torch.tensor(mask)} for mask in masks]
    return SimpleNamespace(
        args=SimpleNamespace(gradient_accumulation_steps=passes),
        accelerator=SimpleNamespace(num_processes=1),
        get_batch_samples=lambda iterator, count, device: (batches, None),
        concatenated_forward=lambda model, batch: (1, 2, 3, 4, 3.0, "aux"),
    )


def test_a_pass_weighs_its_share_of_the_tokens():
    made = trainer(2)
    assert orpo_tokens.apply(made).status is Status.applied
    batches, items = made.get_batch_samples(None, 2, None)
    # three and three tokens are predicted: the first of a sequence is by nothing
    assert [batch[orpo_tokens.WEIGHT] for batch in batches] == [1.0, 1.0] and items is None
    batches[0][orpo_tokens.WEIGHT] = 0.5
    assert made.concatenated_forward(None, batches[0]) == (1, 2, 3, 4, 1.5, "aux")


def test_the_weights_of_a_step_average_to_one():
    weights = weighed([{"chosen_attention_mask": torch.ones(1, size)} for size in (2, 4, 10)])
    assert abs(sum(weights) / 3 - 1) < 1e-9 and weights[0] < weights[1] < weights[2]


def weighed(batches):
    """The weights that the patch gives these batches."""
    made = trainer(3)
    made.get_batch_samples = lambda *args: (batches, None)
    orpo_tokens.apply(made)
    return [batch[orpo_tokens.WEIGHT] for batch in made.get_batch_samples(None, 3, None)[0]]


def test_nothing_is_done_where_a_step_is_one_pass_or_a_batch_is_evaluated():
    made = trainer(1)
    before = made.concatenated_forward
    assert orpo_tokens.apply(made).status is Status.not_needed and made.concatenated_forward is before
    made = trainer(2)
    orpo_tokens.apply(made)
    assert made.concatenated_forward(None, {})[4] == 3.0


def test_on_several_devices_the_tokens_of_all_of_them_count():
    made = trainer(1)
    made.get_batch_samples = lambda *args: ([{"chosen_attention_mask": torch.ones(1, 4)}], None)
    # the other device holds nine tokens
    gathered = SimpleNamespace(num_processes=2, gather=lambda own: torch.cat([own, torch.tensor([9.0])]))
    made.accelerator = gathered
    assert orpo_tokens.apply(made).status is Status.applied
    ((batch,), _) = made.get_batch_samples(None, 1, None)
    assert batch[orpo_tokens.WEIGHT] == 3 * 2 / 12
