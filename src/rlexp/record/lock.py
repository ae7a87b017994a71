"""``run.lock.yaml``: what a run began with, by hash. Written before the first step, checked again after the last."""

from __future__ import annotations

import hashlib
from importlib import metadata
from pathlib import Path
from typing import Any

from rlexp.compose.run import Run
from rlexp.inputs import snapshot
from rlexp.inputs.check import Inputs
from rlexp.inputs.digest import combined_md5, file_md5, folder_md5, folder_md5s, json_sha256

FORMAT = 1
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
    model: dict[str, Any] = {"hub_id": run.model.hub_id, "revision": run.model.revision}
    if inputs.model:
        files = folder_md5s(inputs.model)
        model = {"path": run.model.path, "md5": combined_md5(files), "files": files}
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
                "md5": file_md5(root / source.file),
                "version": source.version,
                "weight": run.reward.terms[name].weight,
            }
            for name, source in inputs.rewards.items()
        },
        "model": model,
    }


def lock(run: Run, digest: dict[str, Any], overrides: list[str], tokenizer: Any, adapter: str | None) -> dict[str, Any]:
    """The content of ``run.lock.yaml``.

    Args:
        digest: the answer of ``inputs_digest``.
        overrides: what was typed.
        tokenizer: the loaded tokenizer, for the hash of its chat template.
        adapter: the hash of the fresh adapter's weights, None for full fine-tuning.
    """
    template = hashlib.sha256(str(tokenizer.chat_template).encode()).hexdigest()
    return {
        "format": FORMAT,
        "identity": identity(run),
        "overrides": overrides,
        "config": run.config(),
        "inputs": digest,
        "chat_template_sha256": template,
        "fresh_adapter_sha256": adapter,
        "versions": versions(),
    }


def trainable_sha256(model: Any) -> str:
    """The hash of the trainable weights (names and bytes, in name order)."""
    total = hashlib.sha256()
    for name, weight in sorted(model.named_parameters()):
        if weight.requires_grad:
            total.update(name.encode())
            total.update(weight.detach().float().cpu().numpy().tobytes())
    return total.hexdigest()
