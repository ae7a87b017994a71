"""The table ``cases`` of a reward file: completions with the score that each must get, or its limits."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from rlexp.errors import RunError
from rlexp.inputs.raised import format_error, line_of
from rlexp.inputs.reward_source import RewardSource
from rlexp.inputs.script import load_script
from rlexp.reward.conformance import called
from rlexp.reward.function import function_of, said
from rlexp.reward.pool.call import checked

ONE = {"completions": "completion", "prompts": "prompt"}
"""A parameter of ``score`` -> its name in a case, which is one completion; any other keeps its name."""
TOLERANCE = 1e-9
LIMITS: dict[str, Callable[[float, float], bool]] = {"at_least": operator.ge, "at_most": operator.le}
"""Keys that a case may have instead of ``score``; both make a range."""
SHOWN = 60
"""Characters of a completion that a line shows."""


@dataclass(frozen=True)
class Outcome:
    """The outcome of one case."""

    shown: str
    """The completion (or what the reward reads instead), shortened."""
    problem: str | None
    """The fault; None where the case scored as it says."""


def run_cases(source: RewardSource, params: Mapping[str, Any]) -> list[Outcome]:
    """Scores every case of a reward file, each alone; none where the file has no ``cases``.

    Args:
        source: the reward file.
        params: what a case that does not set a parameter of the reward is scored with.

    Raises:
        RunError: the file cannot be imported, or its ``cases`` are no list.
    """
    try:
        module = load_script(source.path)
    except (Exception, SystemExit) as error:
        raise RunError(
            f"the reward raised {format_error(error)} when imported",
            where=line_of(source.path, source.file, error),
            hint="mend it, then: python -m rlexp score",
        ) from error
    cases = getattr(module, "cases", [])
    if not isinstance(cases, list | tuple):
        raise RunError("the cases of the reward are no list", where=source.file, hint="cases = [{...}, {...}]")
    run, function = run_group_case if source.whole_groups else run_case, function_of(module, source)
    return [run(source, function, case, params) for case in cases]


def run_group_case(
    source: RewardSource, score: Callable[..., Any], case: Mapping[str, Any], params: Mapping[str, Any]
) -> Outcome:
    """Scores one case of a group reward.

    Args:
        case: ``completions`` and ``scores`` of one group; one value for anything else that is read, and parameters.
    """
    if not isinstance(case, Mapping) or not {"completions", "scores"} <= case.keys():
        return Outcome(_short(case), "says no completions and scores of a group")
    shown, texts = _short(case["completions"]), list(case["completions"])
    beside = [name for name in source.reads if name != "completions" and name not in source.optional]
    missing = [name for name in beside if ONE.get(name, name) not in case]
    if missing:
        return Outcome(shown, f"says no {' and no '.join(missing)}")
    columns = {"completions": texts, **{name: [case[ONE.get(name, name)]] * len(texts) for name in beside}}
    given = {**params, **{name: case[name] for name in source.params if name in case}}
    try:
        actual = checked(source.path.stem, called(score, columns | given), texts, source.file)
    except RunError as error:
        return Outcome(shown, error.what)
    except Exception as error:
        return Outcome(shown, f"raised {said(error, source)} ({line_of(source.path, source.file, error)})")
    wrong = [problem for e, a in zip(case["scores"], actual, strict=True) if (problem := _problem("score", e, a))]
    return Outcome(shown, wrong[0] if wrong else None)


def run_case(
    source: RewardSource, score: Callable[..., Any], case: Mapping[str, Any], params: Mapping[str, Any]
) -> Outcome:
    """Scores one case.

    Args:
        source: the reward file.
        score: its function.
        case: one value for everything ``score`` reads (``completion`` for ``completions``), parameters, and ``score``
            or ``at_least``, ``at_most``.
        params: the parameters that the case does not set.
    """
    if not isinstance(case, Mapping):
        return Outcome(_short(case), "is no dictionary")
    names = {name: ONE.get(name, name) for name in source.reads}
    reads = {name: key for name, key in names.items() if name not in source.optional or key in case}
    if source.everything:
        reads |= {key: key for key in case if key not in (*names, *names.values(), *ONE.values(), "score", *LIMITS)}
    shown = _short(case.get("completion", [case.get(name) for name in reads.values()]))
    given = {**params, **{name: case[name] for name in source.params if name in case}}
    expects = [key for key in ("score", *LIMITS) if key in case]
    missing = [name for name in (*reads.values(), *([] if expects else ["score"])) if name not in case]
    missing += [name for name in source.required_params if name not in given]
    if missing:
        return Outcome(shown, f"says no {' and no '.join(missing)}")
    try:
        scores = called(score, {name: [case[key]] for name, key in reads.items()} | given)
    except Exception as error:
        return Outcome(shown, f"raised {said(error, source)} ({line_of(source.path, source.file, error)})")
    try:
        actual = checked(source.path.stem, scores, [shown], source.file)[0]
    except RunError as error:
        return Outcome(shown, error.what)
    wrong = [problem for key in expects if (problem := _problem(key, case[key], actual))]
    return Outcome(shown, wrong[0] if wrong else None)


def _problem(key: str, expected: Any, actual: float | None) -> str | None:
    """The fault of a score that ``score``, ``at_least`` or ``at_most`` speaks of."""
    if actual is None or not isinstance(expected, int | float):
        fits = actual is expected is None and key == "score"
    else:
        near = math.isclose(actual, expected, abs_tol=TOLERANCE)
        fits = near or (key in LIMITS and LIMITS[key](actual, expected))
    limit = f"{key.replace('_', ' ')} " if key in LIMITS else ""
    return None if fits else f"expected {limit}{expected!r}, got {actual!r}"


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 4]}...{text[-1]}"
