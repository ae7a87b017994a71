"""``inspect``: prompts as the model sees them, completions with every score and why, statistics of their groups.

Of a base model, of a trained run, or of a stored step.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import sys
from argparse import Namespace
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.console import Console

from rlexp import project
from rlexp.backend import dataset, template_clock
from rlexp.backend import model as models
from rlexp.backend.patches import Patches
from rlexp.backend.prompts import prefill_of
from rlexp.cli import inspect_json, inspect_view
from rlexp.cli.answer import Answer
from rlexp.cli.inspect_words import read_words
from rlexp.compose.points import points
from rlexp.compose.run import Run
from rlexp.compose.schema import Rollout
from rlexp.console import quiet
from rlexp.evaluate import sampled, samples, stored
from rlexp.evaluate.choice import Choice, choose, conditions, validate
from rlexp.evaluate.held_out import Half, rows_of
from rlexp.evaluate.samples import Group, Ranges, Summary
from rlexp.inputs.find import Inputs
from rlexp.inputs.prepare import prepare
from rlexp.inputs.reward_source import RewardSource
from rlexp.preflight.gate import Gate
from rlexp.record import finished, locked_config
from rlexp.record.completions import parse_steps
from rlexp.record.lock import template_time
from rlexp.reward.reasons import Reasons
from rlexp.reward.rubric import Rubric, workers_for
from rlexp.verdict import Verdict


@dataclass(frozen=True)
class Look:
    """The view, before it is printed."""

    head: list[tuple[str, str]]
    verdicts: list[Verdict]
    groups: list[Group]
    """All that were drawn."""
    weights: dict[str, float]
    ranges: Ranges
    compared: bool
    """The completions of a group are compared with each other, so that advantages are known."""


def command(arguments: list[str], here: Path) -> Answer:
    """``inspect [RUN] [overrides] [rows=N] [sort=ORDER] [where=CONDITION] [step=N] ...``.

    Raises:
        RunError: a word of the command line, the run, a step, a term or an order is none; nothing was written.
    """
    options, root = read_words(arguments), project.root()
    choice = Choice(conditions(options.where), options.sort, options.term)
    if options.step is not None:
        look = _stored(options, choice, here, root)
    elif options.run:
        look = _trained(options, choice, here, root)
    else:
        run = points(root / project.CONF, options.overrides, multirun=False)[0].run
        validate(choice, list(run.reward.terms))
        with contextlib.redirect_stdout(sys.stderr):
            inputs = prepare(run, root)
        look = _sampled(run, inputs, options, root, "base model", None)
    chosen = choose(look.groups, choice)
    shown = chosen[: options.rows]
    whole = samples.summary(look.groups, look.compared)
    note = _note(choice, len(shown), len(chosen), len(look.groups))
    return Answer(lambda: to_json(look, shown, whole), lambda: show(look, shown, whole, note))


def to_json(look: Look, shown: list[Group], whole: Summary) -> dict[str, Any]:
    """The view as JSON values."""
    return {
        "head": dict(look.head),
        "verdicts": [
            {"name": v.name, "level": v.level.value, "message": v.message, "where": v.where, "hint": v.hint}
            for v in look.verdicts
        ],
        "groups": [inspect_json.to_json(group) for group in shown],
        "summary": inspect_json.summary_to_json(whole),
    }


def show(look: Look, shown: list[Group], whole: Summary, note: str) -> None:
    """Prints the view."""
    # Completions may hold what the terminal's encoding does not know.
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="backslashreplace")
    console = inspect_view.console_for(sys.stdout)
    with inspect_view.tidy(console):
        inspect_view.show_head(console, look.head, look.verdicts)
        for number, group in enumerate(shown, 1):
            inspect_view.show_group(console, group, f"prompt {number} of {len(shown)}", look.ranges)
        inspect_view.show_summary(console, whole, look.weights, note)


def _stored(options: Namespace, choice: Choice, here: Path, root: Path) -> Look:
    original = finished.open(options.run, here, root)
    run = original.run
    validate(choice, list(run.reward.terms))
    wanted = parse_steps(options.step, original.completion_steps(), original.run_dir)
    sources = original.reward_sources()
    reasons, ranges = Reasons(run.reward, sources, root), _ranges(sources)
    groups = []
    for step in wanted:
        groups += samples.grouped(
            run, stored.drawn(run, original.completions([step]), step, reasons), ranges, run.method.online
        )
    named = f"step {wanted[0]}" if len(wanted) == 1 else f"{len(wanted)} steps, {wanted[0]} to {wanted[-1]}"
    head = [("stored", f"{os.path.relpath(original.run_dir, root)}, {named}"), ("reward", _combination(run))]
    return Look(head, [], groups, _weights(run), ranges, run.method.online)


def _trained(options: Namespace, choice: Choice, here: Path, root: Path) -> Look:
    original = finished.open(options.run, here, root)
    run = locked_config.on_this_machine(original.run, root)
    validate(choice, list(run.reward.terms))
    weights = original.weights(options.checkpoint)
    for name, why in original.broken_weights().items():
        print(f"note: {name} is passed over: {why}", file=sys.stderr)
    with contextlib.redirect_stdout(sys.stderr):
        inputs, notes = original.inputs(run)
    for note in notes:
        print(f"note: {note}", file=sys.stderr)
    return _sampled(run, inputs, options, root, os.path.relpath(weights, root), weights, template_time(original.lock))


def _sampled(
    run: Run,
    inputs: Inputs,
    options: Namespace,
    root: Path,
    named: str,
    weights: Path | None,
    moment: datetime | None = None,
) -> Look:
    """Loads the model, samples and scores; chat templates take ``moment`` for now."""
    # A few prompts are sampled quicker by transformers than vLLM's engine starts.
    run = dataclasses.replace(run, rollout=Rollout(name="generate", patches=run.rollout.patches))
    patches = Patches(run.rollout.patches)
    generations = options.generations or run.num_generations
    reasons, sources = Reasons(run.reward, inputs.rewards, root), inputs.rewards
    message = f"loading {run.model.name}, then {options.rows} prompts x {generations} completions"
    scoring = workers_for(run.reward, sources, run.hardware.reward_workers)
    with _waiting(message), quiet(Path(os.devnull)), scoring as workers:
        models.import_libraries(run, patches)
        if moment:
            template_clock.freeze(moment)
        if weights:
            model, tokenizer = models.load_trained(run, inputs.model, weights, patches)
        else:
            model, tokenizer = models.load_begun(run, inputs, patches)
        kept = inputs.filtered if options.split == "train" else None
        held_out = options.split == "test" and run.held_out.rows
        numbers = rows_of(run, inputs.data, Half.report) if held_out else None  # those that a run compares
        data_rows = dataset.load(run, inputs.data, options.split, numbers, inputs.wanted_columns, kept)
        rows = data_rows.select(range(min(options.rows, len(data_rows))))
        rubric = Rubric(run.reward, sources, workers, prefill=prefill_of(run, tokenizer, inputs, rows))
        names = [f"{options.split} row {number}" for number in (numbers or range(len(rows)))[: len(rows)]]
        drawn = sampled.draw(run, model, tokenizer, rubric, reasons, rows, names, generations)
        how = sampled.sampling(run)
        tokens = sampled.tokens_in_use(run, model, tokenizer)
        verdicts = Gate(run, inputs, [], print).look(model, tokenizer, data_rows)
    compared = run.method.online and generations == run.num_generations
    plainly = f"temperature {how.temperature:g}, top_p {how.top_p:g}, top_k {how.top_k}"
    more = "".join(f", {name} {value}" for name, value in how.more.items())
    head = [
        ("model", f"{run.model.name}, {named}"),
        ("data", f"{run.dataset.path}, {options.split}"),
        ("reward", _combination(run)),
        ("sampling", f"{plainly}{more}, at most {how.max_new_tokens} tokens, seed {run.seed}"),
        *tokens,
    ]
    ranges = _ranges(sources)
    return Look(head, verdicts, samples.grouped(run, drawn, ranges, compared), _weights(run), ranges, compared)


@contextlib.contextmanager
def _waiting(message: str) -> Iterator[None]:
    """Says on a terminal what takes its time."""
    if not sys.stderr.isatty():
        yield
        return
    with Console(file=sys.stderr).status(message):
        yield


def _ranges(sources: dict[str, RewardSource]) -> Ranges:
    return {name: source.bounds for name, source in sources.items()}


def _weights(run: Run) -> dict[str, float]:
    return {name: term.weight for name, term in run.reward.terms.items()}


def _combination(run: Run) -> str:
    terms = " + ".join(f"{term.weight:g} x {name}" for name, term in run.reward.terms.items())
    combine = run.reward.combine.name
    gate = f", gate {run.reward.gate} at {run.reward.gate_at:g}" if combine == "gate" else ""
    return f"{terms or 'none'} ({combine}{gate})"


def _note(choice: Choice, shown: int, chosen: int, drawn: int) -> str:
    """A note says which part of everything was shown."""
    parts = [f"where {' and '.join(map(str, choice.conditions))}"] if choice.conditions else []
    if choice.sort or choice.term:
        parts.append(" ".join(filter(None, ("sorted by", choice.term, choice.sort or "worst"))))
    if not chosen and drawn:
        return f"no completion meets: {parts[0]}"
    return (
        f"shown: {shown} of {drawn} prompts{''.join(', ' + part for part in parts)}" if parts or shown < drawn else ""
    )
