"""The four questions that a report answers first: did it learn, is it healthy, is it whole, can it be replayed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rlexp import files
from rlexp.errors import RunError, printable
from rlexp.evaluate.statistics.compare import paired
from rlexp.evaluate.sweeps.metric import LOWER
from rlexp.evaluate.sweeps.metric import number as usable
from rlexp.inputs.digest import file_md5
from rlexp.record import status
from rlexp.record.finished import FinishedRun
from rlexp.record.run_folder import METRICS, main_metric
from rlexp.report.measured import Z

GOOD, BAD, WARN, OPEN = "good", "bad", "warn", "open"
"""The levels of a verdict: yes, no, with reservations, not told."""
MISSING = "is missing"
NAMED = 3
"""Things that a sentence names."""


@dataclass(frozen=True)
class Verdict:
    """The answer to a question."""

    question: str
    level: str
    answer: str
    """A word or two."""
    said: str
    """What it rests on, in a sentence."""


def of(run: FinishedRun, events: Sequence[Mapping[str, Any]], held_out: Sequence[Mapping[str, Any]]) -> list[Verdict]:
    """The four verdicts; every output of the run is read and hashed.

    Args:
        events: of its health (``record.events``).
        held_out: the rows that were compared (``record.held_out``).
    """
    return [learned(run, held_out), healthy(run, events), whole(run), replayable(run)]


def learned(run: FinishedRun, held_out: Sequence[Mapping[str, Any]]) -> Verdict:
    """Whether the main held-out metric is another after training, by its paired difference where rows are there."""
    question, main = "Did it learn?", main_metric(run.manifest)
    if main is None:
        return Verdict(question, OPEN, "not measured", "Nothing was held out, or the run ended before it was compared.")
    name, row = main
    better = -1 if name.endswith(LOWER) else 1
    said = f"{printable(name)} {_figure(row, 0)} → {_figure(row, 1)} on held-out rows"
    low, high, how = _change(name, row, held_out)
    if low is None or high is None:
        direction = "it moved the right way" if better * (row["after"] - row["before"]) > 0 else "it is not better"
        return Verdict(question, OPEN, "not told", f"{said}; {direction}, and nothing tells by how much it scatters.")
    said += f": {row['after'] - row['before']:+.3f}, 95% [{low:+.3f}, {high:+.3f}] {how}."
    if low <= 0 <= high:
        return Verdict(question, OPEN, "not told", f"{said} The interval holds 0.")
    return Verdict(question, GOOD, "yes", said) if better * low > 0 else Verdict(question, BAD, "it got worse", said)


def healthy(run: FinishedRun, events: Sequence[Mapping[str, Any]]) -> Verdict:
    """What the rules of health said while it trained."""
    question, known = "Is it healthy?", run.manifest.get("health")
    stops = [one for one in events if one["level"] == "stop"]
    if stops:
        said = f"The rule {stops[0]['rule']} stopped it at step {stops[0]['step']}: {stops[0]['said']}."
        return Verdict(question, BAD, "no", said)
    if events:
        rules = Counter(one["rule"] for one in events)
        first = events[0]
        named = ", ".join(list(rules)[:NAMED]) + (f" and {len(rules) - NAMED} more" if len(rules) > NAMED else "")
        return Verdict(question, WARN, "with warnings", f"{named}; first at step {first['step']}: {first['said']}.")
    if not isinstance(known, dict):
        return Verdict(question, OPEN, "not watched", "The record holds no word of its health.")
    return Verdict(question, GOOD, "yes", "No rule of health warned.")


def whole(run: FinishedRun) -> Verdict:
    """Whether what it left is what the manifest says by hash, and whether it came to its end."""
    question, outputs = "Is it whole?", run.manifest.get("outputs") or {}
    known = {**outputs, **(run.manifest.get("evidence") or {})}
    wrong = {name: why for name, md5 in known.items() if (why := _fault(run, name, md5))}
    if wrong and wrong.keys() == outputs.keys() - {METRICS} and set(wrong.values()) == {MISSING}:  # pinned/, a pack
        return Verdict(question, WARN, "without its weights", "What else it left is here, by hash.")
    faults = [f"{name} {why}" for name, why in wrong.items()]
    if faults:
        more = f"; and {len(faults) - NAMED} more" if len(faults) > NAMED else ""
        return Verdict(question, BAD, "no", f"{'; '.join(faults[:NAMED])}{more}.")
    stands, _ = status.of(run.manifest)
    checked = (
        f"what it left is whole, by hash (files: {len(known)})" if known else "nothing that it left is known by hash"
    )
    if stands != "finished":
        steps = run.manifest.get("steps")
        done = f" after {steps['done']} of {steps['asked']} steps" if steps and steps["asked"] else ""
        return Verdict(
            question,
            WARN,
            "not yet" if stands == "running" else "it did not finish",
            f"{stands or 'Nothing says how it ended'}{done}; {checked}.",
        )
    if changed := run.manifest.get("inputs_changed"):
        return Verdict(question, WARN, "inputs changed", f"While it trained: {', '.join(changed[:NAMED])}; {checked}.")
    return Verdict(question, GOOD if outputs else OPEN, "yes" if outputs else "not told", f"Finished; {checked}.")


def replayable(run: FinishedRun) -> Verdict:
    """Whether every input that the lock names is here, by hash; nothing is made or run."""
    question, agreed = "Can it be replayed?", run.manifest.get("agreement")
    try:
        _, notes = run.inputs(make=False)
    except RunError as error:
        what = error.what.splitlines()[0].removesuffix("; nothing was started")
        return Verdict(question, WARN, "not from here", f"{printable(what)}; replay --check names each.")
    said = "Every locked input is here, by hash"
    if isinstance(agreed, dict) and isinstance(agreed.get("level"), str):
        said += f"; it is itself a replay, and agreed to the level {printable(agreed['level'])}"
    git = run.manifest.get("git") or {}
    if git.get("dirty"):
        said += "; code.patch holds what was not committed"
    return Verdict(question, GOOD, "yes", f"{'; '.join([said, *map(printable, notes[:NAMED])])}.")


def _figure(row: Mapping[str, Any], side: int) -> str:
    errors = row.get("standard_error")
    spread = f" ± {Z * errors[side]:.3f}" if errors else ""
    return f"{row['before' if side == 0 else 'after']:.3f}{spread}"


def _change(
    name: str, row: Mapping[str, Any], held_out: Sequence[Mapping[str, Any]]
) -> tuple[float | None, float | None, str]:
    """(low, high, how) of the interval of the change: paired by prompt, else of two independent means."""
    if name == "reward" and len(held_out) > 1:
        before, after = ([[usable(one[f"reward_{side}"])] for one in held_out] for side in ("before", "after"))
        found = paired(before, after)
        # Rows of another comparison than the manifest's say nothing about it.
        if found.mean is not None and abs(found.mean - (row["after"] - row["before"])) < 1e-6 and found.low is not None:
            return found.low, found.high, f"paired over {found.prompts} prompts"
    if errors := row.get("standard_error"):
        middle, apart = row["after"] - row["before"], Z * (errors[0] ** 2 + errors[1] ** 2) ** 0.5
        return middle - apart, middle + apart, "as if of other prompts"
    return None, None, ""


def _fault(run: FinishedRun, name: str, md5: str) -> str:
    """How an output differs from the manifest; empty where it does not."""
    path = run.run_dir / name
    if not files.lies_inside(path, run.run_dir):
        return "lies outside of the run"
    if not path.is_file():
        return MISSING
    return "" if file_md5(path) == md5 else "is not what it left"
