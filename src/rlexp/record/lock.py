"""``run.lock.yaml``: what a run began with, by hash. Written before the first step, checked again after the last.

Nothing in it is a path outside the project, so that it can be committed and replayed elsewhere.
"""

from __future__ import annotations

import hashlib
from importlib import metadata
from pathlib import Path
from typing import Any

import yaml

from rlexp.compose.run import Run
from rlexp.errors import RunError
from rlexp.inputs import snapshot
from rlexp.inputs.check import Inputs
from rlexp.inputs.digest import combined_md5, file_md5, folder_md5, folder_md5s, json_sha256
from rlexp.record.machine import machine

FORMAT = 2
HUB_SUFFIXES = {".safetensors", ".bin", ".json", ".jinja", ".model", ".txt"}
"""Kinds of files of a hub model that are loaded; a README in the cache says nothing about the run."""
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


def identity(run: Run) -> str:
    """Sixteen hex digits that name the optimisation problem: seed, model, method, dataset and reward."""
    return json_sha256(run.experiment())[:16]


def versions() -> dict[str, str]:
    """The installed versions of the packages a result depends on."""
    found = {}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def inputs_digest(run: Run, inputs: Inputs, root: Path) -> dict[str, Any]:
    """The hashes of data, rewards and base model as they lie on disk now."""
    description = snapshot.describe(inputs.data) or {}
    return {
        "data": {
            "path": run.dataset.path,
            "md5": folder_md5(inputs.data),
            "rows": {name: split["rows"] for name, split in description.get("splits", {}).items()},
            "columns": description.get("columns", {}),
            "source": description.get("source", {}),
        },
        "rewards": {
            name: {
                "file": source.file,
                "md5": file_md5(source.path),
                "version": source.version,
                "weight": run.reward.terms[name].weight,
            }
            for name, source in inputs.rewards.items()
        },
        "model": model_digest(run, inputs.model, root),
    }


def model_digest(run: Run, folder: Path | None, root: Path) -> dict[str, Any]:
    """Where the base model and its tokenizer come from, and the hash of each of their files.

    Args:
        folder: the model's folder; None for a hub id, whose files are those in the hub's cache on this machine.
    """
    files = folder_md5s(folder) if folder else hub_files(run.model.hub_id, run.model.revision)
    digest: dict[str, Any] = {"path": run.model.path} if folder else {}
    digest |= {"hub_id": run.model.hub_id, "revision": run.model.revision}
    digest |= {"md5": combined_md5(files), "files": files}
    script = root / "data_prep" / f"{run.model.prepare}.py"
    if folder and run.model.prepare and script.is_file():
        digest["source"] = {"script": f"data_prep/{script.name}", "script_md5": file_md5(script)}
    return digest


def hub_files(hub_id: str | None, revision: str | None) -> dict[str, str]:
    """The hash of every weight, config and tokenizer file of a hub model that lies in the hub's cache.

    Source: huggingface_hub's cache, one folder a commit; a file that was never asked for is not there.
    """
    import huggingface_hub

    config = huggingface_hub.try_to_load_from_cache(str(hub_id), "config.json", revision=revision)
    if not isinstance(config, str):
        return {}
    md5s = folder_md5s(Path(config).parent)
    return {name: md5 for name, md5 in md5s.items() if Path(name).suffix in HUB_SUFFIXES}


def lock(run: Run, digest: dict[str, Any], overrides: list[str], tokenizer: Any, adapter: str | None) -> dict[str, Any]:
    """The content of ``run.lock.yaml``.

    Args:
        digest: the answer of ``inputs_digest``.
        overrides: what was typed.
        tokenizer: the loaded tokenizer, for the hash of its chat template.
        adapter: the hash of the fresh adapter's weights, None for full fine-tuning.
    """
    content = {
        "format": FORMAT,
        "identity": identity(run),
        "overrides": overrides,
        "config": run.config(),
        "inputs": digest,
        "chat_template_sha256": hashlib.sha256(str(tokenizer.chat_template).encode()).hexdigest(),
        "fresh_adapter_sha256": adapter,
        "versions": versions(),
        "machine": machine(),
    }
    return {**content, "checksum": checksum(content)}


def checksum(content: dict[str, Any]) -> str:
    """The sha256 of a lock's content in canonical form, without the checksum itself."""
    return json_sha256({name: value for name, value in content.items() if name != "checksum"})


def read_lock(file: Path) -> dict[str, Any]:
    """The content of a lock file, its own checksum verified.

    Raises:
        RunError: it is no lock, or was changed after it was written.
    """
    try:
        content = yaml.safe_load(file.read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise RunError(f"the lock cannot be read: {str(error).splitlines()[0]}", where=str(file)) from error
    if not isinstance(content, dict) or "checksum" not in content:
        raise RunError("this file is no lock of a run", where=str(file), hint="name a run folder, or its run.lock.yaml")
    actual = checksum(content)
    if content["checksum"] != actual:
        raise RunError(
            "the lock was changed after it was written: its content does not have the checksum it states",
            where=f"{file}: stated {content['checksum'][:16]}, actual {actual[:16]}",
            hint="take the lock from where it came from (git checkout, or the run folder); to run something else, "
            "type overrides instead",
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
