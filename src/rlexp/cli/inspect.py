"""``inspect``: what does the model really see and say? Prompts as the model sees them, completions with the score of
every term, and the statistics of their groups; of a base model, of a trained run, or of a stored step."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import sys
from argparse import Namespace
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from rlexp import project
from rlexp.backend import dataset
from rlexp.backend import model as models
from rlexp.backend.patches import Patches
from rlexp.cli import inspect_view
from rlexp.cli.arguments import Parser
from rlexp.compose.points import points
from rlexp.compose.run import Run
from rlexp.compose.schema import Rollout, RunSchema
from rlexp.console import quiet
from rlexp.errors import RunError, nearest
from rlexp.evaluate import sampled, samples, stored
from rlexp.evaluate.samples import Choice, Group, Ranges
from rlexp.inputs.find import Inputs
from rlexp.inputs.prepare import prepare
from rlexp.inputs.reward_source import RewardSource
from rlexp.preflight.gate import Gate
from rlexp.record import finished
from rlexp.record.completions import parse_steps
from rlexp.reward.reasons import Reasons
from rlexp.reward.rubric import Rubric, workers_for
from rlexp.verdict import Verdict

OWN = {
    "rows": "rows=4",
    "generations": "generations=8",
    "sort": "sort=worst",
    "term": "term=correct",
    "where": "where='correct<1'",
    "split": "split=test",
    "step": "step=last",
    "checkpoint": "checkpoint=50",
}
"""The options that are written like overrides, each with an example; everything else is Hydra's."""
SPLITS = ("train", "test")
ROWS = 4


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


def command(arguments: list[str], here: Path) -> int:
    """``inspect [RUN] [overrides] [rows=N] [sort=ORDER] [where=CONDITION] [step=N] ...``.

    Raises:
        RunError: a word of the command line, the run, a step, a term or an order is none; nothing was written.
    """
    options, root = _options(arguments), project.root()
    choice = Choice(samples.conditions(options.where), options.sort, options.term)
    # Completions may hold what the terminal's encoding does not know.
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="backslashreplace")
    console = inspect_view.console_for(sys.stdout)
    if options.step is not None:
        look = _stored(options, choice, here, root)
    elif options.run:
        look = _trained(options, choice, here, root)
    else:
        run = points(root / "conf", options.overrides, multirun=False)[0].run
        samples.validate(choice, list(run.reward.terms))
        with contextlib.redirect_stdout(sys.stderr):
            inputs = prepare(run, root)
        look = _sampled(run, inputs, options, root, "base model", None)
    chosen = samples.choose(look.groups, choice)
    shown = chosen[: options.rows]
    whole = samples.summary(look.groups, look.compared)
    if options.json:
        content = {
            "head": dict(look.head),
            "verdicts": [{**dataclasses.asdict(v), "level": v.level.value} for v in look.verdicts],
            "groups": [inspect_view.to_json(group) for group in shown],
            "summary": inspect_view.summary_to_json(whole),
        }
        print(json.dumps(content, indent=1, default=str))
        return 0
    with inspect_view.tidy(console):
        inspect_view.show_head(console, look.head, look.verdicts)
        for number, group in enumerate(shown, 1):
            inspect_view.show_group(console, group, f"prompt {number} of {len(shown)}", look.ranges)
        inspect_view.show_summary(
            console, whole, look.weights, _note(choice, len(shown), len(chosen), len(look.groups))
        )
    return 0


def _options(arguments: list[str]) -> Namespace:
    parser = Parser("inspect", "Prints what the model sees and says, and why it scored so.")
    parser.add_argument(
        "words",
        metavar="WORD",
        nargs="*",
        help="a run (its latest weights; step= its stored completions), or overrides (the base model of that run); and "
        f"{', '.join(OWN.values())}",
    )
    parser.add_argument("--json", action="store_true", help="a JSON object instead of the view")
    options = parser.parse_intermixed_args(arguments)
    split = sort_out(options.words)
    given = [name for name in ("split", "checkpoint", "generations") if name in split.given]
    if split.step is not None and given:
        raise RunError(
            f"{given[0]}= says what is sampled, and step={split.step} reads what was stored",
            where="the command line",
            hint=f"leave out {given[0]}= or step=",
        )
    return Namespace(**vars(split), json=options.json)


