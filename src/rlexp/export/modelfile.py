"""An Ollama Modelfile: the model's chat template in Ollama's own language, where it can be said in it.

Ollama renders by Go's text/template. The parts around the turns are found by rendering sentinels through llama.cpp's
engine, which the gate holds against the model's own, and are written only where putting them together gives the same
text of other dialogues too. Source: https://github.com/ollama/ollama/blob/main/docs/modelfile.md
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rlexp.export.formats import Making
from rlexp.export.gate.reference import PROBES
from rlexp.record.exports import MODELFILE
from rlexp.runtimes import llama_template
from rlexp.runtimes.protocol import Messages

SENTINEL = {"system": "SYSTEM\u2063TEXT", "user": "USER\u2063TEXT", "assistant": "ANSWER\u2063TEXT"}
ROLES = tuple(SENTINEL)
ALONE: Messages = [{"role": "user", "content": SENTINEL["user"]}]
WHOLE: Messages = [*({"role": role, "content": text} for role, text in SENTINEL.items()), *ALONE]
Render = Callable[[Sequence[Messages]], list[str]]
PARAMETERS = {
    "temperature": "temperature",
    "top_p": "top_p",
    "top_k": "top_k",
    "min_p": "min_p",
    "repetition_penalty": "repeat_penalty",
    "max_new_tokens": "num_predict",
}
"""Generation setting -> Ollama's name of it."""
DEFAULTS = {"temperature": 1.0, "top_p": 1.0, "top_k": 50, "repetition_penalty": 1.0}
"""transformers' own, where the run left none: Ollama has others."""


def write(making: Making, gguf: Path) -> None:
    """Writes the Modelfile of a GGUF beside it."""
    found = of(lambda dialogues: llama_template.render(gguf, dialogues, making.template_kwargs), list(PROBES.values()))
    stops, sampling = said_by(making.merged)
    sampling = {"num_ctx": making.context, **sampling} if making.context else sampling
    content = text(gguf.name, found, stops, sampling, making.system)
    (gguf.parent / MODELFILE).write_text(content, encoding="utf-8")


def said_by(merged: Path) -> tuple[list[str], dict[str, Any]]:
    """(the texts of the tokens that end a completion, parameters by Ollama's names) of the generation settings."""
    from transformers import AutoTokenizer, GenerationConfig

    held = GenerationConfig.from_pretrained(merged)
    ends = held.eos_token_id if isinstance(held.eos_token_id, list) else [held.eos_token_id]
    tokenizer: Any = AutoTokenizer.from_pretrained(merged)
    settings = {name: getattr(held, name, None) for name in PARAMETERS}
    settings = {name: DEFAULTS.get(name) if value is None else value for name, value in settings.items()}
    if not held.do_sample:
        settings |= {"temperature": 0, "top_p": None, "top_k": None, "min_p": None}
    stops = [tokenizer.decode([one]) for one in ends if one is not None]
    return stops, {PARAMETERS[name]: value for name, value in settings.items() if value is not None}


def of(render: Render, dialogues: Sequence[Messages]) -> dict[str, str] | None:
    """The parts of a template; None where putting them together does not give its own text, or Ollama's language
    would read them otherwise.

    Args:
        render: RuntimeError where the template refuses a dialogue.
        dialogues: what the parts are tried on.
    """
    try:
        whole, alone, *texts = render([WHOLE, ALONE, *dialogues])
    except RuntimeError:
        return None
    found = parts(whole, alone)
    if found is None or any(mark in one for one in found.values() for mark in ("{{", "}}", '"""')):
        return None
    return found if [assembled(found, one) for one in dialogues] == texts else None


def parts(whole: str, alone: str) -> dict[str, str] | None:
    """The parts of a template that is made of turns; None of another one.

    Args:
        whole: WHOLE as it is rendered.
        alone: ALONE likewise.

    Returns:
        Role -> the text with ``{}`` for the content; ``unsaid``, what stands in front where there is no system turn;
        ``opens``, what the generation prompt adds.
    """
    around = _split(whole, [str(one["content"]) for one in WHOLE])
    first = _split(alone, [SENTINEL["user"]])
    if around is None or first is None:
        return None
    head, system_user, user_assistant, assistant_user, tail = around
    for at in range(len(system_user), -1, -1):
        end, opening = system_user[:at], system_user[at:]
        begins = opening.startswith(("<", "[")) or end.endswith("\n") or not end
        ends_all = all(one.startswith(end) for one in (user_assistant, assistant_user, tail))
        if begins and ends_all and first[0].endswith(opening):
            return {
                "unsaid": first[0].removesuffix(opening),
                "system": head + "{}" + end,
                "user": opening + "{}" + end,
                "assistant": user_assistant[at:] + "{}" + end,
                "opens": tail[at:],
            }
    return None


def _split(text: str, marks: Sequence[str]) -> list[str] | None:
    """The text between the marks, which stand in it in this order and nowhere else."""
    found = []
    for mark in marks:
        before, seen, text = text.partition(mark)
        if not seen:
            return None
        found.append(before)
    return None if any(mark in text for mark in marks) else [*found, text]


def assembled(found: Mapping[str, str], dialogue: Messages) -> str:
    """The text of a dialogue, put together from the parts as Ollama will."""
    unsaid = "" if any(one["role"] == "system" for one in dialogue) else found["unsaid"]
    return unsaid + "".join(found[one["role"]].replace("{}", one["content"]) for one in dialogue) + found["opens"]


def text(
    file: str, found: Mapping[str, str] | None, stops: Sequence[str], sampling: Mapping[str, Any], system: str | None
) -> str:
    """The Modelfile.

    Args:
        file: the GGUF, from the Modelfile's folder.
        found: the parts; None leaves Ollama to recognise the template that the GGUF holds.
        stops: the texts of the tokens that end a completion.
        sampling: parameters by Ollama's names.
        system: the system prompt that the run was trained with.
    """
    lines = [f"FROM ./{file}"]
    if found:
        roles = [f'{{{{ if eq .Role "{role}" }}}}{_go(found[role])}{{{{ end }}}}' for role in ROLES]
        unsaid = f"{{{{ if not .System }}}}{found['unsaid']}{{{{ end }}}}" if found["unsaid"] else ""
        turns = f"{{{{ range .Messages }}}}{''.join(roles)}{{{{ end }}}}"
        lines.append(f'TEMPLATE """{unsaid}{turns}{found["opens"]}"""')
    else:
        lines.append("# Ollama's language cannot say the template: it takes the one that it recognises in the GGUF.")
    if system and '"""' in system:
        lines.append(
            '# The system prompt that it was trained with holds """, which ends a text here: send it yourself.'
        )
    elif system:
        lines.append(f'SYSTEM """{system}"""')
    lines += [f'PARAMETER stop "{one}"' for one in stops]
    lines += [f"PARAMETER {name} {value}" for name, value in sampling.items()]
    return "\n".join(lines) + "\n"


def _go(part: str) -> str:
    return part.replace("{}", "{{ .Content }}")
