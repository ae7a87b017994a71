"""Modelfiles: the parts of a template made of turns, and none where it is not."""

import pytest
from jinja2 import Environment

from rlexp.export import modelfile
from rlexp.export.gate.reference import PROBES

CHATML = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
LOUD = "{% for m in messages %}{{ m.content | upper }}{% endfor %}"


def renderer(text):
    template = Environment().from_string(text)
    return lambda dialogue: template.render(messages=dialogue, add_generation_prompt=True)


def test_a_template_of_turns_is_said_in_ollamas_language():
    render = renderer(CHATML)
    found = modelfile.of(render, list(PROBES.values()))
    text = modelfile.text("model.gguf", found, ["<|im_end|>"], {"temperature": 0.7}, "Be brief.")
    assert text.startswith("FROM ./model.gguf\n") and '{{ if eq .Role "user" }}<|im_start|>user\n{{ .Content }}' in text
    assert (
        'PARAMETER stop "<|im_end|>"' in text
        and "PARAMETER temperature 0.7" in text
        and 'SYSTEM """Be brief."""' in text
    )


@pytest.mark.parametrize("text", [LOUD, "{{ messages[-1].content }}", "{{ 1 / 0 }}"])
def test_what_cannot_be_said_is_left_to_ollama(text):
    assert modelfile.of(renderer(text), list(PROBES.values())) is None
    assert "takes that of the GGUF" in modelfile.text("model.gguf", None, [], {}, None)
