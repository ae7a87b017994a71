"""What a folder or a repository of the hub holds in the place of a model that can be trained, before any is loaded."""

from __future__ import annotations

import ast
import functools
import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rlexp.compose import hub, start
from rlexp.errors import RunError, nearest

SENSES = ("vision_config", "vision_tower", "audio_config", "image_token_id", "image_token_index")
"""Keys of the config.json of a model that reads more than text."""
TEMPLATES = ("chat_template.jinja", "chat_template.json")
Read = Callable[[str], Path | None]


def _json(file: Path | None) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text(encoding="utf-8")) if file else {}
    except (OSError, ValueError) as error:
        hint = "take the file from where it came from"
        raise RunError(f"{file.name if file else ''} is no JSON: {error}", where=str(file), hint=hint) from error
    return content if isinstance(content, dict) else {}


def config(read: Read, names: Callable[[], set[str]], where: str, whole: bool) -> dict[str, Any]:
    """The content of config.json, what it says of its text model on top.

    Args:
        read: the path of a file of the model, None where it has none of that name.
        names: its files.
        whole: these are all of them, as of a folder; of the hub some may be known only.
        where: what was typed, for messages.

    Raises:
        RunError: it holds no model: an adapter, a GGUF, or something else.
    """
    file = read("config.json")
    if file is None and (adapter := read("adapter_config.json")):
        if whole:
            raise start.not_a_model(adapter.parent, where.partition("=")[2], "model")
        base = _json(adapter).get("base_model_name_or_path") or "ORG/NAME"
        raise RunError(
            f"it is an adapter of {base}, and a model is asked for",
            where=where,
            hint="merge it into its base (peft: merge_and_unload) and name that folder, or name the base: "
            "type model=hub:ORG/NAME",
        )
    held = names()
    if any(name.endswith(".gguf") for name in held) and not any(name.endswith(hub.WEIGHTS) for name in held):
        raise RunError(
            "it holds GGUF weights, which are quantized for inference and cannot be trained",
            where=where,
            hint="name the model that the GGUF was made from: type model=hub:ORG/NAME, or its folder",
        )
    if whole and file and not any(name.endswith(hub.WEIGHTS) for name in held):
        raise RunError(
            f"it holds no weights ({', '.join(hub.WEIGHTS)})",
            where=where,
            hint="copy them beside its config.json, or type model=FOLDER with a folder that has both",
        )
    if whole and file and not any(name in hub.TOKENIZERS for name in held):
        raise RunError(
            f"it holds no tokenizer ({', '.join(hub.TOKENIZERS)})",
            where=where,
            hint="copy the tokenizer's files beside its config.json: tokenizer.save_pretrained(FOLDER) writes them",
        )
    if file is None and whole and (lock := read(start.LOCK)):
        raise start.not_a_model(lock.parent, where.partition("=")[2], "model")
    if file is None:
        shown = ", ".join(sorted(held)[:5]) or "nothing"
        artifacts = [name for name in sorted(held) if whole and read(f"{name}/artifact.json")]
        hint = "name the folder that config.json lies in, as save_pretrained() of transformers writes it"
        if artifacts:
            hint = f"these are the artifacts of an export: name one, as {where.partition('=')[2]}/{artifacts[0]}"
        raise RunError(
            f"it holds no model: there is no config.json (but {shown})",
            where=where,
            hint=hint,
        )
    content = _json(file)
    return {**content, **(content.get("text_config") or {})}


def require_language_model(content: dict[str, Any], where: str) -> None:
    """Checks what config.json says the model is.

    Raises:
        RunError: it reads more than text, transformers does not know its type, or it does not write text.
    """
    if any(content.get(key) is not None for key in SENSES):
        raise RunError(
            "the model reads images or sound beside text, and the methods here train language models only",
            where=where,
            hint="choose a model for text alone: type model=hub:ORG/NAME",
        )
    kind, classes = content.get("model_type"), content.get("architectures") or []
    if content.get("auto_map"):
        return  # code of its own, which ``inputs.model_files`` asks about
    known = causal_models()
    if kind not in known and known:
        near = nearest(str(kind), known)
        raise RunError(
            f"transformers here knows no language model of the type {kind!r}{f' (nearest: {near})' if near else ''}",
            where=f"{where}: model_type in config.json",
            hint="choose another model, or a version of transformers that knows it (doctor names the tested one)",
        )
    if known and classes and not {name for names in known.values() for name in names} & set(classes):
        raise RunError(
            f"the model is a {classes[0]}, which does not write text token by token",
            where=f"{where}: architectures in config.json",
            hint="choose a causal language model (...ForCausalLM): type model=hub:ORG/NAME",
        )


def require_template(read: Read, where: str) -> None:
    """Checks whether a chat template comes with the tokenizer.

    Raises:
        RunError: none does.
    """
    try:
        has = _json(read("tokenizer_config.json")).get("chat_template") or any(read(name) for name in TEMPLATES)
    except hub.Unreachable:
        return  # it is checked again once the tokenizer is loaded
    if not has:
        raise RunError(
            "the model has no chat template: it is a base model, which was never taught to answer",
            where=where,
            hint="choose its instruct model (often ...-Instruct or ...-it), or put a chat_template.jinja into a copy "
            "of its folder, and type model=FOLDER",
        )


@functools.cache
def causal_models() -> dict[str, tuple[str, ...]]:
    """Model type -> the classes that transformers has for it as a causal language model.

    They are read from its source, as importing it takes seconds; none where it is not installed or written otherwise.
    """
    spec = importlib.util.find_spec("transformers")
    file = Path(spec.origin).parent / "models/auto/modeling_auto.py" if spec and spec.origin else None
    try:
        body = ast.parse(file.read_text(encoding="utf-8")).body if file else []
    except (OSError, SyntaxError):
        return {}
    for node in body:
        named = node.targets[0] if isinstance(node, ast.Assign) else None
        if isinstance(named, ast.Name) and named.id == "MODEL_FOR_CAUSAL_LM_MAPPING_NAMES":
            pairs = [ast.literal_eval(pair) for pair in node.value.args[0].elts]  # type: ignore[attr-defined]
            return {kind: (names,) if isinstance(names, str) else tuple(names) for kind, names in pairs}
    return {}
