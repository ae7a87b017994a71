"""``difficulty``: how hard each training prompt is for the model: samples it, and writes its pass rate.

``n=8`` completions of every prompt are sampled as training would and scored; ``term=correct`` is the term of the reward
that counts, ``at=1.0`` its score from which a completion is right, ``rows=100`` takes the first training rows only. The
rates are written to data/NAME.difficulty; dataset.difficulty=[0.1,0.9] trains on the rows whose rate lies between.
"""

from __future__ import annotations

import dataclasses
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rlexp import project
from rlexp.backend import dataset
from rlexp.backend import model as models
from rlexp.backend.patches import Patches
from rlexp.backend.prompts import prefill_of
from rlexp.cli.answer import FORMAT, Answer
from rlexp.cli.arguments import command_line, hydra_options
from rlexp.cli.difficulty_words import Words, read_words, term_of
from rlexp.cli.progress import Counter
from rlexp.compose.run import Run
from rlexp.compose.schema import Rollout
from rlexp.console import RunConsole, quiet
from rlexp.errors import RunError
from rlexp.evaluate.difficulty import distinct, measure
from rlexp.evaluate.sampled import sampling
from rlexp.evaluate.transformers_sampler import TransformersSampler
from rlexp.inputs import difficulty
from rlexp.inputs.digest import folder_md5
from rlexp.inputs.find import Inputs
from rlexp.inputs.pass_rates import UNKNOWN, Rates, all_equal, histogram
from rlexp.inputs.prepare import prepare
from rlexp.preflight import checks
from rlexp.preflight.difficulty import identity, same
from rlexp.reward.rubric import Rubric, workers_for

BAR = 40
"""Characters of the longest bar."""


@dataclass(frozen=True)
class Measured:
    """The rates of a data set, and what it took to have them."""

    path: str
    """The folder, from the project."""
    description: dict[str, Any]
    rates: Rates
    seconds: float | None
    """None where they were there."""

    @property
    def completions_per_second(self) -> float | None:
        """Sampled and scored; None where nothing was sampled."""
        return self.description["rates"]["sampled"] * self.description["n"] / self.seconds if self.seconds else None


def command(arguments: list[str], here: Path) -> Answer:
    """``difficulty [overrides] [n=8] [term=correct] [at=1.0] [rows=N]``: writes the pass rate of each training prompt.

    Raises:
        RunError: a word of the command line is none, an input is missing, or other rates lie there; nothing is written.
    """
    words, root = read_words(arguments), project.root()
    options = hydra_options(words.rest, "difficulty")
    points = command_line(options, here).points()
    if len(points) > 1:
        raise RunError("difficulty measures one run's data", where="-m", hint="leave out -m")
    # Sampled by transformers, on every row of the snapshot.
    run = points[0].run
    rollout = Rollout(name="generate", patches=run.rollout.patches)
    run = dataclasses.replace(run, rollout=rollout, dataset=dataclasses.replace(run.dataset, difficulty=None))
    term = term_of(words.term, list(run.reward.terms))
    inputs = prepare(run, root)
    folder = root / difficulty.path(run)
    found, asked = difficulty.describe(folder), _asked(run, inputs, words, term)
    seconds = None
    if found is None:
        checks.refuse(run, inputs, folder.parent)
        found, seconds = _measured(run, inputs, asked, folder)
    else:
        _require_same(run, found, asked)
    done = Measured(difficulty.path(run), found, difficulty.read(folder, found), seconds)
    return Answer(lambda: to_json(run, done), lambda: show(done))


def _asked(run: Run, inputs: Inputs, words: Words, term: str) -> dict[str, Any]:
    """What the rates are to be of, as their description says it."""
    source, how = inputs.rewards[term], dataclasses.asdict(sampling(run))
    how |= {"system_prompt": run.model.system_prompt, "chat_template_kwargs": run.chat_template_kwargs}
    params = run.config()["reward"]["terms"][term]["params"]
    return {
        "snapshot": folder_md5(inputs.data),
        "model": identity(run, inputs),
        "reward": {
            "term": term,
            "file": source.file,
            "md5": source.md5,
            "version": source.version,
            "params": params,
        },
        "at": words.at,
        "n": words.n,
        "first": words.rows,
        "sampling": {**how, "load_in_4bit": run.model.load_in_4bit},
        "seed": run.seed,
    }


def _require_same(run: Run, found: dict[str, Any], asked: dict[str, Any]) -> None:
    """Checks that the rates that are there are those that were asked for."""
    other = [name for name in asked if name != "model" and asked[name] != found[name]]
    other += [] if same(found["model"], asked["model"]) else ["model"]
    if other:
        path = difficulty.path(run)
        now = ", ".join(_difference(name, found[name], asked[name]) for name in other)
        raise RunError(
            f"{path} holds other pass rates, and is never written over: {now}",
            where=f"{path}/{difficulty.DESCRIPTION}",
            hint=f"mv {path} {path}_old, and type the same again; runs that were locked with it find it by its hash "
            "once it is back, or in DVC's cache after pin",
        )


