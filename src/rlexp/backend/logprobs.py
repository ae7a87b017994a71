"""Log-probabilities of completions by the policy as it is now: one list a completion, or a batch as a tensor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rlexp.backend.trainers.protocol import OnlineTrainer

Lists = list[list[Any]]


def of_completions(trainer: OnlineTrainer, prompt_ids: Lists, completion_ids: Lists) -> list[list[float]]:
    """The log-probability of every token of the completions by the trainer's policy as it is now."""
    import torch

    left, right = max(map(len, prompt_ids)), max(map(len, completion_ids))
    pads, device = trainer._tokenizer.pad_token_id, trainer.accelerator.device
    pairs = list(zip(prompt_ids, completion_ids, strict=True))
    ids = [[pads] * (left - len(p)) + [*p, *c] + [pads] * (right - len(c)) for p, c in pairs]
    mask = [[0] * (left - len(p)) + [1] * (len(p) + len(c)) + [0] * (right - len(c)) for p, c in pairs]
    logps = _pass(trainer, torch.tensor(ids, device=device), torch.tensor(mask, device=device), right)
    return unpadded(logps.tolist(), right, [len(p) for p in prompt_ids], [len(c) for c in completion_ids])


def unpadded(rows: Lists, logits_to_keep: int, prompts: list[int], completions: list[int]) -> Lists:
    """The log-probabilities of the completions' own tokens.

    Args:
        rows: [completions, logits_to_keep], each from its first token on; or, as Unsloth lays them out, [completions,
            logits_to_keep + most padding in front of a prompt], a row as many places further right as its prompt has
            less padding.
        logits_to_keep: tokens of the longest completion.
        prompts, completions: their lengths.
    """
    longest, shift = max(prompts), len(rows[0]) - logits_to_keep
    starts = [max(0, shift - (longest - length)) for length in prompts]
    return [row[start : start + length] for row, start, length in zip(rows, starts, completions, strict=True)]


def numbers(rows: Lists) -> list[list[float]]:
    """The rows with NaN for None, which TRL reports for a token that vLLM has no number for."""
    return [[float("nan") if item is None else item for item in row] for row in rows]


def of_batch(trainer: OnlineTrainer, batch: dict[str, Any]) -> Any:
    """The policy's own log-probabilities of a batch of TRL's, [sequences, tokens]."""
    import torch

    ids = torch.cat([batch["prompt_ids"], batch["completion_ids"]], dim=1)
    mask = torch.cat([batch["prompt_mask"], batch["completion_mask"]], dim=1)
    return _pass(trainer, ids, mask, batch["completion_ids"].shape[1])


def _pass(trainer: OnlineTrainer, ids: Any, mask: Any, logits_to_keep: int) -> Any:
    import torch

    size = trainer.args.per_device_train_batch_size
    with torch.no_grad():
        logps = trainer._get_per_token_logps_and_entropies(trainer.model, ids, mask, logits_to_keep, batch_size=size)[0]
    return logps.float()
