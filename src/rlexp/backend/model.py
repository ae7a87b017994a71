"""The model and tokenizer of a run: loaded by Unsloth or by transformers, looked at, saved, loaded again."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rlexp import nvidia
from rlexp.backend import beside, compile_cache, installed
from rlexp.backend.patches import Patches
from rlexp.compose import model_size
from rlexp.compose.run import Run
from rlexp.compose.schema import Device, Loader, Size
from rlexp.errors import RunError
from rlexp.files import whole_folder
from rlexp.inputs import model_files
from rlexp.inputs.digest import folder_files
from rlexp.inputs.find import Inputs


def import_libraries(run: Run, patches: Patches) -> None:
    """Imports the libraries that train ``run``; Unsloth before TRL and transformers, or not at all.

    Raises:
        RunError: one is not installed, an earlier run of this process imported them otherwise, or left patches that
            this one goes without.
    """
    installed.require(run)
    installed.name_projects(run)
    patches.require_clean_process()
    os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")
    # With more than one GPU in sight transformers would split every batch over them behind the geometry's back.
    # A rank was told those of the run, and takes the one of its number.
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", next(iter(nvidia.visible()), "0"))
    conflict = None
    if run.rollout.loader is Loader.transformers and "unsloth" in sys.modules:
        conflict = (
            "Unsloth is imported in this process and has rewritten TRL; this run is meant to be trained without it"
        )
    elif run.rollout.loader is Loader.unsloth and "trl" in sys.modules and "unsloth" not in sys.modules:
        conflict = "TRL is imported in this process, and Unsloth must be before it"
    if conflict:
        raise RunError(
            conflict,
            where=f"rollout={run.rollout.name}, loader {run.rollout.loader.name}",
            hint="run it in a process of its own: sweep over rollout or model in several commands",
        )
    with compiled_kernels(run), installed.trackers_hidden(), installed.kept_objects():
        _loader(run).import_libraries(run.method.name, patches)


@contextlib.contextmanager
def compiled_kernels(run: Run) -> Iterator[None]:
    """Keeps what a GPU run compiles inside (``compile_cache``), also where the libraries meanwhile point elsewhere."""
    cuda = run.hardware.device is Device.cuda
    if cuda:
        compile_cache.keep()
    yield
    if cuda:
        compile_cache.keep()


def _loader(run: Run) -> Any:
    if run.rollout.loader is Loader.transformers:
        from rlexp.backend import load_transformers

        return load_transformers
    from rlexp.backend import load_unsloth

    return load_unsloth


def load(run: Run, model_dir: Path | None, patches: Patches) -> tuple[Any, Any]:
    """Loads the base model, and puts the adapter on it unless every weight is trained.

    Seeds everything first: TRL seeds only once the adapter exists (trl#6688).

    Args:
        model_dir: the base model's folder, or None to load ``run.model.hub_id`` at ``run.model.revision``.
        patches: those of the run.

    Returns:
        (model, tokenizer).

    Raises:
        RunError: the model cannot be found, has no chat template or is not fit for the run.
    """
    loader = _loader(run)
    if model_dir:
        model_files.require_plain(run.model, model_dir)
    import torch
    from transformers import set_seed

    if run.hardware.device is Device.cuda and not torch.cuda.is_available():
        raise RunError("torch sees no CUDA device", where=f"hardware={run.hardware.name}", hint="type hardware=cpu")
    set_seed(run.seed)
    try:
        with compiled_kernels(run):
            model, tokenizer = loader.load(run, model_dir, patches)
    except OSError as error:
        raise RunError(
            f"the model {model_dir or run.model.hub_id} cannot be loaded: {str(error).splitlines()[0]}",
            where="model.path" if model_dir else f"model.hub_id, revision {run.model.revision}",
            hint="download it where the hub can be reached, and type model.path=FOLDER",
        ) from error
    if tokenizer.chat_template is None:
        raise RunError(
            "the tokenizer has no chat template",
            where=str(model_dir or run.model.hub_id),
            hint="choose an instruct model",
        )
    return model, tokenizer


def load_trained(run: Run, model_dir: Path | None, weights: Path, patches: Patches) -> tuple[Any, Any]:
    """Loads what a run trained: the base model with the adapter of ``weights``, or the model that lies there when every
    weight was trained.

    Args:
        model_dir: the base model's folder; None for a hub id.
        weights: the folder that ``save`` or a checkpoint of the trainer wrote.
        patches: those of the run.

    Returns:
        (model, tokenizer), as ``load``.

    Raises:
        RunError: as ``load``; or the adapter is not one of this run's layers.
    """
    if run.model.full_finetuning:
        return load(run, weights, patches)
    model_files.require_safe_adapter(weights)
    model, tokenizer = load(run, model_dir, patches)
    put_adapter(model, weights)
    return model, tokenizer


def load_begun(run: Run, inputs: Inputs, patches: Patches) -> tuple[Any, Any]:
    """Loads the model that training begins with: as ``load``, with the adapter that goes on in the place of the fresh
    one (``model.start``).

    Raises:
        RunError: as ``load``; or that adapter does not fit.
    """
    model, tokenizer = load(run, inputs.model, patches)
    if inputs.start and inputs.start.adapter:
        put_adapter(model, inputs.start.adapter)
    return model, tokenizer


def put_adapter(model: Any, weights: Path) -> None:
    """Puts the adapter of a folder into that of a model.

    Raises:
        RunError: it is not one of these layers.
    """
    model_files.require_safe_adapter(weights)
    from peft import load_peft_weights, set_peft_model_state_dict

    trained = load_peft_weights(str(weights), device=str(model.device))
    keys: Any = set_peft_model_state_dict(model, trained)
    fresh = [name for name in keys.missing_keys if "lora_" in name]
    if keys.unexpected_keys or fresh:
        raise RunError(
            f"the adapter does not fit the run's layers: {(keys.unexpected_keys or fresh)[0]}",
            where=str(weights),
            hint="the lock says which layers have an adapter (config: model.lora.target_modules)",
        )


def look(run: Run, model_dir: Path | None) -> tuple[Any, int | None, tuple[int, ...]] | None:
    """The tokenizer and what the configs state about it, as transformers reads them, without loading the model.

    Returns:
        (tokenizer, rows of the embedding, ids that end a completion); None where they cannot be had: loading the model
        says why.
    """
    from transformers import AutoConfig, AutoTokenizer, GenerationConfig

    named, revision = str(model_dir or run.model.hub_id), None if model_dir else run.model.revision
    pinned: dict[str, Any] = {"revision": revision, "trust_remote_code": run.model.trust_remote_code}
    try:
        tokenizer = AutoTokenizer.from_pretrained(named, **pinned)
        config = AutoConfig.from_pretrained(named, **pinned).get_text_config()
    except (OSError, ValueError):
        return None
    try:
        generation = GenerationConfig.from_pretrained(named, **pinned)
    except OSError:
        generation = GenerationConfig.from_model_config(config)
    return tokenizer, getattr(config, "vocab_size", None), end_ids(generation)


def shape(run: Run) -> Size | None:
    """The shape that the hub's config states; None where it cannot be had."""
    from transformers import AutoConfig

    try:
        config = AutoConfig.from_pretrained(
            str(run.model.hub_id), revision=run.model.revision, trust_remote_code=run.model.trust_remote_code
        )
    except (OSError, ValueError):
        return None
    return model_size.of_config(config.to_dict())


def end_ids(generation: Any) -> tuple[int, ...]:
    """The ids that end a completion by a ``transformers.GenerationConfig``; it holds one, several or none."""
    ids = generation.eos_token_id
    return tuple(ids) if isinstance(ids, list | tuple) else () if ids is None else (ids,)


def save(run: Run, model: Any, tokenizer: Any, run_dir: Path, base: dict[str, Any] | None = None) -> Path:
    """Writes the trained weights and the tokenizer below the run folder: ``adapter/``, or ``model/`` when every weight
    was trained; and beside them how they answer and what they need (``beside``).

    Two equal runs leave equal files: the base model is named as the experiment names it (no path of this machine), and
    the adapted layers are in order (PEFT keeps them in a set). TRL's copy of an adapter is not written.

    Args:
        base: what the lock says of the base model.

    Returns:
        The folder written.
    """
    weights = run_dir / ("model" if run.model.full_finetuning else "adapter")
    named = (base or {}).get("path") or run.model.path or run.model.hub_id
    for adapter in getattr(model, "peft_config", {}).values():
        adapter.base_model_name_or_path = named
        if not isinstance(adapter.target_modules, str):  # a pattern
            adapter.target_modules = sorted(adapter.target_modules)
    own: dict[str, Any] = {"selected_adapters": ["default"]} if hasattr(model, "peft_config") else {}
    with whole_folder(weights, replace=True) as partial:  # that of an attempt before
        model.save_pretrained(str(partial), **own)
        tokenizer.save_pretrained(str(partial))
        beside.write(run, model, base or {}, partial)  # over PEFT's unfilled card, which names a folder of this machine
        for path in folder_files(partial):
            path.chmod(0o644)  # safetensors writes files that only their owner may read
    return weights


def end_tokens(model: Any, tokenizer: Any) -> set[int]:
    """The ids that end a completion: those of the generation config, and the tokenizer's."""
    return {*end_ids(model.generation_config), tokenizer.eos_token_id} - {None}
