"""The sections of a card, each from the part of the record that it is about."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from rlexp.card import failures
from rlexp.card.failures import Pattern
from rlexp.card.markdown import fence, interval, number, plain, table
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
        ["steps", f"{steps.get('done', '-')} of {steps.get('asked', '-')}"],
        ["trained", "every weight" if made.model.full_finetuning else f"LoRA, rank {made.model.lora.r}"],
        ["learning rate", config["method"].get("learning_rate")],
        ["seed", made.seed],
    ]
    rows += [[name, config["method"][name]] for name in ("beta", "num_generations") if name in config["method"]]
    return table(["", ""], rows)


def held_out(run: FinishedRun) -> str:
    """The comparison that the run itself made."""
    found = run.manifest.get("held_out") or {}
    rows = [
        [name, number(one.get("before")), number(one.get("after")), number(one.get("change"))]
        for name, one in found.items()
        if isinstance(one, dict)
    ]
    return table(["held-out rows", "before", "after", "change"], rows)


def evaluation(content: dict[str, Any], run: FinishedRun) -> str:
    """The tasks of an evaluation, what it began with first and the run behind it, with the differences that are
    claimed."""
    parts, own = [], os.path.relpath(run.run_dir, run.root)
    for task, subjects in content["results"].items():
        names = sorted(subjects, key=lambda name: (name != "base", not name.startswith(own), name))
        metrics = list(dict.fromkeys(name for found in subjects.values() for name in found))
        rows = [[metric, *(interval(subjects[name].get(metric) or {}) for name in names)] for metric in metrics]
        claims = [
            f"- {plain(one['other'])} - {plain(one['one'])}: {one['metric']} {interval(one, sign='+')}"
            for one in content["differences"][task]
            if one.get("claimed")
        ]
        parts.append("\n".join([f"**{plain(task)}**", "", table([task, *names], rows), "", *claims]))
    return "\n\n".join(parts)


def regression(contents: Sequence[dict[str, Any]]) -> str:
    """What was forgotten of the suite general, where it was measured."""
    asked = [one for one in contents if any(task.get("suite") == "general" for task in one["tasks"].values())]
    lost = [loss for one in contents for loss in one.get("forgotten") or []]
    rows = [[one["task"], one["subject"], one["metric"], interval(one, sign="+")] for one in lost]
    if rows:
        return table(["task", "model", "metric", "against what it began with"], rows)
    return "Nothing that was measured is worse than before." if asked else ""


def artifacts(manifest: dict[str, Any]) -> str:
    """The artifacts with their verdicts."""
    rows = []
    for name, one in manifest.get("artifacts", {}).items():
        far = one["gate"].get("divergence") or {}
        mean, top = far.get("mean_kld", {}).get("value"), far.get("same_top_p", {}).get("value")
        task = interval(one["task"], sign="+") if one.get("task") else "-"
        kld = "-" if mean is None else f"{mean:.2g}"
        same = "-" if top is None else f"{top:.1%}"
        rows.append([name, f"{one['bytes'] / 1e6:.1f}", one["verdict"], one["runtime"], kld, same, task])
    heads = ["artifact", "MB", "verdict", "runtime", "mean KLD", "same top token", "task, against the run"]
    return table(heads, rows)


def benchmark(content: dict[str, Any]) -> str:
    """What ``benchmark`` measured."""
    rows = []
    for name, one in content.get("artifacts", {}).items():
        for together, found in (one.get("latency") or {}).items():
            first, each = found["first_token_s"], found["per_token_s"]
            rows.append(
                [
                    *(name, together, number(first["p50"]), number(first["p99"]), number(each["p50"], 4)),
                    *(number(each["p99"], 4), number(found["tokens_per_s"], 1)),
                ]
            )
    heads = ["artifact", "at once", "first token p50, s", "p99, s", "per token p50, s", "p99, s", "tokens per second"]
    return table(heads, rows)


def patterns(found: Sequence[Pattern]) -> str:
    """Failure patterns with a real example each."""
    parts = []
    for one in found:
        example = fence("\n---\n".join([one.prompt, one.completion]))
        parts.append(f"**{plain(one.name)}**: {one.count} of {one.of}\n\n{example}")
    return "\n\n".join(parts)


def failing(samples: Sequence[dict[str, Any]]) -> tuple[str, str]:
    """(patterns by rule, by cluster) of the samples of the run."""
    if not samples:
        return "", ""
    wrong = [one["reward"] is not None and one["reward"] < _best(samples) for one in samples]
    return patterns(failures.by_rule(samples)), patterns(failures.by_cluster(samples, wrong))


def _best(samples: Sequence[dict[str, Any]]) -> float:
    return max((one["reward"] for one in samples if one["reward"] is not None), default=0.0)


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
