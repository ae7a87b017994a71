"""Scores of completions as a table: each term, the combined reward, and why."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rlexp.api.place import inside
from rlexp.api.reward import Scorer
from rlexp.errors import RunError, nearest
from rlexp.inputs.reward_source import PROVIDED
from rlexp.reward.reasons import Reasons

if TYPE_CHECKING:
    import pandas

WHY = "why."
"""Stands before the name of a term, in the column that holds its words."""


def score(
    option: str,
    /,
    *overrides: str,
    completions: Sequence[Any],
    prompts: Sequence[Any] | None = None,
    num_generations: int | None = None,
    root: str | os.PathLike[str] | None = None,
    **columns: Sequence[Any],
) -> pandas.DataFrame:
    """Scores completions: ``api.score("format+correct", completions=[...], answer=[...])``.

    Args:
        option: as behind ``reward=``: ``format+correct``.
        overrides: as typed on the command line: ``"reward.terms.format.weight=0.5"``.
        completions: texts or conversations, of which the last turn is scored.
        prompts: the same number, where a term reads them.
        num_generations: completions of a prompt, side by side; only a reward that scores whole groups needs it.
        root: the project folder, or one within it; None for that of the working directory.
        columns: what the terms read of the data, and ``completion_ids``; each the same number of entries.

    Returns:
        A row for each completion: ``prompt`` where prompts are given, ``completion``, the score of each term before
        weights, ``reward`` (what is trained on: the weighted combination), and ``why.TERM`` for each term whose file
        has ``explain``. NaN where a term does not apply.

    Raises:
        RunError: it cannot be composed, a term reads what is not given, the lengths differ, or a reward failed.
    """
    import pandas

    scorer = Scorer(option, overrides, num_generations, root)
    try:
        batch = scorer.batch(scorer.rubric(), completions, prompts, columns)
    finally:
        scorer.close()
    read = {name for source in scorer.sources.values() for name in source.reads}
    if unread := next((name for name in columns if name not in read and name not in PROVIDED), None):
        guess = nearest(unread, read)
        raise RunError(
            f"no term of {option} reads {unread}",
            where=f"{unread}=",
            hint=f"did you mean {guess}=?" if guess else f"leave it out (they read {', '.join(sorted(read))})",
        )
    with inside(scorer.root):
        reasons = Reasons(scorer.run.reward, scorer.sources, scorer.root)
        told = [
            reasons.of(
                {"completion": text, "prompt": batch.prompts[number]}
                | {name: values[number] for name, values in batch.columns.items()}
            )
            for number, text in enumerate(batch.completions)
        ]
    table: dict[str, Any] = {} if prompts is None else {"prompt": batch.prompts}
    table["completion"] = batch.completions
    table |= _floats({**batch.scores, "reward": batch.rewards})
    for name, source in scorer.sources.items():
        if source.explains is not None:
            table[f"{WHY}{name}"] = [words.get(name, "") for words in told]
    return pandas.DataFrame(table)


def _floats(scores: dict[str, list[float | None]]) -> dict[str, list[float]]:
    return {name: [float("nan") if value is None else value for value in row] for name, row in scores.items()}
