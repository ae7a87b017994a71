"""``run.lock.yaml``: what a run began with, by hash. Written before the first step, checked again after the last.

Nothing in it is a path outside the project, so that it can be committed and replayed elsewhere.
"""

from __future__ import annotations

import functools
import hashlib
from datetime import datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import yaml

from rlexp import secrets, shapes
from rlexp.compose.identity import experiment
from rlexp.compose.run import Run
from rlexp.errors import RunError
from rlexp.inputs import difficulty, start
from rlexp.inputs.digest import json_sha256
from rlexp.inputs.snapshot import DIGEST
from rlexp.record.machine import machine
from rlexp.shapes import COUNT, INSIDE, MD5, NAME, PATH, SCRIPT, SHA256, TEXT, mapping, record

FORMAT = 2
PACKAGES = (
    *("rlexp", "unsloth", "unsloth_zoo", "trl", "transformers", "peft", "datasets", "accelerate", "torch"),
    *(
        "hydra-core",
        "omegaconf",
        "tokenizers",
        "numpy",
        "pyarrow",
        "vllm",
        "bitsandbytes",
        "reasoning_gym",
        "math-verify",
    ),
)


SCHEMA = record(
    {
        "identity": {"type": "string", "pattern": r"\A[0-9a-f]{16}\Z", "description": "an identity of 16 hex digits"},
        "overrides": {"type": "array", "items": TEXT, "maxItems": 10_000},
        "config": record(
            {
                "seed": {"type": "integer"},
                "model": record({"name": NAME}, {"path": {"anyOf": [PATH, {"type": "null"}]}}),
                "method": record({"name": NAME}),
                "dataset": record(
                    {"name": NAME}, {"path": PATH, "parts": mapping(record({"name": NAME, "path": PATH}), NAME)}
                ),
                "reward": record({"terms": mapping(record({"file": INSIDE}), NAME)}),
                "hardware": record({"name": NAME, "device": NAME}),
            }
        ),
        "inputs": record(
            {
                "data": DIGEST,
                "rewards": mapping(record({"file": INSIDE, "md5": MD5, "version": {"type": "integer"}}), NAME),
                "model": record(
                    {"md5": MD5, "files": mapping(MD5, INSIDE)},
                    {"path": PATH, "source": record({"script": SCRIPT, "script_md5": MD5})},
                ),
            },
            {"difficulty": difficulty.LOCKED, "start": {"$ref": "#/$defs/start"}},
        ),
        "chat_template_sha256": SHA256,
        "fresh_adapter_sha256": {"anyOf": [SHA256, {"type": "null"}]},
        "versions": mapping(TEXT, TEXT),
        "machine": record({}, {"gpus": {"type": "array", "items": TEXT}, "threads": COUNT}),
        "checksum": SHA256,
    },
    {
        "origins": mapping(TEXT, PATH),
        "template_time": {
            "type": "string",
            "pattern": r"\A\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\Z",
            "description": "a date and time as 2026-11-29T15:56:11",
        },
        "format": {"enum": [1, FORMAT], "description": f"a format that this version reads (1, {FORMAT})"},
    },
) | {"$defs": start.DEFS}
"""The shape of a lock: what is used of it, and nothing that leads out of the project."""
TASK = "held_out_task"
"""The key of what an eval task that chooses a checkpoint was; the training does not depend on it."""
STARTED = ("invocation.", "cache.")
"""The keys of how a run is started, which are never locked."""
LARGEST = 4 * 2**20
"""Bytes of a lock file."""
HOW = "name a run folder, or its run.lock.yaml"
AGAIN = "take the lock from where it came from: git checkout, or the run folder"


def identity(run: Run) -> str:
    """Sixteen hex digits that name the optimisation problem: seed, model, method, dataset and reward."""
    return json_sha256(run.experiment())[:16]


def identity_of(config: dict[str, Any]) -> str:
    """The same of a config as a lock holds it, of this version or an older one."""
    return json_sha256(experiment(config))[:16]


def versions() -> dict[str, str]:
    """The installed versions of the packages a result depends on."""
    found = {package: _version(package) for package in PACKAGES}
    return {package: version for package, version in found.items() if version is not None}


