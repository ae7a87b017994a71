"""Prompt style: what the model reads, and a program a runtime that the gate ran, with its answer.

Artifacts whose programs differ in the file's name only share one.
"""

from __future__ import annotations

import json
from typing import Any

from rlexp.card.markdown import code, fence, plain
from rlexp.card.standing import Standing
from rlexp.export import snippets
from rlexp.record.finished import FinishedRun

Named = dict[str, dict[str, Any]]
"""Name -> the artifact, as the manifest tells it."""


def section(run: FinishedRun, stands: Standing) -> str:
    """How the model is spoken to."""
    parts = []
    if run.run.model.system_prompt:
        parts.append(f"It was trained with this system prompt:\n\n{fence(run.run.model.system_prompt)}")
    if kwargs := run.run.chat_template_kwargs:
        parts.append(f"Its template was given `{json.dumps(kwargs)}`.")
    if shown := stands.manifest.get("prompt"):
        parts.append(f"What the model reads, special tokens included:\n\n{fence(shown['text'])}")
    programs: dict[tuple[str, str, bool], Named] = {}
    modelfiles: dict[str, Named] = {}
    for name, one in stands.manifest.get("artifacts", {}).items():
        if ran := one.get("snippet"):
            programs.setdefault((one["runtime"], ran["program"], ran["same"]), {})[name] = one
        if text := one.get("modelfile"):
            modelfiles.setdefault(text, {})[name] = one
    if programs or modelfiles:
        parts.append(f"Paths below count from the folder of the export, {code(stands.place)}.")
    parts += [_program(some) for some in programs.values()]
    parts += [_modelfile(some) for some in modelfiles.values()]
    return "\n\n".join(parts) or f"Through its own chat template: `{stands.again}` shows how, and runs it."


def _program(some: Named) -> str:
    """A program, the artifacts that it goes for, and what it said."""
    name, one = next(iter(some.items()))
    ran, of = one["snippet"], "with each of them " if len(some) > 1 else ""
    gave = "gave" if ran["same"] else "did not give"
    text = snippets.placed(ran["program"], _place(name, one)).rstrip()
    head = f"**{_names(some)}** in {one['runtime']}; this program was run {of}and {gave} the gate's answer:"
    parts = [head, fence(text, "python"), _others(some)]
    answers: dict[str, list[str]] = {}
    for other, told in some.items():
        answers.setdefault(_answer(told), []).append(other)
    for answer, names in answers.items():
        who = f"{plain(', '.join(names))} answered" if len(answers) > 1 else "Answer"
        parts.append(f"{who}:\n\n{fence(answer)}")
    if not ran["same"] and one["gate"].get("first"):
        parts.append(f"The gate's answer of {plain(name)}:\n\n{fence(one['gate']['first'].strip())}")
    return "\n\n".join(filter(None, parts))


def _modelfile(some: Named) -> str:
    """An Ollama Modelfile, which lies in the folder of the export as the programs do."""
    name, one = next(iter(some.items()))
    text = one["modelfile"].replace(f"FROM ./{one['path']}", f"FROM ./{_place(name, one)}", 1).rstrip()
    head = f"**{_names(some)}** in Ollama, written by rule and not run:"
    return "\n\n".join(filter(None, [head, fence(text), _others(some)]))


def _names(some: Named) -> str:
    return plain(", ".join(some))


def _others(some: Named) -> str:
    """What may stand in the place of the first artifact's path; empty where there is no other."""
    first, *others = [code(_place(name, one)) for name, one in some.items()]
    return f"In the place of {first}: {', '.join(others)}." if others else ""


def _place(name: str, one: dict[str, Any]) -> str:
    return name if one["path"] == "." else f"{name}/{one['path']}"


def _answer(one: dict[str, Any]) -> str:
    """What the program said; of one that gave the gate's answer this, as a runtime may talk before it."""
    ran = one["snippet"]
    return ((one["gate"].get("first") if ran["same"] else None) or ran["said"]).strip() or "(nothing)"