def _difference(name: str, there: Any, asked: Any) -> str:
    """One difference in words: ``n is 8 there, asked is 4``."""
    if isinstance(there, dict) and isinstance(asked, dict):
        keys = [key for key in sorted({*there, *asked}) if there.get(key) != asked.get(key)]
        return ", ".join(_difference(f"{name}.{key}", there.get(key), asked.get(key)) for key in keys)
    return f"{name} is {there} there, asked is {asked}"


def _measured(run: Run, inputs: Inputs, asked: dict[str, Any], folder: Path) -> tuple[dict[str, Any], float]:
    """Samples, scores and writes; nothing is there before everything is."""
    console, patches, sources = RunConsole(), Patches(run.rollout.patches), inputs.rewards
    n, term = asked["n"], asked["reward"]["term"]
    scoring = workers_for(run.reward, sources, run.hardware.reward_workers)
    with quiet(Path(os.devnull)), scoring as workers:
        models.import_libraries(run, patches)
        once = dataclasses.replace(run, dataset=dataclasses.replace(run.dataset, parts={}))  # whatever the weights are
        rows = dataset.load(once, inputs.data, "train", asked["first"], inputs.wanted_columns)
        model, tokenizer = models.load(run, inputs.model, patches)
        if inputs.model is None:
            asked = {**asked, "model": identity(run, inputs)}  # the hub's files are there only now
        rubric = Rubric(run.reward, sources, workers, prefill=prefill_of(run, tokenizer, inputs, rows))
        prompts = len(distinct(rows))
        console.print(f"sampling {prompts} prompts x {n} completions of {run.model.name}")
        began = time.perf_counter()
        with Counter(console, prompts, "prompts") as counter:
            sampler = TransformersSampler(run, model, tokenizer)
            rates = measure(run, sampler, rubric, rows, term, asked["at"], n, counter)
        seconds = time.perf_counter() - began
    hashes = difficulty.prompt_hashes(inputs.data)
    rates += [UNKNOWN] * (len(hashes) - len(rates))
    written = difficulty.write(folder, hashes, rates, asked, prompts)
    _require_same(run, written, asked)  # another process may have been first
    return written, seconds


def to_json(run: Run, done: Measured) -> dict[str, Any]:
    """The rates as JSON values: their histogram, and where they are."""
    about, rates = done.description, done.description["rates"]
    return {
        "format": FORMAT,
        "dataset": {"name": run.dataset.name, "path": run.dataset.path},
        "path": done.path,
        "sampled": done.seconds is not None,
        "model": about["model"]["name"],
        "term": about["reward"]["term"],
        "at": about["at"],
        "n": about["n"],
        "rows": rates["rows"],
        "prompts": rates["sampled"],
        "unknown": rates["rows"] - rates["known"],
        "histogram": [dataclasses.asdict(part) for part in histogram(done.rates)],
        "equal": all_equal(done.rates),
        "seconds": done.seconds,
        "completions_per_second": done.completions_per_second,
    }


def show(done: Measured) -> None:
    """Prints the histogram, and what it means for training."""
    console, about = RunConsole(), done.description
    rates, term, n = about["rates"], about["reward"]["term"], about["n"]
    parts, known = histogram(done.rates), rates["known"]
    most, width = max(part.rows for part in parts) or 1, max(len(part.name) for part in parts)
    digits = max(len(str(part.rows)) for part in parts)
    console.print(
        f"{known} of {rates['rows']} train rows by pass rate ({term} at least {about['at']:g}, "
        f"{about['model']['name']}, n={n})"
    )
    for part in parts:
        bar = "█" * max(round(part.rows / most * BAR), int(part.rows > 0))
        console.print(f"  {part.name:<{width}}  {part.rows:>{digits}}  {bar}".rstrip(), markup=False)
    if known:
        equal = all_equal(done.rates)
        console.print(
            f"{equal} of {known} ({equal / known:.0%}) teach nothing of {term}: all {n} completions are right, or all "
            "are wrong"
        )
    if unknown := rates["rows"] - known:
        why = f"only the first {about['first']} were asked for" if about["first"] else f"{term} does not apply to them"
        console.print(f"{unknown} rows have no pass rate: {why}")
    if done.seconds is None:
        console.print(f"{done.path} was there: nothing was sampled")
    else:
        speed = f"{done.completions_per_second:.0f} completions per second"
        console.print(f"written: {done.path}, after {done.seconds:.1f} s ({speed})")
    console.print("to train on some of them: dataset.difficulty=\\[0.1,0.9]")