@functools.cache
def _version(package: str) -> str | None:
    """That of a package; None where it is not installed. A process keeps those that it began with."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def lock(
    run: Run,
    digest: dict[str, Any],
    overrides: list[str],
    tokenizer: Any,
    adapter: str | None,
    origins: dict[str, str],
    moment: datetime | None = None,
    task: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """The content of ``run.lock.yaml``.

    Args:
        digest: the answer of ``inputs_digest``.
        overrides: what was typed.
        tokenizer: the loaded tokenizer, for the hash of its chat template.
        adapter: the hash of the fresh adapter's weights, None for full fine-tuning.
        origins: file -> where it comes from (``Places.origins``).
        moment: what the chat template took for now, where it writes it.
        task: the hashes of the eval task that chooses a checkpoint (``held_out.task``).
    """
    content = {
        "format": FORMAT,
        "identity": identity(run),
        "overrides": secrets.masked_tree([one for one in overrides if not one.startswith(STARTED)]),
        "config": run.config(),
        "inputs": digest,
        "origins": origins,
        "chat_template_sha256": hashlib.sha256(str(tokenizer.chat_template).encode()).hexdigest(),
        "fresh_adapter_sha256": adapter,
        **({"template_time": moment.isoformat()} if moment else {}),
        **({TASK: task} if task else {}),
        "versions": versions(),
        "machine": machine(),
    }
    return {**content, "checksum": checksum(content)}


def template_time(content: dict[str, Any]) -> datetime | None:
    """What the chat template of a locked run took for now; None where it writes no time, or the lock is older.

    Raises:
        RunError: it is no time.
    """
    written = content.get("template_time")
    try:
        return datetime.fromisoformat(written) if written else None
    except ValueError as error:
        raise RunError(f"the lock's template_time is {written}, which is no time", "template_time", AGAIN) from error


def checksum(content: dict[str, Any]) -> str:
    """The sha256 of a lock's content in canonical form, without the checksum itself."""
    return json_sha256({name: value for name, value in content.items() if name != "checksum"})


def read_lock(file: Path) -> dict[str, Any]:
    """The content of a lock file, its own checksum verified.

    Raises:
        RunError: it is no lock, a key of it has a shape that no lock has, it was changed after it was written, or it
            states an identity that is not of its config.
    """
    try:
        if file.stat().st_size > LARGEST:
            what = f"the lock has more than {LARGEST} bytes: it is none of rlexp's"
            raise RunError(what, where=str(file), hint=AGAIN)
        content = yaml.safe_load(file.read_text())
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        if file.suffix not in (".yaml", ".yml"):
            raise RunError(f"{file.name} is no run folder, and no lock of one", str(file), HOW) from error
        what = f"the lock cannot be read: {str(error).splitlines()[0]}"
        raise RunError(what, where=str(file), hint=AGAIN) from error
    if not isinstance(content, dict) or "checksum" not in content:
        raise RunError("this file is no lock of a run", where=str(file), hint=HOW)
    shapes.require(content, SCHEMA, "lock", file)
    shapes.require_plain(content, "lock", file)
    actual = checksum(content)
    if content["checksum"] != actual:
        raise RunError(
            "the lock was changed after it was written: its content does not have the checksum it states",
            where=f"{file}: stated {content['checksum'][:16]}, actual {actual[:16]}",
            hint="take the lock from where it came from (git checkout, or the run folder); to run something else, "
            "type overrides instead",
        )
    if content["identity"] != (found := identity_of(content["config"])):
        raise RunError(
            f"the lock states the identity {content['identity']}, and its config is of the run {found}",
            where=str(file),
            hint="take the lock from where it came from; it was not used",
        )
    return content


def trainable_sha256(model: Any) -> str:
    """The hash of the trainable weights (names and bytes, in name order)."""
    total = hashlib.sha256()
    for name, weight in sorted(model.named_parameters()):
        if weight.requires_grad:
            total.update(name.encode())
            total.update(weight.detach().float().cpu().numpy().tobytes())
    return total.hexdigest()
