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
from rlexp.record import listed, status
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


def of(
    run: FinishedRun,
    events: Sequence[Mapping[str, Any]],
    held_out: Sequence[Mapping[str, Any]],
    damaged: Sequence[str] = (),
    cut: Sequence[str] = (),
) -> list[Verdict]:
    """The four verdicts; every output of the run is read and hashed.

    Args:
        events: of its health (``record.events``).
        held_out: the rows that were compared (``record.held_out``).
        damaged: sentences about files that cannot be read.
        cut: those about files whose last line is not whole.
    """
    return [learned(run, held_out), healthy(run, events), whole(run, damaged, cut), replayable(run)]


def learned(run: FinishedRun, held_out: Sequence[Mapping[str, Any]]) -> Verdict:
    """Whether the main held-out metric is another after training, by its paired difference where rows are there."""
    question, main = "Did it learn?", main_metric(run.manifest)
    if main is None:
        return Verdict(question, OPEN, *_not_measured(run))
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
        return Verdict(question, OPEN, *_so_far(run))
    return Verdict(question, GOOD, "yes", "No rule of health warned.")


def whole(run: FinishedRun, damaged: Sequence[str] = (), cut: Sequence[str] = ()) -> Verdict:
    """Whether what it left can be read and is what the manifest says by hash, and whether it came to its end.

    Args:
        damaged: sentences about files that cannot be read.
        cut: those about files whose last line is not whole, which a run that was killed may leave.
    """
    question, outputs = "Is it whole?", run.manifest.get("outputs") or {}
    known = {**outputs, **(run.manifest.get("evidence") or {})}
    wrong = {name: why for name, md5 in known.items() if (why := _fault(run, name, md5))}
    weights = outputs.keys() - {METRICS}
    if not damaged and wrong and wrong.keys() == weights and set(wrong.values()) == {MISSING}:  # pinned/, a pack
        return Verdict(question, WARN, "without its weights", "What else it left is here, by hash.")
    stands, _ = status.of(run.manifest)
    faults = [*damaged, *(cut if stands == "finished" else ()), *(f"{name} {why}" for name, why in wrong.items())]
    if faults:
        more = f"; and {len(faults) - NAMED} more" if len(faults) > NAMED else ""
        return Verdict(question, BAD, "no", f"{'; '.join(faults[:NAMED])}{more}.")
    checked = (
        f"what it left is whole, by hash (files: {len(known)})" if known else "nothing that it left is known by hash"
    )
    if stands != "finished":
        steps = listed.steps_of(run.run_dir, run.manifest, stands)
        done = f" after {steps[0]} of {steps[1]} steps" if steps else ""
        return Verdict(
            question,
            WARN,
            "not yet" if stands == "running" else "it did not finish",
            f"{stands or 'Nothing says how it ended'}{done}; {'; '.join([checked, *cut])}.",
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


def _not_measured(run: FinishedRun) -> tuple[str, str]:
    """(a word or two, a sentence) on a run without a comparison: nothing was held out, or it did not come to it."""
    stands, _ = status.of(run.manifest)
    rows = (run.lock["config"].get("held_out") or {}).get("rows")
    if rows == 0:
        return "not measured", "Nothing was held out: held_out.rows is 0."
    if stands == "running":
        return "not yet", "Rows are held out; they are compared when it has ended."
    if stands in ("finished", "") or rows is None:
        return "not measured", "The record holds no comparison of held-out rows."
    return "not measured", "Rows were held out, and it ended before they were compared."


def _so_far(run: FinishedRun) -> tuple[str, str]:
    """(a word or two, a sentence) on the health of a run whose record holds no summary of it, and no event."""
    stands, _ = status.of(run.manifest)
    health = run.lock["config"].get("health")
    if isinstance(health, dict) and not health.get("rules"):
        return "not watched", f"No rule of health was on (health={printable(str(health.get('name', 'off')))})."
    if not health or stands in ("finished", ""):
        return "not watched", "The record holds no word of its health."
    steps = listed.steps_of(run.run_dir, run.manifest, stands)
    if not steps or not steps[0]:
        return "not told", "It is watched; no step of it was logged yet." if stands == "running" else (
            "It ended before a step was logged."
        )
    if stands == "running":
        return "no warning yet", f"No rule had warned by step {steps[0]}; it is known when it has ended."
    return "no warning", f"No rule had warned by step {steps[0]}, where its record ends."


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
        return middle - apart, middle + apart, "(of two independent means: the rows are not there to be paired)"
    return None, None, ""


def _fault(run: FinishedRun, name: str, md5: str) -> str:
    """How an output differs from the manifest; empty where it does not."""
    path = run.run_dir / name
    if not files.lies_inside(path, run.run_dir):
        return "lies outside of the run"
    if not path.is_file():
        return MISSING
    return "" if file_md5(path) == md5 else "is not what it left"
