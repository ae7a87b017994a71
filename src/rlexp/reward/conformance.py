"""One suite that every reward passes, whatever it scores: the right number of finite scores inside the declared range,
the same ones again, each completion for itself, and no harm from any text that a model may write."""

from __future__ import annotations

import asyncio
import copy
import inspect
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rlexp.errors import RunError
from rlexp.inputs.raised import line_of
from rlexp.inputs.reward_source import RewardSource
from rlexp.reward.function import said
from rlexp.reward.pool.call import checked

NASTY = {
    "an empty completion": "",
    "blanks": " \n\t\n ",
    "a huge completion": "a b " * 5_000,
    "other scripts and signs": "日本語 русский العربية 🙂\u200d👩 e\u0301 \u202e \ufeff ½",
    "a control character": "\x00\x07\x1b[31m",
    "half-open tags": "<think>4<answer>4",
    "a lonely closing tag": "4</answer></think>",
    "repeated tags": "<think>4</think><answer>4</answer>" * 40,
    "nested tags": "<answer><answer>4</answer></answer>",
    "broken mathematics": "<answer>\\frac{1}{</answer> 1/0 \\sqrt{ ^_^ $$$",
    "braces and quotes": "{}{0}{x}%s%d \" ' \\",
}
"""Name -> a completion that says nothing, or too much."""
TOLERANCE = 1e-6
NO_COLUMNS = ("completion", "prompt", "score", "at_least", "at_most")
"""Keys of a case, and of a row, that are no columns."""


@dataclass(frozen=True)
class Sample:
    """The values that a reward reads beside a completion."""

    values: dict[str, Any]
    """Name that the function reads (prompts, a column, ...) -> its value for one completion."""
    completion: str | None = None
    """A completion that belongs to it."""


def samples(source: RewardSource, cases: Sequence[Any], rows: Sequence[Mapping[str, Any]]) -> list[Sample]:
    """The samples to try a reward with: its cases, and rows of the data that have what it reads."""
    found = []
    for case in [case for case in cases if isinstance(case, Mapping)]:
        beside = _beside(source, case)
        values = {name: case.get("prompt", "") if name == "prompts" else case.get(name) for name in beside}
        if all(name in case or name == "prompts" for name in values):
            found.append(Sample(values, case.get("completion")))
    for row in rows:
        prompt = row["prompt"] if isinstance(row["prompt"], str) else row["prompt"][-1]["content"]
        values = {name: prompt if name == "prompts" else row.get(name) for name in _beside(source, row)}
        if all(name in row or name == "prompts" for name in values):
            found.append(Sample(values, prompt))
    most = max((sample.values.keys() for sample in found), key=len, default=None)
    return [sample for sample in found if sample.values.keys() == most]  # a batch has the same columns throughout


def faults(
    source: RewardSource, function: Callable[..., Any], params: Mapping[str, Any], tried: Sequence[Sample]
) -> Iterator[str]:
    """The faults of a reward, in plain words; nothing for one that conforms.

    Args:
        source: its signature and declared range.
        function: ``score`` or ``score_group`` of the file.
        params: keyword-only arguments.
        tried: what it reads beside the completions; nothing is tried where there is none.
    """
    if not tried:
        return
    batch = [(what, text, tried[number % len(tried)]) for number, (what, text) in enumerate(NASTY.items())]
    batch += [("a completion of its cases, or a prompt", s.completion, s) for s in tried if s.completion is not None]

    def call(part: Sequence[tuple[str, str, Sample]]) -> list[float | None]:
        given = _arguments(source, [text for _, text, _ in part], [sample for _, _, sample in part])
        kept = copy.deepcopy(given)
        scores = called(function, {**given, **params})
        if given != kept:
            raise RunError("changes what it is given", where=source.file, hint="work on a copy: list(completions)")
        return checked(source.path.stem, scores, [text for _, text, _ in part], source.file)

    alone: list[float | None] = []
    for item in batch:
        try:
            one, again = call([item])[0], call([item])[0]
        except RunError as error:
            yield f"{error.what} ({item[0]})"
            return
        except Exception as error:
            yield f"raised {said(error, source)} on {item[0]} ({line_of(source.path, source.file, error)})"
            return
        alone.append(one)
        if not _same(one, again):
            yield f"is not deterministic: {one} and then {again} on {item[0]}"
            return
        low, high = source.bounds or (-math.inf, math.inf)
        if one is not None and not low <= one <= high:
            yield f"scored {one} on {item[0]}, outside of its declared range {low:g} to {high:g}"
    if source.whole_groups:
        return
    for order, name in ((batch, "a batch"), (batch[::-1], "a batch in another order")):
        try:
            together = call(order)
        except RunError as error:
            yield f"{error.what} ({name})"
            return
        except Exception as error:
            yield f"raised {said(error, source)} on {name} ({line_of(source.path, source.file, error)})"
            return
        expected = alone if order is batch else alone[::-1]
        different = [what for (what, _, _), a, b in zip(order, expected, together, strict=True) if not _same(a, b)]
        if different:
            yield f"scores {different[0]} otherwise in {name} than alone: a score may depend on its completion only"
            return


def called(function: Callable[..., Any], arguments: Mapping[str, Any]) -> Any:
    """The answer of the function; an asynchronous one is waited for."""
    answer = function(**arguments)
    return asyncio.run(_awaited(answer)) if inspect.isawaitable(answer) else answer


async def _awaited(answer: Any) -> Any:
    return await answer


def _beside(source: RewardSource, there: Mapping[str, Any]) -> list[str]:
    """What it reads beside completions: what it must have; of what it gets if it is there, all that is."""
    needed = [name for name in source.reads if name not in ("completions", "completion_ids", *source.optional)]
    if not source.everything:
        return needed
    more = [name for name in there if name in source.optional or name not in NO_COLUMNS]
    more = [name for name in more if name not in ("completions", "completion_ids", "prompts", *needed)]
    return [*needed, *(["prompts"] if "prompts" in source.optional else []), *more]


def _arguments(source: RewardSource, texts: list[str], beside: list[Sample]) -> dict[str, list[Any]]:
    given: dict[str, list[Any]] = {name: [sample.values[name] for sample in beside] for name in beside[0].values}
    if "completions" in source.reads:
        given["completions"] = texts
    if "completion_ids" in source.reads or source.everything:
        given["completion_ids"] = stand_in_ids(texts)
    return given


def _same(a: float | None, b: float | None) -> bool:
    return a is b if a is None or b is None else math.isclose(a, b, abs_tol=TOLERANCE)


def stand_in_ids(texts: Sequence[str]) -> list[list[int]]:
    """Token ids of texts where no tokenizer is at hand: one for every four characters."""
    return [list(range(len(text) // 4)) for text in texts]
