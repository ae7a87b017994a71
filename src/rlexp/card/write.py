"""Writes the card of an export: ``exports/RUN/card/README.md``, with the curve beside it.

``notes.md`` beside it is a person's own: it is made once, with nothing in it, and never written again. Its front matter
may say ``license``, ``license_name``, ``language``, ``use``, ``tags``; its text stands at the card's end.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from rlexp import files, shapes
from rlexp.card import measured, metadata, programs, prose, sections, speed, standing
from rlexp.card.measured import Measured
from rlexp.errors import RunError
from rlexp.record import benchmarks, curve, evaluation
from rlexp.record.finished import FinishedRun

FOLDER, FILE, NOTES, CURVE = "card", "README.md", "notes.md", "curve.svg"
OR_NULL = {"anyOf": [shapes.TEXT, {"type": "null"}], "description": "a text"}
TEXTS = {"type": "array", "items": shapes.TEXT}
SAID = shapes.record(
    {},
    {
        **dict.fromkeys(("license", "license_name", "use"), OR_NULL),
        "language": {"anyOf": [shapes.TEXT, TEXTS, {"type": "null"}], "description": "a text or a list of texts"},
        "tags": {"anyOf": [TEXTS, {"type": "null"}], "description": "a list of texts"},
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
    """Writes the card; all that can be wrong is found before anything is written.

    Args:
        folder: of the export.
        base: the folder of the base model, whose own card says its licence; None where it is not here.

    Returns:
        The card's file.

    Raises:
        RunError: the notes cannot be read, the metadata is none that the hub takes, or an artifact has other files
            than those that were held against the run.
    """
    place, stands = folder / FOLDER, standing.of(run, folder)
    manifest, own = stands.manifest, os.path.relpath(run.run_dir, run.root)
    said, notes = _notes(place / NOTES)
    name, points = curve.of_entries(run.metrics())
    picture = curve.svg(name, points)
    evaluations = {os.path.relpath(file, run.root): evaluation.read(file) for file in evaluation.of_run(run.run_dir)}
    contents = list(evaluations.values())
    found = measured.of(contents, own, (manifest.get("of") or {}).get("subject"))
    differences = [one["task"] for one in manifest.get("artifacts", {}).values() if one["task"]]
    gate = measured.told(contents, differences)
    benchmark = benchmarks.read(folder) or {}
    data = _metadata(run, said, base, found)
    metadata.require(data, place / NOTES)
    rules, clusters = sections.failing(found, run.run_dir)
    artifacts = sections.artifacts(manifest, gate)
    unsaid = f"It was not evaluated: `python -m rlexp evaluate {own}`."
    parts = [
        (f"# {prose.title(run)}", prose.summary(run)),
        ("## Intended use", str(said.get("use") or prose.use(run))),
        ("## Base model", prose.base(run, data)),
        ("## Data and rewards", "\n\n".join(filter(None, [sections.data(run), sections.rewards(run)]))),
        ("## Training", sections.training(run)),
        ("", f"![{name} by step]({CURVE})" if picture else ""),
        ("", "\n\n".join(filter(None, [sections.held_out(run), prose.chosen(run)]))),
        ("## Evaluation", "\n\n".join(map(sections.evaluation, found)) or unsaid),
        ("### What was not trained", sections.regression(found)),
        ("## Artifacts", "\n\n".join(filter(None, [artifacts, sections.left_out(stands)]))),
        ("### Speed and stability", speed.section(benchmark, manifest, _how(benchmark, evaluations), gate)),
        ("## Prompt style", programs.section(run, stands)),
        ("## Limits", prose.limits(run, manifest, found)),
        ("## Failure patterns", rules or "The samples that were kept show none by rule."),
        ("### Answers that fail alike", clusters),
        ("## Lineage", sections.lineage(run)),
        ("## Replay", prose.replay(run, stands.again)),
        ("## Notes", notes),
    ]
    body = "\n\n".join("\n\n".join(filter(None, part)) for part in parts if part[1])
    head = yaml.safe_dump(data, sort_keys=False, allow_unicode=True).strip()
    place.mkdir(parents=True, exist_ok=True)
    if not (place / NOTES).exists():
        files.write_text(place / NOTES, EMPTY)
    if picture:
        files.write_text(place / CURVE, picture)
    files.write_text(place / FILE, f"---\n{head}\n---\n\n{body}\n")
    return place / FILE


def _how(benchmark: dict[str, Any], evaluations: dict[str, dict[str, Any]]) -> str:
    """How the benchmark's score was sampled; empty where its evaluation is not there."""
    scores = [one["score"] for one in benchmark.get("artifacts", {}).values() if one["score"]]
    tasks = [evaluations.get(one["file"], {"tasks": {}})["tasks"].get(one["task"]) for one in scores]
    return next((measured.sampled(task) for task in tasks if task), "")


def _notes(file: Path) -> tuple[dict[str, Any], str]:
    """(what the front matter says, the text behind it)."""
    text = file.read_text(encoding="utf-8") if file.exists() else EMPTY
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


def _metadata(run: FinishedRun, said: dict[str, Any], base: Path | None, found: Sequence[Measured]) -> dict[str, Any]:
    """The metadata, in the hub's own keys."""
    from huggingface_hub import EvalResult, ModelCardData

    inputs, method = run.lock["inputs"], run.run.method.name
    sources = [inputs["data"].get("source") or {}]
    sources += [part.get("source") or {} for part in sources[0].get("parts", {}).values()]
    content: dict[str, Any] = {
        "license": said.get("license") or _license(base),
        "library_name": "transformers",
        "pipeline_tag": "text-generation",
        "tags": ["rlexp", "trl", "unsloth", method, *(said.get("tags") or [])],
        "datasets": [source["hub_id"] for source in sources if source.get("hub_id")] or None,
    }
    content |= {key: said[key] for key in ("license_name", "language") if said.get(key)}
    if hub_id := inputs["model"].get("hub_id"):
        content |= {"base_model": hub_id, "base_model_relation": "finetune"}
    results = [
        EvalResult(
            task_type="text-generation",
            dataset_name=one.dataset[0],
            dataset_type=one.dataset[1],
            metric_type=metric,
            metric_name=f"{metric} of {one.name}",
            metric_value=value,
        )
        for one in found
        if (metric := one.metric) and (value := one.results[one.own].get(metric, {}).get("mean")) is not None
    ]
    card = ModelCardData(**content, model_name=run.run_dir.name, eval_results=results or None)
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
