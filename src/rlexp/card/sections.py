"""The sections of a card, each from the part of the record that it is about."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rlexp.card import failures
from rlexp.card.failures import Pattern
from rlexp.card.markdown import code, fence, interval, number, plain, table
from rlexp.card.measured import Measured
from rlexp.card.standing import Standing
from rlexp.preflight.smoke.passes import duration
from rlexp.record.finished import FinishedRun


def data(run: FinishedRun) -> str:
    """The snapshot that was trained on, by its hash."""
    one = run.lock["inputs"]["data"]
    source = one.get("source") or {}
    rows = ", ".join(f"{number} {split}" for split, number in one["rows"].items())
    made = source.get("script") or source.get("hub_id") or one["path"]
    return table(["snapshot", "rows", "made by", "md5"], [[one["path"], rows, made, one["md5"]]])


def rewards(run: FinishedRun) -> str:
    """The rewards with their versions; empty of a method that uses none."""
    terms = run.lock["inputs"].get("rewards") or {}
    rows = [[name, one["file"], one["version"], one.get("weight", ""), one["md5"]] for name, one in terms.items()]
    return table(["reward", "code", "version", "weight", "md5"], rows)


def training(run: FinishedRun) -> str:
    """Method, steps and the settings that a person asks for first."""
    made, config = run.run, run.lock["config"]
    steps = run.manifest.get("steps") or {}
    rows: list[list[Any]] = [
        ["method", made.method.name],
        *([["steps", f"{steps['done']} of {steps['asked'] or '-'}"]] if steps else []),
        ["trained", "every weight" if made.model.full_finetuning else f"LoRA, rank {made.model.lora.r}"],
        ["learning rate", config["method"].get("learning_rate")],
        ["seed", made.seed],
    ]
    rows += [[name, config["method"][name]] for name in ("beta", "num_generations") if name in config["method"]]
    rows += [["context, tokens", made.model.max_seq_length], ["computed in", made.hardware.dtype.name]]
    rows += [[what, found] for what, found in _made_on(run) if found]
    return table(["", ""], rows)


def _made_on(run: FinishedRun) -> list[tuple[str, str]]:
    """What a person needs to know of the machine and the libraries."""
    machine, versions = run.manifest.get("machine") or {}, run.lock.get("versions") or {}
    gpus = machine.get("gpus")
    took = (run.manifest.get("timings_s") or {}).get("total")
    libraries = ("torch", "transformers", "trl", "peft", "unsloth", "vllm")
    return [
        ("machine", f"{len(gpus)} x {gpus[0]}" if gpus else machine.get("processor", "")),
        ("took", duration(took) if took else ""),
        ("libraries", ", ".join(f"{name} {versions[name]}" for name in libraries if versions.get(name))),
    ]


def held_out(run: FinishedRun) -> str:
    """The comparison that the run itself made, with how its completions were sampled."""
    found = run.manifest.get("held_out") or {}
    rows = [
        [name, number(one["before"]), number(one["after"]), _change(one["before"], one["after"])]
        for name, one in found.items()
    ]
    how = run.run.held_out.temperature
    said = f"sampled at temperature {how:g}" if how else "greedy"
    head = f"Of held-out rows before and after the training, a completion a row, {said}:"
    return f"{head}\n\n{table(['mean of', 'before', 'after', 'change'], rows)}" if rows else ""


def _change(before: float, after: float) -> str:
    """As a share of what it was before, as the training prints it; a dash where it was nothing."""
    return f"{after / before - 1:+.0%}" if before > 0 else "-"


def evaluation(one: Measured) -> str:
    """A task: what the run began with first and the run behind it, with the difference."""
    names = list(one.results)
    metrics = list(dict.fromkeys(name for found in one.results.values() for name in found))
    rows = [[metric, *(interval(one.results[name].get(metric) or {}) for name in names)] for metric in metrics]
    prompts = max((found["prompts"] for found in one.results[one.own].values()), default=0)
    claims = [
        f"- {plain(claim['metric'])} against {plain(claim['one'])}: {interval(claim, sign='+')}" for claim in one.claims
    ]
    head = f"**{plain(one.name)}**, {prompts} prompts, 95% intervals:"
    return "\n\n".join(filter(None, [head, table(["metric", *names], rows), "\n".join(claims)]))


def regression(measured: Sequence[Measured]) -> str:
    """What was forgotten of the suite general, where it was measured."""
    asked = [one for one in measured if one.is_general]
    rows = [
        [one.name, lost["metric"], lost["base"], interval(lost, sign="+")] for one in asked for lost in one.forgotten
    ]
    if not asked:
        return ""
    names = ", ".join(plain(one.name) for one in asked)
    lost = table(["task", "metric", "against", "lost"], rows)
    said = f"Of {names}, which it was not trained on, these are worse than before with 95% confidence:"
    return (
        f"{said}\n\n{lost}"
        if rows
        else f"None of {names}, which it was not trained on, is seen to be worse than before."
    )


def artifacts(manifest: dict[str, Any], tasks: Sequence[str] = ()) -> str:
    """The artifacts with their verdicts.

    Args:
        tasks: those that they were scored on, with how they were sampled.
    """
    rows = []
    for name, one in manifest.get("artifacts", {}).items():
        far = one["gate"].get("divergence") or {}
        mean, top = far.get("mean_kld", {}).get("value"), far.get("same_top_p", {}).get("value")
        task = interval(one["task"], sign="+") if one.get("task") else "-"
        kld = "-" if mean is None else f"{mean:.2g}"
        same = "-" if top is None else f"{top:.1%}"
        rows.append([name, f"{one['bytes'] / 1e6:.1f}", one["verdict"], one["runtime"], kld, same, task])
    heads = ["artifact", "MB", "verdict", "runtime", "mean KLD", "same top token", "task, against the run"]
    of = f"The task is {plain('; '.join(tasks))}." if tasks and rows else ""
    return "\n\n".join(filter(None, [table(heads, rows), of]))


def left_out(stands: Standing) -> str:
    """The artifacts that nothing can be said of."""
    lines = [("named by the last export and not there any more", stands.gone)]
    lines += [("there, and not held against the run by the last export", stands.beside)]
    said = [f"- {plain(', '.join(names))}: {why}. Nothing here is about it." for why, names in lines if names]
    return "\n".join(said)


def patterns(found: Sequence[Pattern], named: Callable[[str], str]) -> str:
    """Failure patterns with a real example each.

    Args:
        named: how the name of one is written.
    """
    parts = []
    for one in found:
        example = fence("\n---\n".join([one.prompt, one.completion]))
        parts.append(f"{named(one.name)}: {one.count} of {one.of}\n\n{example}")
    return "\n\n".join(parts)


def failing(measured: Sequence[Measured], folder: Path) -> tuple[str, str]:
    """(patterns by rule, by cluster) of the samples of the run, task by task.

    Args:
        folder: of the run.
    """
    rules: list[str] = []
    clusters: list[str] = []
    for one in measured:
        samples = one.samples(folder)
        best = max((sample["reward"] for sample in samples if sample["reward"] is not None), default=0.0)
        wrong = [sample["reward"] is not None and sample["reward"] < best for sample in samples]
        if some := failures.by_rule(samples):
            rules.append(f"Of {plain(one.name)}:\n\n{patterns(some, lambda name: f'**{plain(name)}**')}")
        if some := failures.by_cluster(samples, wrong):
            clusters.append(f"Of {plain(one.name)}:\n\n{patterns(some, code)}")
    return "\n\n".join(rules), "\n\n".join(clusters)


def lineage(run: FinishedRun) -> str:
    """What the weights come from, hash by hash."""
    model = run.lock["inputs"]["model"]
    rows = [
        ["run", run.run_dir.name, run.lock["identity"]],
        ["base", model.get("hub_id") or model.get("path"), model.get("revision") or model.get("md5")],
    ]
    begun = run.lock["inputs"].get("start")
    while begun:
        step = f"@{begun['step']}" if begun.get("step") else ""
        rows.append(["began with", f"{begun['run']}{step}", begun["sha256"][:16]])
        begun = begun.get("source")
    git = run.manifest.get("git") or {}
    if git.get("sha"):
        rows.append(["code", "git", git["sha"] + (" with changes" if git.get("dirty") else "")])
    return table(["", "what", "hash"], rows)
