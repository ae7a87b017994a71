"""Makes the checks of a run (``preflight.checks``) in their order: verdicts go into the manifest, warnings are printed,
a failure stops the run."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import Path
from typing import Any

from rlexp.backend import dataset, template_clock
from rlexp.backend import model as models
from rlexp.backend.prompts import prompt_of
from rlexp.compose.run import Run
from rlexp.inputs.find import Inputs
from rlexp.preflight import checks, memory, rendering
from rlexp.preflight.lengths import MEASURED
from rlexp.preflight.tokenizer_context import TokenizerContext
from rlexp.verdict import Verdict, require


class Gate:
    """The checks of one run, in their order. Every method raises a RunError where one of its checks fails.

    Args:
        verdicts: the manifest's list of verdicts, which grows.
        warn: prints a warning.
    """

    def __init__(self, run: Run, inputs: Inputs, verdicts: list[dict[str, str]], warn: Callable[[str], None]) -> None:
        self.run = run
        self.inputs = inputs
        self.verdicts = verdicts
        self.warn = warn
        self.where = run.model.path or str(run.model.hub_id)
        self.before: TokenizerContext | None = None
        self.moment: datetime | None = None
        """What the chat template takes for now, where it writes it; known before the training."""

    def before_import(self, run_dir: Path) -> None:
        """Makes the checks that need no torch."""
        self._require(checks.before_import(self.run, self.inputs, run_dir))

    def before_load(self, rows: Any) -> None:
        """Template, tokenizer and lengths, as transformers reads them; Unsloth and TRL are imported.

        Args:
            rows: the ``datasets.Dataset`` that will be trained on.
        """
        looked = models.look(self.run, self.inputs.model)
        if looked:
            self.before = self._seen(*looked, rows=rows)
            self._require(checks.before_load(self.before))
        if self.inputs.model is None:
            self._require([memory.shape(self.run, models.shape(self.run), again=False)])

    def before_training(self, model: Any, tokenizer: Any, rows: Any) -> None:
        """Checks what loading changed."""
        embedding = model.get_input_embeddings().weight.shape[0]
        after = self._seen(tokenizer, embedding, models.end_ids(model.generation_config), rows=rows)
        self._require(checks.before_training(self.before, after))
        self.moment = template_clock.now() if rendering.reads_clock(after) else None

    def look(self, model: Any, tokenizer: Any, rows: Any) -> list[Verdict]:
        """The verdicts on a loaded model, its template and tokenizer; nothing is raised, printed or recorded."""
        embedding = model.get_input_embeddings().weight.shape[0]
        seen = self._seen(tokenizer, embedding, models.end_ids(model.generation_config), rows=rows)
        found = [*checks.before_load(seen), *checks.before_training(None, seen)]
        return list({verdict.name: verdict for verdict in found}.values())

    def _seen(self, tokenizer: Any, vocab_size: int | None, ends: tuple[int, ...], rows: Any) -> TokenizerContext:
        tags = checks.looked_for(self.run, self.inputs)
        columns = rows.select_columns(dataset.trained_columns(self.run, rows.column_names))
        every = max(1, -(-len(columns) // MEASURED))
        kept = columns.select(range(0, len(columns), every)).to_list()
        kept = [{**row, "prompt": prompt_of(row)} for row in kept]
        labels = None
        if "label" in columns.column_names:
            good = sum(columns["label"])
            labels = (good, len(columns) - good)
        return TokenizerContext(
            self.run, tokenizer, self.where, vocab_size, ends, kept, tags=tags, labels=labels, every=every
        )

    def _require(self, found: Iterable[Verdict]) -> None:
        found = list(found)
        self.verdicts += [verdict.to_json() for verdict in found]
        for verdict in require(found):
            self.warn(str(verdict))
