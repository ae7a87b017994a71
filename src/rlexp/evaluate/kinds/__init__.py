"""What a task measures, kind by kind: rows of samples of one subject, and the metrics that they give.

A kind is a module with two functions: ``measure(work, candidate)`` gives a ``pyarrow.Table``, a row a sample;
``scores(settled, table)``, pure, gives metric -> [prompts][samples], in the order of the prompts of the table.
"""

from __future__ import annotations

from typing import Any

from rlexp.compose.schema_eval import Kind


def module(kind: Kind) -> Any:
    """The module of a kind."""
    if kind is Kind.completions:
        from rlexp.evaluate.kinds import completions

        return completions
    raise NotImplementedError(kind)
