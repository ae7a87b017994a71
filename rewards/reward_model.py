"""A reward model: a sequence-classification model reads the conversation and gives one number.

As trained by TRL's RewardTrainer, or found on the hub (https://huggingface.co/spaces/allenai/reward-bench). It reads
the conversation in the chat template of its own tokenizer; of the prompt that is the text of the last turn.
"""

from functools import cache
from pathlib import Path
from typing import Any

version = 1
batched = True
# No bounds: raw scores have none. With scores=sigmoid they lie between 0 and 1.


def score(
    completions: list[str],
    prompts: list[str],
    *,
    path: str,
    revision: str | None = None,
    scores: str = "sigmoid",
    batch_size: int = 8,
    max_length: int = 2048,
    device: str | None = None,
    dtype: str = "auto",
) -> list[float]:
    """The model's number a completion.

    Args:
        path: a folder, or a hub id.
        revision: the hub commit that is meant; a hub id needs one.
        scores: ``sigmoid`` of the model's number, the probability to be the better one beside a completion at 0; or
            ``raw``, the number itself.
        batch_size: conversations in one forward pass.
        max_length: tokens; longer conversations lose their beginning.
        device: such as ``cpu`` or ``cuda:1``; null: the GPU where there is one.
        dtype: such as ``bfloat16``; ``auto``: as it is stored.

    Raises:
        ValueError: an unknown choice, a hub id without its revision, or no reward model with a chat template.
    """
    if scores not in ("sigmoid", "raw"):
        raise ValueError(f"scores={scores} is neither sigmoid nor raw")
    import torch

    model, tokenizer = _loaded(path, revision, device, dtype)
    numbers: list[float] = []
    for start in range(0, len(completions), batch_size):
        asked, said = (texts[start : start + batch_size] for texts in (prompts, completions))
        batch = tokenizer.apply_chat_template(
            [
                [{"role": "user", "content": prompt}, {"role": "assistant", "content": completion}]
                for prompt, completion in zip(asked, said, strict=True)
            ],
            tokenize=True,
            return_dict=True,
            return_tensors="pt",
            padding=True,
            truncation=True,
            max_length=max_length,
        )
        with torch.inference_mode():
            logits = model(**batch.to(model.device)).logits[:, 0].float()
        numbers += (logits.sigmoid() if scores == "sigmoid" else logits).tolist()
    return numbers


@cache
def _loaded(path: str, revision: str | None, device: str | None, dtype: str) -> tuple[Any, Any]:
    """The model and its tokenizer, once a process."""
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    if not Path(path).is_dir() and revision is None:
        raise ValueError(f"{path} is no folder; a hub id needs params.revision, a commit: a branch moves on")
    tokenizer = AutoTokenizer.from_pretrained(path, revision=revision, padding_side="right", truncation_side="left")
    model, loading = AutoModelForSequenceClassification.from_pretrained(
        path, revision=revision, dtype=dtype, output_loading_info=True
    )
    # Without this, a plain language model would get a head of random numbers.
    if missing := sorted(loading["missing_keys"]):
        raise ValueError(f"{path} is no reward model: it holds no weights for {', '.join(missing)}")
    if model.config.num_labels != 1:
        raise ValueError(f"{path} is no reward model: it gives {model.config.num_labels} numbers, not one")
    if tokenizer.chat_template is None:
        raise ValueError(f"the tokenizer of {path} has no chat template")
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    model.config.pad_token_id = tokenizer.pad_token_id
    return model.to(device or ("cuda" if torch.cuda.is_available() else "cpu")).eval(), tokenizer


# It needs a model: tests/rewards/test_reward_model.py tries it with a tiny one.
cases: list[dict[str, Any]] = []
