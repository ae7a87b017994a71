"""Checks of a local model's files, for template and vocabulary, before anything heavy is imported."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from rlexp.errors import nearest
from rlexp.preflight.template import INSTRUCT
from rlexp.preflight.tokenizer import beyond
from rlexp.verdict import Level, Verdict


def template(model_dir: Path) -> Verdict:
    """The folder holds a chat template, where transformers looks for one."""
    name, shown = "template.missing", _shown(model_dir)
    if chat_template(model_dir):
        return Verdict(name, Level.passed, f"{shown} holds a chat template")
    if not any((model_dir / file).is_file() for file in ("tokenizer.json", "tokenizer_config.json", "tokenizer.model")):
        message = f"the model's folder holds no tokenizer: {shown}"
        return Verdict(name, Level.failed, message, "model.path", "copy the tokenizer's files beside config.json")
    message = f"the model's folder holds no chat template: {shown}"
    return Verdict(name, Level.failed, message, "model.path", INSTRUCT)


def vocabulary(model_dir: Path, tags: tuple[str, ...]) -> Verdict:
    """Every token that can occur has a row in the embedding, by config.json and tokenizer.json."""
    config, tokenizer = _json(model_dir / "config.json"), _json(model_dir / "tokenizer.json")
    rows = config.get("vocab_size") or (config.get("text_config") or {}).get("vocab_size")
    vocab = (tokenizer.get("model") or {}).get("vocab")
    tokens = dict(vocab) if isinstance(vocab, dict) else {item[0]: n for n, item in enumerate(vocab or [])}
    tokens |= {token["content"]: token["id"] for token in tokenizer.get("added_tokens") or []}
    settings = _json(model_dir / "tokenizer_config.json")
    named = [settings.get(f"{role}_token") for role in ("bos", "eos", "pad")]
    used = {token["content"] if isinstance(token, dict) else str(token) for token in named if token}
    return beyond(tokens, rows if tokens else None, chat_template(model_dir), {*used, *tags}, _shown(model_dir))


def positions(model_dir: Path, longest: int, vllm: bool) -> Verdict:
    """The model has a position for every token of a sequence, by config.json.

    Args:
        longest: ``model.max_seq_length``.
        vllm: whether vLLM samples, which refuses to start otherwise; transformers and Unsloth go beyond with a
            warning at most, where the model was never trained.
    """
    name, config = "model.positions", _json(model_dir / "config.json")
    stated = config.get("max_position_embeddings") or (config.get("text_config") or {}).get("max_position_embeddings")
    if not isinstance(stated, int):
        return Verdict(name, Level.skipped, f"{_shown(model_dir)}/config.json states no max_position_embeddings")
    if longest <= stated:
        return Verdict(name, Level.passed, f"sequences of {longest} tokens, {stated} positions")
    message = f"sequences may have {longest} tokens, and {_shown(model_dir)} was made for {stated} positions"
    level = Level.failed if vllm else Level.warning
    return Verdict(name, level, message, "model.max_seq_length", f"type model.max_seq_length={stated}")


def adapted_layers(model_dir: Path, target_modules: Any) -> Verdict:
    """Every layer that is to get an adapter is one of the model's, by the names in its weights' files.

    Args:
        target_modules: ``model.lora.target_modules``.
    """
    name, layers = "model.layers", matrices(model_dir)
    if isinstance(target_modules, str) or not layers:
        return Verdict(name, Level.skipped, f"{target_modules}" if layers else f"{_shown(model_dir)} names no layers")
    for wanted in target_modules:
        if wanted.rpartition(".")[2] not in layers:
            guess = nearest(wanted, layers)
            swapped = [str(guess) if item == wanted else item for item in target_modules]
            message = f"the model has no layer {wanted}; it has {', '.join(sorted(layers))}"
            instead = f"[{','.join(swapped)}]" if guess else "all-linear"
            hint = f"type model.lora.target_modules={instead}"
            return Verdict(name, Level.failed, message, "model.lora.target_modules", hint)
    return Verdict(name, Level.passed, f"{', '.join(target_modules)} are layers of {_shown(model_dir)}")


def matrices(model_dir: Path) -> set[str]:
    """The names of the layers that hold a matrix, without the embedding; empty where no safetensors say so."""
    shapes: dict[str, Any] = {}
    for file in model_dir.glob("*.safetensors"):
        with file.open("rb") as stream:
            head = stream.read(8)
            shapes |= json.loads(stream.read(int.from_bytes(head, "little"))) if len(head) == 8 else {}
    whole = [key for key, entry in shapes.items() if len(entry.get("shape", ())) == 2 and key.endswith(".weight")]
    return {key.split(".")[-2] for key in whole} - {"embed_tokens"}


def chat_template(model_dir: Path) -> str:
    """The text of the chat template(s) of a model's folder; empty where there is none.

    Source: ``PreTrainedTokenizerBase`` of transformers: a file of its own, a folder of several, or an entry of
    tokenizer_config.json.
    """
    files = [model_dir / "chat_template.jinja", *sorted((model_dir / "additional_chat_templates").glob("*.jinja"))]
    texts = [file.read_text(encoding="utf-8") for file in files if file.is_file()]
    entry = _json(model_dir / "tokenizer_config.json").get("chat_template")
    entry = entry or _json(model_dir / "chat_template.json").get("chat_template")
    texts += [entry] if isinstance(entry, str) else [str(item["template"]) for item in entry or []]
    return "\n".join(texts).strip()


def size(model_dir: Path) -> int:
    """Bytes of the model's weights."""
    return sum(file.stat().st_size for kind in ("*.safetensors", "*.bin") for file in model_dir.glob(kind))


def _json(file: Path) -> dict[str, Any]:
    try:
        found = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    except (OSError, ValueError):  # loading the model says what is broken
        return {}
    return found if isinstance(found, dict) else {}


def _shown(model_dir: Path) -> str:
    """The last two parts of the path: models/tiny."""
    return "/".join(model_dir.parts[-2:])
