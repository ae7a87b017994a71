"""Checks of the reward over real rows: does it tell a right completion from a wrong one? Without a model.

Every term scores completions of all kinds once: gold ones, the same of another row, cheats, texts that say nothing.
What was scored is remembered by the hashes of the reward and the rows. Terms that ask a model or an endpoint are left
out: ``score`` tries them. ``verdicts`` is pure; a term that cannot be judged is skipped, not suspected.
"""

from __future__ import annotations

import ast
import dataclasses
import json
from collections.abc import Mapping, Sequence
from string import Formatter
from typing import Any

from rlexp.compose.run import Run
from rlexp.errors import RunError
from rlexp.inputs.digest import remembered
from rlexp.inputs.find import Inputs
from rlexp.inputs.reward_source import RewardSource
from rlexp.reward import coverage, gold, trial
from rlexp.reward.conformance import NASTY
from rlexp.reward.coverage import Coverage
from rlexp.reward.rubric import Rubric, workers_for
from rlexp.reward.trial import data_rows
from rlexp.verdict import Level, Verdict

ROWS = 12
REVISION = 4
"""Raised when other completions are tried than before, or something else of them is remembered."""
GOLD, OTHER = "gold", "other"
"""Prefixes of the kinds of completion that are compared: a row's own answer, and the same words for another row."""
FORMS = (
    "{answer}",
    "The answer is {answer}.",
    "<answer>{answer}</answer>",
    "#### {answer}",
    "\\boxed{{{answer}}}",
    "```\n{answer}\n```",
    '{{"answer": "{answer}"}}',
)
"""Forms in which a completion may hold the answer, where the data set has no gold completion."""

Scores = Mapping[str, Sequence[float | None]]
"""Kind of completion -> the scores of one term, one for each row."""


def check(run: Run, inputs: Inputs) -> list[Verdict]:
    """Checks whether each term of the reward, and all of them together, tell completions apart.

    Raises:
        RunError: the gold completion of the data set names a column that is not there.
    """
    sources = {name: source for name, source in inputs.rewards.items() if not source.whole_batches}
    if not run.method.online or not sources:
        return []
    found_rows = data_rows(inputs.data, ROWS)
    rows = gold.judged(run.dataset, found_rows) or found_rows
    kinds = completions(rows, gold.templates(run.dataset, rows))
    spread = coverage.spread_rows(inputs.data)
    params = {name: run.reward.terms[name].params for name in sources}
    key = [
        "told apart",
        {name: source.md5 for name, source in sources.items()},
        params,
        str(rows),
        kinds,
        str(spread),
        REVISION,
    ]
    found = remembered(json.dumps(key, sort_keys=True, default=str), lambda: _scored(run, sources, rows, kinds, spread))
    judge = any(kind.startswith(GOLD) for kind in kinds)
    judged = verdicts(run, sources, found["scores"], judge, whole=len(sources) == len(inputs.rewards))
    judged += [_coverage(Coverage(*part), sources) for part in found["coverage"]]
    if found["failed"]:
        message = (
            f"{found['failed']} of {found['scored']} completions that the reward was tried with made it raise or hang"
        )
        hint = "python -m rlexp score tries it alone; reward.max_failed says how many may fail while training"
        judged.insert(0, Verdict("reward.scores", Level.warning, message, "reward.terms", hint))
    return judged


def _coverage(part: Coverage, sources: Mapping[str, RewardSource]) -> Verdict:
    """The term has a score for every row; where it has none, the row teaches nothing through it."""
    where = f"{sources[part.name].file}: score()"
    if part.whole:
        return Verdict("reward.coverage", Level.passed, str(part), where)
    hint = "a row that no term applies to is left out of training; python -m rlexp score tells what applies to what"
    return Verdict("reward.coverage", Level.warning, str(part), where, hint)


def cases(name: str, source: RewardSource) -> Verdict:
    """The reward's file says what some completions should score."""
    if source.has_cases:
        return Verdict("reward.cases", Level.passed, f"the reward {name} has cases")
    message = f"the reward {name} has no cases: nothing says what it should score"
    hint = "add some to its file: cases = [{'completion': ..., 'score': ...}]; python -m rlexp score tries them"
    return Verdict("reward.cases", Level.warning, message, source.file, hint)


def completions(
    rows: Sequence[Mapping[str, Any]], template: str | Sequence[str | None] | None
) -> dict[str, list[str | None]]:
    """Kind -> one completion a row; GOLD and OTHER ones where rows have answers or a template says what is right.

    Args:
        template: for all rows, or one for each (``gold.templates``).
    """
    kinds: dict[str, list[str | None]] = {}
    if template is not None or "answer" in rows[0]:
        for number, form in enumerate([template] if template is not None else [gold.DEFAULT, *FORMS]):
            right = gold.completions(rows, form)
            kinds[f"{GOLD} {number}"] = list(right)
            kinds[f"{OTHER} {number}"] = gold.cheats(rows, right)[gold.ANOTHER]
        kinds |= gold.cheats(rows, gold.completions(rows, template))
    else:
        kinds |= gold.cheats(rows, gold.completions(rows, "{prompt}"))
    texts = list(NASTY.values())
    return {**kinds, "anything": [texts[number % len(texts)] for number in range(len(rows))]}


