"""A reward function of TRL's that meets rows: the form of its completions there, and the columns it gets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from rlexp.inputs.reward_source import RewardSource

BESIDE = ("prompt", "completion", "completion_ids")
"""Columns of rows that TRL does not hand over as columns."""


def met(source: RewardSource, columns: Iterable[str], conversational: bool | None) -> RewardSource:
    """The source as it is called on rows.

    Args:
        columns: their columns; a function that gets every column reads them all from here on.
        conversational: whether their prompts are conversations; None where there are no rows to tell.
    """
    if source.turns is None:
        form = {True: "the prompts of the rows are", False: "the prompts of the rows are", None: "most data has them"}
        source = replace(source, turns=conversational is not False, turns_why=form[conversational])
    if source.everything:
        more = tuple(name for name in columns if name not in (*source.reads, *BESIDE))
        source = replace(source, reads=(*source.reads, *more), optional=(*source.optional, *more))
    return source


def met_snapshot(source: RewardSource, description: Mapping[str, Any] | None) -> RewardSource:
    """The source as it is called on a snapshot's rows; as it is where there is no description yet."""
    if description is None:
        return source
    return met(source, description["columns"], description["columns"].get("prompt", "string") not in TEXTS)


TEXTS = ("string", "large_string")
"""Arrow's types of a plain text."""
