"""Run folders made by hand, from the real composed configuration, as a run would leave them."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import yaml

from rlexp.compose.run import Run
from rlexp.record import lock
from rlexp.record.finished import FinishedRun
from rlexp.record.run_folder import LOCK, MANIFEST, choices

MODEL_FILES = ("chat_template.jinja", "config.json", "model.safetensors", "tokenizer.json")
VERSIONS = {"rlexp": "0.1.0", "unsloth": "2026.10.9", "trl": "1.15.0", "torch": "2.13.0", "pyarrow": "26.0.1"}
HELD_OUT = {"reward": {"before": 0.8, "after": 1.6, "standard_error": [0.1, 0.05]}}


def md5(text: str) -> str:
    """32 hex digits that differ from the first on where the text does."""
    return lock.json_sha256(text)[:32]


def locked(run: Run, *overrides: str) -> dict[str, Any]:
    """A lock of a run, its inputs by the names they have."""
    config = copy.deepcopy(run.config())
    model, data = config["model"]["name"], config["dataset"]["name"]
    files = {name: md5(f"{model}/{name}") for name in MODEL_FILES}
    rewards = {
        name: {"file": term["file"], "md5": md5(term["file"]), "version": 1, "weight": term["weight"]}
        for name, term in config["reward"]["terms"].items()
    }
    rows = {"path": f"data/{data}", "md5": f"{md5(data)}.dir", "rows": {"train": 2000, "test": 200}, "columns": {}}
    return {
        "format": lock.FORMAT,
        "identity": lock.identity(run),
        "overrides": list(overrides),
        "config": config,
        "inputs": {"data": rows, "rewards": rewards, "model": {"md5": md5(model), "files": files}},
        "chat_template_sha256": md5(model) * 2,
        "fresh_adapter_sha256": md5(f"{model}/{config['seed']}") * 2,
        "versions": dict(VERSIONS),
        "machine": {"platform": "Linux x86_64", "processor": "one", "threads": 2},
    }


def manifest(**facts: Any) -> dict[str, Any]:
    """A manifest of a finished run."""
    return {
        "status": "finished",
        "overrides": [],
        "started": "2026-11-23T03:43:03+00:00",
        "git": {"sha": "6fef7f258bd53c180780048b993c473a735bc340"},
        "timings_s": {"total": 12.0},
        "held_out": HELD_OUT,
    } | facts


def write(folder: Path, content: dict[str, Any] | None = None, **facts: Any) -> FinishedRun:
    """A run folder with a manifest and, unless it ended before, a lock."""
    folder.mkdir(parents=True)
    known = manifest(**facts)
    if content:
        known |= {"overrides": content["overrides"], "choices": choices(content["config"])} | facts
        content = {**content, "checksum": lock.checksum(content)}
        (folder / LOCK).write_text(yaml.safe_dump(content, sort_keys=False))
    (folder / MANIFEST).write_text(json.dumps(known))
    return FinishedRun(folder, content or {}, known, folder.parent)