def sort_out(words: list[str]) -> Namespace:
    """A command line's words as the run, Hydra's overrides, and the values of OWN.

    Raises:
        RunError: a word is none of them, or a value is no number where one is needed.
    """
    runs, overrides, own, where = [], [], {}, []
    groups = {field.name for field in dataclasses.fields(RunSchema)} | {"experiment", "hydra"}
    for word in words:
        name, sign, value = word.partition("=")
        if not sign and word[:1] not in "~+" and name not in OWN:
            runs.append(word)
        elif name == "where":
            where.append(value)
        elif name in OWN:
            own[name] = value
        elif name.isidentifier() and name not in groups and nearest(name, OWN):
            guess = nearest(name, OWN)
            raise RunError(f"inspect has no option {name}", where=word, hint=f"did you mean {guess}={value}?")
        else:
            overrides.append(word)
    if len(runs) > 1:
        raise RunError(f"{runs[0]} and {runs[1]}: one run at a time", where="the command line", hint="name one run")
    if runs and overrides:
        raise RunError(
            f"a run is inspected as it was locked, so {overrides[0]} cannot be set",
            where=overrides[0],
            hint=f"leave it out, or leave out {runs[0]} to sample the base model; options: {', '.join(OWN)}",
        )
    for name in ("step", "checkpoint"):
        if name in own and not runs:
            raise RunError(
                f"{name}={own[name]} is of which run?",
                where="the command line",
                hint=f"type inspect RUN {name}={own[name]}; python -m rlexp runs lists them",
            )
    split = own.get("split", "train")
    if split not in SPLITS:
        guess = nearest(split, SPLITS) or "test"
        raise RunError(f"there is no split {split!r}", where=f"split={split}", hint=f"type split={guess}")
    return Namespace(
        run=runs[0] if runs else None,
        overrides=overrides,
        given=sorted(own),
        rows=_count(own, "rows") or ROWS,
        generations=_count(own, "generations"),
        checkpoint=_count(own, "checkpoint"),
        sort=own.get("sort"),
        term=own.get("term"),
        step=own.get("step"),
        split=split,
        where=where,
    )


def _count(own: dict[str, str], name: str) -> int | None:
    if name not in own:
        return None
    if not own[name].isdigit() or int(own[name]) < 1:
        what = f"{own[name]!r} is no number of at least 1"
        raise RunError(what, where=f"{name}={own[name]}", hint=f"type {OWN[name]}")
    return int(own[name])


def _stored(options: Namespace, choice: Choice, here: Path, root: Path) -> Look:
    original = finished.open(options.run, here, root)
    run = original.run
    samples.validate(choice, list(run.reward.terms))
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
    run = finished.on_this_machine(original.run, root)
    samples.validate(choice, list(run.reward.terms))
    weights = original.weights(options.checkpoint)
    with contextlib.redirect_stdout(sys.stderr):
        inputs, notes = original.inputs(run)
    for note in notes:
        print(f"note: {note}", file=sys.stderr)
    return _sampled(run, inputs, options, root, os.path.relpath(weights, root), weights)


def _sampled(run: Run, inputs: Inputs, options: Namespace, root: Path, named: str, weights: Path | None) -> Look:
    """Loads the model, samples and scores."""
    # A few prompts are sampled quicker by transformers than vLLM's engine starts.
    run = dataclasses.replace(run, rollout=Rollout(name="generate", patches=run.rollout.patches))
    patches = Patches(run.rollout.patches)
    generations = options.generations or run.num_generations
    reasons, sources = Reasons(run.reward, inputs.rewards, root), inputs.rewards
    message = f"loading {run.model.name}, then {options.rows} prompts x {generations} completions"
    scoring = workers_for(run.reward, sources, run.hardware.reward_workers)
    with _waiting(message), quiet(Path(os.devnull)), scoring as workers:
        models.import_libraries(run, patches)
        if weights:
            model, tokenizer = models.load_trained(run, inputs.model, weights, patches)
        else:
            model, tokenizer = models.load(run, inputs.model, patches)
        read_columns = tuple(column for source in sources.values() for column in source.wanted_columns)
        data_rows = dataset.load(run, inputs.data, options.split, None, read_columns)
        rows = data_rows.select(range(min(options.rows, len(data_rows))))
        rubric = Rubric(run.reward, sources, workers)
        drawn = sampled.draw(run, model, tokenizer, rubric, reasons, rows, options.split, generations)
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
