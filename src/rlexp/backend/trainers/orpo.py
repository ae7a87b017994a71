"""ORPO: pairs as in DPO, without a reference model."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

from rlexp.backend.patches import orpo_tokens
from rlexp.backend.trainers.inputs import TrainerInputs
from rlexp.backend.trainers.protocol import Trainer


def trainer(inputs: TrainerInputs) -> Trainer:
    """A ``trl.experimental.orpo.ORPOTrainer`` of these inputs; Unsloth is imported already."""
    from trl.experimental.orpo import ORPOTrainer

    train, test = (as_text(rows, inputs.tokenizer) for rows in (inputs.train, inputs.test))
    inputs = dataclasses.replace(inputs, train=train, test=test)
    built = ORPOTrainer(args=inputs.config(), **inputs.common)
    drop_filled(built)
    inputs.engine.patches.apply(orpo_tokens, built)
    return built


def as_text(rows: Any, tokenizer: Any) -> Any:
    """The rows as text, where their messages hold more than role and content, or may call tools; else as they are.

    TRL's ORPO trainer renders the messages in their own columns, which JSON (``dataset.of_rows``) does not bear, and it
    gives the template no tools.
    """
    from datasets import Dataset, List
    from trl.data_utils import apply_chat_template

    if rows is None or (
        "tools" not in rows.column_names
        and not any(
            isinstance(rows.features[name], List) and type(rows.features[name].feature).__name__ == "Json"
            for name in rows.column_names
        )
    ):
        return rows
    found = []
    for row in rows.to_list():
        tools = row.pop("tools", None)
        found.append(apply_chat_template(row, tokenizer, tools=json.loads(tools) if tools else None))
    return Dataset.from_list(found)


def drop_filled(trainer: Any) -> None:
    """Drops the tokenized rows of an ORPO trainer whose prompt alone fills ``max_length``, as TRL's other trainers do.

    Their answers are cut to nothing, and the mean over no tokens makes every weight NaN.
    """
    for name in ("train_dataset", "eval_dataset"):
        if (rows := getattr(trainer, name)) is not None:
            filled = [len(ids) >= trainer.max_length for ids in rows["prompt_input_ids"]]
            if any(filled):
                setattr(trainer, name, rows.select([number for number, full in enumerate(filled) if not full]))