def verdicts(
    run: Run, sources: Mapping[str, RewardSource], scores: Mapping[str, Scores], judge: bool, whole: bool
) -> list[Verdict]:
    """The verdicts on each term by its scores.

    Args:
        scores: term -> its scores by kind; a term that could not be scored is absent.
        judge: whether there are gold completions.
        whole: whether every term of the reward is among ``sources``.
    """
    found, flat = [], []
    said = " ".join(run.dataset.golds) or None
    for name, kinds in scores.items():
        source = sources[name]
        all_scores = {score for kind in kinds.values() for score in kind if score is not None}
        if len(all_scores) == 1 and not discerning(source):
            flat.append(name)
            found.append(_constant(name, source, all_scores.pop(), judge))
        elif judge and all_scores and _answers(source, said):
            found.append(_gold(name, source, kinds, said))
    if judge and whole and set(flat) == set(sources):
        # Nothing in the whole reward tells completions apart: there is nothing to learn.
        found = [Verdict(v.name, Level.failed, v.message, v.where, v.hint) for v in found]
    return found


def discerning(source: RewardSource) -> bool:
    """Says whether the reward's own cases, which passed, expect different scores: then it is no constant."""
    expected = set()
    for node in ast.walk(ast.parse(source.path.read_bytes())):
        if isinstance(node, ast.Dict):
            for key, value in zip(node.keys, node.values, strict=True):
                if isinstance(key, ast.Constant) and key.value in ("score", "scores"):
                    expected.add(ast.unparse(value))
    return len(expected) > 1


def _constant(name: str, source: RewardSource, score: float, judge: bool) -> Verdict:
    message = f"the reward {name} gives {score:g} to every completion it was tried with"
    message += ", right, wrong, empty or cheating" if judge else ", empty ones and nonsense included"
    hint = "python -m rlexp score shows what it gives; a reward that is the same for a whole group teaches nothing"
    level = Level.failed if judge and source.columns else Level.warning
    return Verdict("reward.constant", level, message, f"{source.file}: score()", hint)


def _gold(name: str, source: RewardSource, kinds: Scores, template: str | None) -> Verdict:
    """Checks whether a completion with the row's own answer is scored above the same completion with another row's.

    One of the forms is enough, where the data set does not say which is right.
    """
    forms = [kind.removeprefix(GOLD) for kind in kinds if kind.startswith(GOLD)]
    right = {form: _mean(kinds[GOLD + form]) for form in forms}
    other = {form: _mean(kinds[OTHER + form]) for form in forms if OTHER + form in kinds}
    pairs = [(right[form], other.get(form)) for form in forms]
    known = [(a, b) for a, b in pairs if a is not None and b is not None]
    if not known:
        return Verdict("reward.gold", Level.skipped, f"the reward {name} applies to no row that was tried")
    best, wrong = max(known, key=lambda pair: pair[0] - pair[1])
    if best > wrong:
        message = f"the reward {name} gives {best:g} to right completions, {wrong:g} to those of another row"
        return Verdict("reward.gold", Level.passed, message)
    shown = "dataset.gold" if template else "the column answer"
    message = (
        f"the reward {name} gives {best:.3g} to completions made of {shown}, and {wrong:.3g} to those of another row: "
        f"it does not know the right answer ({source.file} reads {', '.join(source.columns)})"
    )
    hint = "is it the right column? python -m rlexp score shows gold completions with their scores; dataset.gold says "
    hint += "what is right"
    # What is right was said, or guessed: only the first is worth stopping for.
    return Verdict("reward.gold", Level.failed if template else Level.warning, message, f"{source.file}: score()", hint)


def _answers(source: RewardSource, template: str | None) -> bool:
    """Says whether a term judges the answer: it reads a column that the gold completion is made of, or where the data
    set says what is right, ``answer``."""
    made_of = {name for _, name, _, _ in Formatter().parse(template or gold.DEFAULT) if name}
    return bool({*made_of, "answer"} & set(source.columns))


def _scored(
    run: Run, sources: Mapping[str, RewardSource], rows: Sequence[Any], kinds: Any, spread: Sequence[Any]
) -> dict[str, Any]:
    found: dict[str, dict[str, Any]] = {name: {} for name in sources}
    with workers_for(run.reward, dict(sources), 1) as workers:
        # However many fail: the run judges those that it meets.
        rubric = Rubric(dataclasses.replace(run.reward, max_failed=1.0), dict(sources), workers)
        try:
            for kind, texts in kinds.items():
                which = [number for number, text in enumerate(texts) if text is not None]
                if not which:
                    continue
                batch = trial.score_texts(rubric, [rows[n] for n in which], [texts[n] for n in which])
                for name, values in batch.scores.items():
                    found[name][kind] = values
            scored, failed = rubric.scored, rubric.failed
            covered = coverage.coverage(rubric, spread)
        except RunError as error:
            raise RunError(f"[reward.scores] {error.what}", where=error.where, hint=error.hint) from error
    scores = {name: kinds for name, kinds in found.items() if kinds}
    parts = [dataclasses.astuple(part) for part in covered]
    return {"scores": scores, "scored": scored, "failed": failed, "coverage": parts}


def _mean(scores: Sequence[float | None]) -> float | None:
    applied = [score for score in scores if score is not None]
    return sum(applied) / len(applied) if applied else None
