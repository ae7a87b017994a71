"""An Ollama Modelfile: the model's chat template in Ollama's own language, where it can be said in it.

Ollama renders by Go's text/template. The parts around the turns are found by rendering sentinels through the model's
own template, and are written only where putting them together gives the model's own text for other dialogues too.
Source: https://github.com/ollama/ollama/blob/main/docs/modelfile.md
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rlexp.runtimes.protocol import Messages

ROLES = ("system", "user", "assistant")
SENTINEL = {"system": "SYSTEM\u2063TEXT", "user": "USER\u2063TEXT", "assistant": "ANSWER\u2063TEXT"}
Render = Callable[[Messages], str]


def of(render: Render, dialogues: Sequence[Messages]) -> dict[str, str] | None:
    """The parts of a template; None where putting them together does not give its own text."""
    found = parts(render)
    return found if found and fits(found, render, dialogues) else None


def parts(render: Render) -> dict[str, str] | None:
    """Role -> the text with ``{}`` for the content, and ``opens``, what the generation prompt adds; None where the
    template is not made of turns."""
    dialogue = [{"role": role, "content": SENTINEL[role]} for role in ("system", "user", "assistant", "user")]
    try:
        text = render(dialogue)
    except Exception:
        return None
    places = [text.find(SENTINEL["system"]), text.find(SENTINEL["user"]), text.find(SENTINEL["assistant"])]
    last = text.rfind(SENTINEL["user"])
    if -1 in places or not places[0] < places[1] < places[2] < last:
        return None
    between = {
        "head": text[: places[0]],
        "system_user": text[places[0] + len(SENTINEL["system"]) : places[1]],
        "user_assistant": text[places[1] + len(SENTINEL["user"]) : places[2]],
        "assistant_user": text[places[2] + len(SENTINEL["assistant"]) : last],
        "tail": text[last + len(SENTINEL["user"]) :],
    }
    # The end of a turn is what the tail and the text behind a user's turn have in common; the rest opens the next.
    end = _common(between["tail"], between["user_assistant"], between["system_user"], between["assistant_user"])
    opens = between["tail"][len(end) :]
    return {
        "system": between["head"] + "{}" + end,
        "user": between["system_user"][len(end) :] + "{}" + end,
        "assistant": between["user_assistant"][len(end) :] + "{}" + between["assistant_user"][: len(end)],
        "opens": opens,
    }


def _common(*texts: str) -> str:
    """What all begin with, up to the last line end in it."""
    shortest = min(texts, key=len)
    number = next((at for at, letter in enumerate(shortest) if any(one[at] != letter for one in texts)), len(shortest))
    found = shortest[:number]
    return found[: found.rfind("\n") + 1] if "\n" in found else found


def assembled(found: Mapping[str, str], dialogue: Messages) -> str:
    """The text of a dialogue, put together from the parts as Ollama will."""
    turns = "".join(found[str(one["role"])].replace("{}", one["content"]) for one in dialogue)
    return turns + found["opens"]


def fits(found: Mapping[str, str], render: Render, dialogues: Sequence[Messages]) -> bool:
    """Whether the parts give the model's own text."""
    return all(assembled(found, one) == render(one) for one in dialogues)


def text(
    file: str, found: Mapping[str, str] | None, stops: Sequence[str], sampling: Mapping[str, Any], system: str | None
) -> str:
    """The Modelfile.

    Args:
        file: the GGUF, from the Modelfile's folder.
        found: the parts; None leaves Ollama to recognise the template that the GGUF holds.
        stops: the texts of the tokens that end a completion.
        sampling: parameters by Ollama's names.
    """
    lines = [f"FROM ./{file}"]
    if found:
        roles = [f'{{{{ if eq .Role "{role}" }}}}{_go(found[role])}{{{{ end }}}}' for role in ROLES]
        lines.append(f'TEMPLATE """{{{{ range .Messages }}}}{"".join(roles)}{{{{ end }}}}{found["opens"]}"""')
    else:
        lines.append("# The template is not made of turns that Ollama's language can say: it takes that of the GGUF.")
    if system:
        lines.append(f'SYSTEM """{system}"""')
    lines += [f'PARAMETER stop "{one}"' for one in stops]
    lines += [f"PARAMETER {name} {value}" for name, value in sampling.items()]
    return "\n".join(lines) + "\n"


def _go(part: str) -> str:
    return part.replace("{}", "{{ .Content }}")
