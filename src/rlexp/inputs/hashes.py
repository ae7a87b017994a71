"""The hashes of a run's inputs as they lie on disk: data snapshot, reward files, base model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rlexp.compose.run import Run
from rlexp.inputs import snapshot
from rlexp.inputs.digest import combined_md5, file_md5, folder_md5s
from rlexp.inputs.find import Inputs

HUB_SUFFIXES = {".safetensors", ".bin", ".json", ".jinja", ".model", ".txt"}
"""Kinds of files of a hub model that are loaded; a README in the cache says nothing about the run."""


def inputs_digest(run: Run, inputs: Inputs) -> dict[str, Any]:
    """The hashes of data, rewards and base model as they lie on disk now."""
    return {
        "data": snapshot.digest(run.dataset.path, inputs.data),
        "rewards": {
            name: {
                "file": source.file,
                "md5": file_md5(source.path),
                "version": source.version,
                "weight": run.reward.terms[name].weight,
            }
            for name, source in inputs.rewards.items()
        },
        "model": model_digest(run, inputs.model, inputs.start.model if inputs.start else None),
        **({"start": inputs.start.digest} if inputs.start else {}),
        **({"difficulty": inputs.filtered.digest(run)} if inputs.filtered else {}),
    }


def model_digest(run: Run, model_dir: Path | None, made: str | None = None) -> dict[str, Any]:
    """The origin of the base model and its tokenizer, and the hash of each of their files.

    Args:
        model_dir: the model's folder; None for a hub id, whose files are those in the hub's cache on this machine.
        made: that folder from the project, where it is not the one that the run names (``start.Begun.model``).
    """
    if made and model_dir:
        files = folder_md5s(model_dir)
        return {"path": made, "hub_id": None, "revision": None, "md5": combined_md5(files), "files": files}
    files = folder_md5s(model_dir) if model_dir else hub_files(run.model.hub_id, run.model.revision)
    digest: dict[str, Any] = {"path": run.model.path} if model_dir else {}
    digest |= {"hub_id": run.model.hub_id, "revision": run.model.revision}
    digest |= {"md5": combined_md5(files), "files": files}
    script = run.places.path(f"data_prep/{run.model.prepare}.py")
    # A folder of another name may hold weights of the user's own, which nothing makes again.
    made_here = run.model.path == f"models/{run.model.prepare}"
    if model_dir and made_here and run.model.prepare and script.is_file():
        digest["source"] = {"script": f"data_prep/{script.name}", "script_md5": file_md5(script)}
    return digest


def files_of(run: Run, inputs: Inputs, digest: dict[str, Any]) -> dict[str, Path]:
    """Name -> file or folder, of the inputs that somebody wrote: rewards, scripts of data_prep/, the model's folder.

    Args:
        digest: their hashes (``inputs_digest``); a script that is another by now is left out.
    """
    files = {source.file: source.path for source in inputs.rewards.values()}
    data = digest["data"].get("source", {})
    parts = [part["source"] for part in data.get("parts", {}).values()]
    for made in (data, *parts, digest["model"].get("source", {})):
        script = run.places.path(made.get("script", ""))
        if script.is_file() and file_md5(script) == made.get("script_md5"):
            files[made["script"]] = script
    return files | ({str(run.model.path): inputs.model} if inputs.model else {})


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
