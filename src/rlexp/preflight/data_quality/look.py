"""A look at a data set before anything is trained on it: every row as text, and a sample of them as tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from rlexp.backend import dataset
from rlexp.backend import model as models
from rlexp.backend.prompts import prompt_of
from rlexp.compose.run import Run
from rlexp.compose.schema import DatasetType
from rlexp.inputs import snapshot
from rlexp.inputs.find import Inputs
from rlexp.inputs.messages import restored
from rlexp.preflight import checks, columns, rewards
from rlexp.preflight.data_quality import duplicates, texts
from rlexp.preflight.data_quality.pairs import length_bias
from rlexp.preflight.data_quality.rows import Finding, Row, of_train, read
from rlexp.preflight.lengths import MEASURED
from rlexp.preflight.tokenizer_context import TokenizerContext
from rlexp.reward.coverage import step
from rlexp.verdict import Level, Verdict

COVERAGE = "reward.coverage"


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
    scored = {name for source in inputs.rewards.values() for name in (*source.columns, *source.wanted_columns)}
    rows = read(inputs.data, description["splits"], {*scored, "tools"})
    train, held_out = rows["train"], [row for split, more in rows.items() if split != "train" for row in more]
    every = [*train, *held_out]
    seen = _seen(run, inputs, train)
    findings = [of_train(verdict, train) for verdict in _checks(run, inputs, seen, len(train))]
    findings += duplicates.look(train, held_out)
    findings += [texts.answer_in_prompt(every), texts.empty_answers(every), texts.odd_characters(every)]
    if run.dataset.type is DatasetType.preference:
        findings.append(length_bias(train))
    prompts = {split: len({row.prompt for row in more}) for split, more in rows.items()}
    return Look(description, prompts, findings, texts.strangest(train))


def _seen(run: Run, inputs: Inputs, train: Sequence[Row]) -> TokenizerContext | None:
    """The tokenizer with training rows, evenly taken of many; None where no tokenizer can be had."""
    import pyarrow as pa

    looked = models.look(run, inputs.model)
    if looked is None:
        return None
    every = max(1, -(-len(train) // MEASURED))
    table = snapshot.read(inputs.data / "train.parquet")
    table = table.select(dataset.trained_columns(run, table.column_names))
    kept = table.take(pa.array(range(0, len(train), every))).to_pylist()
    opened = [dataset.with_system({k: restored(v) for k, v in row.items()}, run.model.system_prompt) for row in kept]
    good = [row.label for row in train if row.label is not None]
    tokenizer, vocabulary, ends = looked
    # Long rows are a finding: transformers need not say so too.
    tokenizer.deprecation_warnings["sequence-length-is-longer-than-the-specified-maximum"] = True
    return TokenizerContext(
        run,
        tokenizer,
        run.model.path or str(run.model.hub_id),
        vocabulary,
        ends,
        [{**row, "prompt": prompt_of(row)} for row in opened],
        tags=checks.looked_for(run, inputs),
        labels=(sum(good), len(good) - sum(good)) if good else None,
        every=every,
    )


def _checks(run: Run, inputs: Inputs, seen: TokenizerContext | None, count: int) -> list[Verdict]:
    """The run's own checks of its rows; of the others those that found something."""
    found = checks.before_load(seen) if seen else []
    found += [columns.verdict(run, inputs), columns.answer(run, inputs)]
    every = step(count)
    found += [
        replace(verdict, rows=tuple(number * every for number in verdict.rows))
        for verdict in rewards.check(run, inputs)
        if verdict.name == COVERAGE
    ]
    return [
        verdict
        for verdict in found
        if verdict.level in (Level.warning, Level.failed)
        or (verdict.level is Level.passed and verdict.name.startswith(("data.", COVERAGE)))
    ]
