"""Why a completion scored as it did, in the words of the reward itself: its optional function ``explain``.

``def explain(completion, answer, *, limit) -> str`` reads of one completion what ``score`` reads of a batch, and
answers "" where there is nothing to say. Only ``inspect`` calls it, and it is no part of a reward's version.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from rlexp.compose.environment import resolved
from rlexp.compose.places import Places
from rlexp.compose.schema import Reward
from rlexp.errors import RunError, nearest
from rlexp.inputs import reward_source, trust
from rlexp.inputs.raised import format_error, line_of
from rlexp.inputs.reward_source import RewardSource
from rlexp.inputs.script import load_script
from rlexp.reward.cases import ONE


class Reasons:
    """The words of every term that has some.

    Args:
        reward: the terms and their parameters.
        sources: their files, those that score.
        root: the project; a file of it that scores the same and explains itself speaks for a locked one that does not.

    Raises:
        RunError: a file cannot be imported, or its ``explain`` asks for what ``score`` does not read.
    """

    def __init__(self, reward: Reward, sources: dict[str, RewardSource], root: Path) -> None:
        self._params = {name: resolved(term.params) for name, term in reward.terms.items()}
        self._terms: dict[str, tuple[Callable[..., Any], Mapping[str, inspect.Parameter]]] = {}
        for name, source in sources.items():
            speaker = source if source.explains is not None else _present(source, root)
            if speaker and speaker.explains is not None:
                _check(speaker)
                explain = _imported(name, speaker)
                self._terms[name] = explain, inspect.signature(explain).parameters

    def of(self, offered: Mapping[str, Any]) -> dict[str, str]:
        """Term -> its words on one completion.

        Args:
            offered: ``completion``, ``prompt``, and what else the terms read of it.
        """
        found = {}
        for name, (explain, asked) in self._terms.items():
            offers = {**offered, **self._params[name]}
            given = {key: offers[key] for key in asked if key in offers}
            if any(key not in given and one.default is one.empty for key, one in asked.items()):
                continue  # the row lacks a column: the term does not apply either
            try:
                message = explain(**given)
            except Exception as error:
                message = f"explain() raised {format_error(error)}"
            if message:
                found[name] = str(message)
        return found


def _present(source: RewardSource, root: Path) -> RewardSource | None:
    try:
        now = reward_source.read(Places.of(root).holder(source.file), source.file)
    except RunError:
        return None
    if now.path == source.path or now.code_md5 != source.code_md5:
        return None
    trust.require([trust.Code(now.path)], Places.of(root))
    return now


def _check(source: RewardSource) -> None:
    known = [*dict.fromkeys(["completion", *(ONE.get(name, name) for name in source.reads)]), *source.params]
    for name in source.explains or ():
        if name not in known:
            guess = nearest(name, known)
            raise RunError(
                f"explain() asks for {name}, which score() does not read",
                where=f"{source.file}: explain()",
                hint=f"{f'did you mean {guess}? ' if guess else ''}it is given {', '.join(known)}",
            )


def _imported(name: str, source: RewardSource) -> Any:
    try:
        return load_script(source.path).explain
    except Exception as error:
        what = f"the reward {name} raised {format_error(error)} when imported"
        raise RunError(
            what, where=line_of(source.path, source.file, error), hint="mend the reward, then: python -m rlexp score"
        ) from error
