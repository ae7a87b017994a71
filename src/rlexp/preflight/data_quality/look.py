"""A look at a data set before anything is trained on it: every row as text, and a sample of them as tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rlexp.backend import model as models
from rlexp.backend.dataset import with_system
from rlexp.compose.run import Run
from rlexp.compose.schema import DatasetType
from rlexp.inputs import snapshot
from rlexp.inputs.find import Inputs
from rlexp.preflight import lengths, template
from rlexp.preflight.data_quality import duplicates, preferences, texts
from rlexp.preflight.data_quality.rows import Finding, Row, read
from rlexp.preflight.lengths import MEASURED
from rlexp.preflight.tokenizer_context import TokenizerContext
from rlexp.verdict import Level


@dataclass(frozen=True)
class Look:
    """What a data set holds."""

    description: dict[str, Any]
    """That of the snapshot: columns, splits, source."""
    prompts: dict[str, int]
    """Split -> prompts that differ."""
    findings: list[Finding]
    strangest: list[tuple[Row, str]]
    """The rows least like the rest, each with the reason."""


def look(run: Run, inputs: Inputs) -> Look:
    """Looks at the data of a run.

    Args:
        inputs: found and made.

    Raises:
        RunError: a file of the snapshot cannot be read.
    """
    description = inputs.description or {}
    rows = read(inputs.data, description["splits"])
    train, held_out = rows["train"], [row for split, more in rows.items() if split != "train" for row in more]
    every = [*train, *held_out]
    seen, sampled = _seen(run, inputs, train)
    findings = [Finding(verdict) for verdict in _lengths(seen)]
    findings += duplicates.look(train, held_out)
    findings += [texts.answer_in_prompt(every), texts.empty_answers(every), texts.odd_characters(every)]
    if run.dataset.type is DatasetType.preference:
        findings += [preferences.equal_pairs(sampled, _rendered(seen)), preferences.length_bias(train)]
    if run.dataset.type is DatasetType.unpaired_preference:
        findings.append(preferences.label_balance(train))
    prompts = {split: len({row.prompt for row in more}) for split, more in rows.items()}
    return Look(description, prompts, findings, texts.strangest(train))


def _seen(run: Run, inputs: Inputs, train: Sequence[Row]) -> tuple[TokenizerContext | None, Sequence[Row]]:
    """The tokenizer with training rows, evenly taken of many, and these rows; None where no tokenizer can be had."""
    import pyarrow as pa

    step = max(1, -(-len(train) // MEASURED))
    table = snapshot.read(inputs.data / "train.parquet", run.dataset.type.columns)
    kept = table.take(pa.array(range(0, len(train), step))).to_pylist()
    looked = models.look(run, inputs.model)
    if looked is None:
        return None, train[::step]
    tokenizer, vocabulary, ends = looked
    where = run.model.path or str(run.model.hub_id)
    opened = [with_system(row, run.model.system_prompt) for row in kept]
    return TokenizerContext(run, tokenizer, where, vocabulary, ends, opened), train[::step]


def _lengths(seen: TokenizerContext | None) -> list[Any]:
    if seen is None:
        return []
    rendered = template.renders(seen)
    return [rendered] if rendered.level is Level.failed else [lengths.length(seen)]


def _rendered(seen: TokenizerContext | None) -> list[tuple[str, str]] | None:
    """(chosen, rejected) of the sampled rows as the model reads them; None where no template writes them."""
    if seen is None or not seen.rows or isinstance(seen.rows[0]["prompt"], str) or not seen.tokenizer.chat_template:
        return None
    if template.renders(seen).level is Level.failed:
        return None
    return [(_whole(seen, row, "chosen"), _whole(seen, row, "rejected")) for row in seen.rows]


def _whole(seen: TokenizerContext, row: dict[str, Any], side: str) -> str:
    return seen.text([*row["prompt"], *row[side]])
