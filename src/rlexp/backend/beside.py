"""What lies beside saved weights: how they answer, and what they need to be loaded elsewhere."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

from rlexp.compose.run import Run

NOTE, CARD = "rlexp.json", "README.md"


def write(run: Run, model: Any, base: dict[str, Any], folder: Path) -> None:
    """Writes ``rlexp.json`` and ``README.md``, and of an adapter ``generation_config.json``: a model brings its own,
    which the next run on it shall find as it was.

    Two equal runs write the same: nothing here is of this machine or of now.

    Args:
        base: what the lock says of the base model.
    """
    if not run.model.full_finetuning:
        generation = copy.deepcopy(model.generation_config)
        generation.update(do_sample=run.held_out.temperature > 0, max_new_tokens=run.held_out.max_new_tokens)
        generation.update(**sampling(run))
        (folder / "generation_config.json").write_text(generation.to_json_string())
    named = {"path": base.get("path") or run.model.path, "hub_id": run.model.hub_id, "revision": run.model.revision}
    note: dict[str, Any] = {
        "base": {**{key: value for key, value in named.items() if value}, "md5": base.get("md5")},
        "method": run.method.name,
        "system_prompt": run.model.system_prompt,
        "chat_template_kwargs": run.chat_template_kwargs,
        "sampling": sampling(run),
        "max_new_tokens": run.held_out.max_new_tokens,
    }
    (folder / NOTE).write_text(json.dumps(note, indent=1, sort_keys=True, default=str) + "\n")
    (folder / CARD).write_text(card(run, note["base"]))


def sampling(run: Run) -> dict[str, Any]:
    """How completions were sampled while training; for an offline method when they were compared."""
    if not run.method.online:
        return {"temperature": run.held_out.temperature} if run.held_out.temperature else {}
    names = ("temperature", "top_p", "top_k", "min_p", "repetition_penalty")
    return {name: run.arguments[name] for name in names if run.arguments.get(name) is not None}


def card(run: Run, base: dict[str, Any]) -> str:
    """What a person reads who finds the folder."""
    head = f"# Trained by rlexp: {run.method.name} on {run.dataset.name}\n\n"
    settings = f"How it was sampled, and its system prompt, are in `{NOTE}`; the tokenizer and its template are here.\n"
    if run.model.full_finetuning:
        return head + "A whole model: `AutoModelForCausalLM.from_pretrained(FOLDER)`.\n\n" + settings
    named = base.get("path") or base.get("hub_id")
    text = f"An adapter of `{named}`" + (f" at `{base['revision']}`" if base.get("revision") else "")
    if base.get("path"):
        text += (
            f", a folder of the project that trained it (md5 {base.get('md5')}). From elsewhere, name it whole:\n\n"
            "```python\nmodel = AutoModelForCausalLM.from_pretrained(BASE)\n"
            "model = PeftModel.from_pretrained(model, FOLDER)\n```\n\n"
        )
    else:
        text += ": `AutoPeftModelForCausalLM.from_pretrained(FOLDER)`.\n\n"
    if str(base.get("path", "")).startswith("models/merged_"):
        text += (
            f"That base is made: {run.model.path or run.model.hub_id} with the adapter that the run began with merged "
            "in (its folder `start/`). `python -m rlexp inspect RUN` makes it where it is missing.\n\n"
        )
    return head + text + settings
