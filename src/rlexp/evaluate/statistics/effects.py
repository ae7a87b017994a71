"""Main effects of the keys that a sweep varied: least squares on categorical factors, the seed as a block.

What keys do only together is in the residual, so a claim is about the mean over the other keys' values.
"""

from __future__ import annotations

import warnings
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from rlexp.evaluate.statistics.compare import holm
from rlexp.evaluate.statistics.intervals import Array

METHOD = "least squares on categorical factors"
BLOCKED = f"{METHOD}, the seed as a block"
MOST_COLUMNS = 500
"""Columns of a design; with more, values hardly repeat, and there is nothing to hold apart."""
SPREAD = 1e-18
"""The share of the squared values under which a residual is rounding."""
TOLD = 0.05
"""The p-value under which a difference is claimed."""


@dataclass(frozen=True)
class Level:
    """A value of a key."""

    value: Any
    points: int
    mean: float
    """Over the points that have it."""


@dataclass(frozen=True)
class Apart:
    """How much a value changes the metric, all else equal."""

    value: Any
    against: Any
    mean: float
    low: float | None = None
    high: float | None = None
    """The limits of the 95% interval; None where nothing tells the noise."""


@dataclass(frozen=True)
class Effect:
    """The main effect of a key."""

    key: str
    levels: list[Level]
    differences: list[Apart] = field(default_factory=list)
    """Of every value from the first; none where the key cannot be told from others."""
    p: float | None = None
    """Of no effect of any value (F)."""
    p_holm: float | None = None
    """After Holm's correction over the keys."""
    claimed: bool = False
    aliased: list[str] = field(default_factory=list)
    """Keys that go with this one: the design cannot tell their effects apart."""
    method: str = METHOD
    """How it was found, or ``none: ...``."""


def effects(
    values: Sequence[float], factors: Mapping[str, Sequence[Hashable]], block: tuple[str, Sequence[Hashable]] | None
) -> list[Effect]:
    """The main effect of every factor that has two values or more.

    Args:
        values: the metric of each point.
        factors: key -> its value at each point. Numbers are values like others: no line is fitted.
        block: the seed's name and that of each point, where the seeds are crossed with the settings.
    """
    outcome = np.array(values, dtype=float)
    coded = {key: found for key, own in factors.items() if len((found := _coded(own))[0]) > 1}
    everything = {**coded, **({block[0]: _coded(block[1])} if block else {})}
    made = [Effect(key, _levels(*found, outcome)) for key, found in coded.items()]
    if sum(len(found[0]) for found in everything.values()) > MOST_COLUMNS:
        return [replace(one, method="none: the keys have too many values") for one in made]
    parts = {key: _dummies(*found) for key, found in everything.items()}
    if not made:
        return []
    fit, place = _fit(outcome, parts), _places(parts)
    told = fit.df_resid > 0 and fit.ssr > SPREAD * float(outcome @ outcome)
    method = (BLOCKED if block else METHOD) if told else _untold(fit)
    made = [_effect(one, fit, place[one.key], parts, told, method) for one in made]
    tested = [one for one in made if one.p is not None]
    adjusted = dict(zip((one.key for one in tested), holm([one.p for one in tested if one.p is not None]), strict=True))
    return [
        replace(one, p_holm=adjusted[one.key], claimed=adjusted[one.key] < TOLD) if one.key in adjusted else one
        for one in made
    ]


def _untold(fit: Any) -> str:
    why = "all points fit it exactly" if fit.df_resid > 0 else "no point is left to tell the noise"
    return f"none: {why}"


def _effect(one: Effect, fit: Any, own: slice, parts: Mapping[str, Array], told: bool, method: str) -> Effect:
    others = [part for key, part in parts.items() if key != one.key]
    if _rank(parts.values()) - _rank(others) < own.stop - own.start:
        with_it = [key for key, part in parts.items() if key != one.key and _aliased(parts[one.key], part)]
        aliased = with_it or [key for key in parts if key != one.key]
        return replace(one, aliased=aliased, method="none: the design does not tell it apart")
    first, *rest = one.levels
    limits = fit.conf_int(0.05)[own] if told else [(None, None)] * len(rest)
    differences = [
        Apart(level.value, first.value, float(mean), *(None if limit is None else float(limit) for limit in both))
        for level, mean, both in zip(rest, fit.params[own], limits, strict=True)
    ]
    p = float(fit.f_test(np.eye(len(fit.params))[own]).pvalue) if told else None
    return replace(one, differences=differences, p=p, method=method)


def _fit(outcome: Array, parts: Mapping[str, Array]) -> Any:
    from statsmodels.api import OLS

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that keys are aliased is said of each
        return OLS(outcome, np.column_stack([np.ones(len(outcome)), *parts.values()])).fit()


def _places(parts: Mapping[str, Array]) -> dict[str, slice]:
    """The columns of each part behind the intercept."""
    ends = np.cumsum([1, *(part.shape[1] for part in parts.values())]).tolist()
    return {key: slice(begin, end) for key, begin, end in zip(parts, ends[:-1], ends[1:], strict=True)}


def _coded(values: Sequence[Hashable]) -> tuple[list[Any], list[int]]:
    """(the values that there are, in order; of each point the place of its own)."""
    found: list[Any] = sorted(set(values), key=order)
    places = {value: place for place, value in enumerate(found)}
    return found, [places[value] for value in values]


def order(value: Any) -> tuple[bool, float, str]:
    """Sorts numbers by size, before texts."""
    number = isinstance(value, int | float)
    return (not number, value if number else 0.0, str(value))


def _levels(found: list[Any], codes: list[int], outcome: Array) -> list[Level]:
    own = [outcome[np.array(codes) == place] for place in range(len(found))]
    return [Level(value, len(part), float(part.mean())) for value, part in zip(found, own, strict=True)]


def _dummies(found: list[Any], codes: list[int]) -> Array:
    """[points][values - 1]: 1 where a point has that value; the first value has no column."""
    return np.eye(len(found))[codes][:, 1:]


def _rank(parts: Any) -> int:
    columns = list(parts)
    ones = np.ones((len(columns[0]), 1)) if columns else np.ones((1, 1))
    return int(np.linalg.matrix_rank(np.hstack([ones, *columns])))


def _aliased(one: Array, other: Array) -> bool:
    return _rank([one, other]) < 1 + one.shape[1] + other.shape[1]
