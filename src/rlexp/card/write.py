"""Writes the card of an export: ``exports/RUN/card/README.md``, with the curve beside it.

``notes.md`` beside it is a person's own: it is made once, with nothing in it, and never written again. Its front matter
may say ``license``, ``license_name``, ``use``, ``tags``; its text stands at the card's end.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import yaml

from rlexp import files, shapes
from rlexp.card import metadata, prose, sections
from rlexp.errors import RunError
from rlexp.record import benchmarks, curve, evaluation, gates
from rlexp.record.finished import FinishedRun

FOLDER, FILE, NOTES, CURVE = "card", "README.md", "notes.md", "curve.svg"
OR_NULL = {"anyOf": [shapes.TEXT, {"type": "null"}], "description": "a text"}
SAID = shapes.record(
    {},
    {
        **dict.fromkeys(("license", "license_name", "use"), OR_NULL),
        "tags": {"type": ["array", "null"], "items": shapes.TEXT, "description": "a list of texts"},
    },
)
"""The shape of the notes' front matter."""
EMPTY = """---
# What the card's head and "Intended use" say. Nothing here is ever overwritten.
license: unknown
use: null
tags: []
---
"""


def write(run: FinishedRun, folder: Path, base: Path | None) -> Path:
    """Writes the card.

    Args:
        folder: of the export.
        base: the folder of the base model, whose own card says its licence; None where it is not here.

    Returns:
        The card's file.

    Raises:
        RunError: the notes cannot be read, or the metadata is none that the hub takes.
    """
    place = folder / FOLDER
    place.mkdir(parents=True, exist_ok=True)
    if not (place / NOTES).exists():
        files.write_text(place / NOTES, EMPTY)
    said, notes = _notes(place / NOTES)
    name, points = curve.of_entries(run.metrics())
    picture = curve.svg(name, points)
    if picture:
        files.write_text(place / CURVE, picture)
    manifest = gates.manifest(folder)
    evaluations = [evaluation.read(file) for file in evaluation.of_run(run.run_dir)]
    data = _metadata(run, manifest, said, base, evaluations)
    metadata.require(data, place / FILE)
    rules, clusters = sections.failing(_samples(run, evaluations))
    own = "\n\n".join(sections.evaluation(one, run) for one in evaluations)
    unsaid = f"It was not evaluated: `python -m rlexp evaluate {os.path.relpath(run.run_dir, run.root)}`."
    parts = [
        (f"# {prose.title(run)}", prose.summary(run)),
        ("## Intended use", str(said.get("use") or prose.use(run))),
        ("## Base model", prose.base(run, data)),
        ("## Data and rewards", "\n\n".join(filter(None, [sections.data(run), sections.rewards(run)]))),
        ("## Training", sections.training(run)),
        ("", f"![{name} by step]({CURVE})" if picture else ""),
        ("", "\n\n".join(filter(None, [sections.held_out(run), prose.chosen(run)]))),
        ("## Evaluation", own or unsaid),
        ("### What was not trained", sections.regression(evaluations)),
        ("## Artifacts", sections.artifacts(manifest)),
        ("### Speed and stability", sections.benchmark(benchmarks.read(folder) or {})),
        ("## Prompt style", prose.prompt_style(run, manifest)),
        ("## Limits", prose.limits(run, manifest, evaluations)),
        ("## Failure patterns", rules or "The samples that were kept show none by rule."),
        ("### Answers that fail alike", clusters),
        ("## Lineage", sections.lineage(run)),
        ("## Replay", prose.replay(run)),
        ("## Notes", notes),
    ]
    body = "\n\n".join("\n\n".join(filter(None, part)) for part in parts if part[1])
    head = yaml.safe_dump(data, sort_keys=False, allow_unicode=True).strip()
    files.write_text(place / FILE, f"---\n{head}\n---\n\n{body}\n")
    return place / FILE


def _notes(file: Path) -> tuple[dict[str, Any], str]:
    """(what the front matter says, the text behind it)."""
    text = file.read_text(encoding="utf-8")
    head, behind = "", text
    if text.startswith("---\n") and "\n---" in text[3:]:
        head, _, behind = text[4:].partition("\n---")
    try:
        said = yaml.safe_load(head) or {}
    except yaml.YAMLError as error:
        raise RunError("the notes' front matter is no YAML", where=str(file), hint="mend it between the ---") from error
    if not isinstance(said, dict):
        raise RunError("the notes' front matter is no mapping", where=str(file), hint="write license: apache-2.0")
    shapes.require(said, SAID, "notes' front matter", file)
    return said, behind.strip()


def _metadata(
    run: FinishedRun,
    manifest: dict[str, Any],
    said: dict[str, Any],
    base: Path | None,
    evaluations: list[dict[str, Any]],
) -> dict[str, Any]:
    """The metadata, in the hub's own keys."""
    from huggingface_hub import EvalResult, ModelCardData

    made, model = run.run, run.lock["inputs"]["model"]
    found: dict[str, Any] = {
        "license": said.get("license") or _license(base),
        "library_name": "transformers",
        "pipeline_tag": "text-generation",
        "tags": ["rlexp", "trl", "unsloth", made.method.name, *(said.get("tags") or [])],
        "datasets": [made.dataset.name],
    }
    if said.get("license_name"):
        found["license_name"] = said["license_name"]
    if model.get("hub_id"):
        found["base_model"] = model["hub_id"]
        found["base_model_relation"] = "finetune" if made.model.full_finetuning else "merge"
    own = os.path.relpath(run.run_dir, run.root)
    results = [
        EvalResult(
            task_type="text-generation",
            dataset_type=task,
            dataset_name=task,
            metric_type=one["metric"],
            metric_value=content["results"][task][one["other"]][one["metric"]]["mean"],
        )
        for content in evaluations
        for task, differences in content["differences"].items()
        for one in differences
        if one.get("claimed") and one["other"] == own and one["mean"] is not None
    ]
    name = os.path.basename(run.run_dir)
    card = ModelCardData(**found, model_name=name, eval_results=results or None)
    return card.to_dict()


def _license(base: Path | None) -> str:
    """What the base's own card says."""
    from huggingface_hub import ModelCard

    file = base / "README.md" if base else None
    if file is None or not file.is_file():
        return "unknown"
    try:
        known = ModelCard.load(file).data.to_dict().get("license")
    except ValueError:
        return "unknown"
    return known if known in metadata.LICENSES else "unknown"


def _samples(run: FinishedRun, evaluations: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The samples of the run itself that its evaluations kept, of tasks that have completions."""
    import pyarrow.parquet as pq

    found: list[dict[str, Any]] = []
    own = os.path.relpath(run.run_dir, run.root)
    for content in evaluations:
        for subjects in content["samples"].values():
            one = subjects.get(own)
            file = run.run_dir / evaluation.FOLDER / one["file"] if one else None
            if file and file.is_file():
                table = pq.read_table(file)
                if {"prompt", "completion", "truncated", "reward"} <= set(table.column_names):
                    found += table.to_pylist()
    return found
