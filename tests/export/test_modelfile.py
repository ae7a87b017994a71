"""Modelfiles: the parts of a template made of turns, and none where it is not; what else the run left."""

import json
import shutil

import pytest
from jinja2 import Environment

from rlexp.export import modelfile
from rlexp.export.formats import Making
from rlexp.export.gate.reference import PROBES
from tests.export.made import TINY

PROBED = list(PROBES.values())
TURN = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
CHATML = TURN + "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
UNSAID = "{% if messages[0].role != 'system' %}<|im_start|>system\nBe good.<|im_end|>\n{% endif %}"
LLAMA_3 = (
    "<|begin_of_text|>{% for m in messages %}<|start_header_id|>{{ m.role }}<|end_header_id|>\n\n{{ m.content }}"
    "<|eot_id|>{% endfor %}<|start_header_id|>assistant<|end_header_id|>\n\n"
)
LOUD = "{% for m in messages %}{{ m.content | upper }}{% endfor %}"
NO_SYSTEM = TURN.replace("<|im_start|>", "{% if m.role == 'system' %}{{ refuse() }}{% endif %}<|im_start|>")


def renderer(text):
    def render(dialogues):
        def refuse():
            raise RuntimeError("no system turns")

        template = Environment().from_string(text)
        return [template.render(messages=one, add_generation_prompt=True, refuse=refuse) for one in dialogues]

    return render


@pytest.mark.parametrize("text", [CHATML, UNSAID + CHATML, LLAMA_3])
def test_a_template_of_turns_is_said_in_ollamas_language(text):
    found = modelfile.of(renderer(text), PROBED)
    said = modelfile.text("model.gguf", found, ["<|im_end|>"], {"temperature": 0.7}, "Be brief.")
    assert said.startswith('FROM ./model.gguf\nTEMPLATE """')
    assert ("{{ if not .System }}" in said) == (text != CHATML)
    assert said.endswith('SYSTEM """Be brief."""\nPARAMETER stop "<|im_end|>"\nPARAMETER temperature 0.7\n')


def test_the_parts_are_whole_turns():
    assert modelfile.of(renderer(UNSAID + CHATML), PROBED) == {
        "unsaid": "<|im_start|>system\nBe good.<|im_end|>\n",
        **{role: f"<|im_start|>{role}\n{{}}<|im_end|>\n" for role in modelfile.ROLES},
        "opens": "<|im_start|>assistant\n",
    }


@pytest.mark.parametrize("text", [LOUD, NO_SYSTEM, "{{ messages[-1].content }}", "{% raw %}{{{% endraw %}" + CHATML])
def test_what_cannot_be_said_is_left_to_ollama(text):
    assert modelfile.of(renderer(text), PROBED) is None
    assert "recognises in the GGUF" in modelfile.text("model.gguf", None, [], {}, None)


def test_a_system_prompt_that_would_end_its_text_is_not_written():
    assert "SYSTEM" not in modelfile.text("model.gguf", None, [], {}, 'Say """.').replace("system", "")


@pytest.mark.parametrize(
    ("settings", "wanted"),
    [
        ({}, {"temperature": 0, "repeat_penalty": 1.0}),
        (
            {"do_sample": True, "top_k": 0, "temperature": 0.6, "max_new_tokens": 32, "repetition_penalty": 1.2},
            {"temperature": 0.6, "top_p": 1.0, "top_k": 0, "repeat_penalty": 1.2, "num_predict": 32},
        ),
    ],
)
def test_sampling_is_what_the_run_left(tmp_path, settings, wanted):
    merged = shutil.copytree(TINY, tmp_path / "merged")
    held = json.loads((merged / "generation_config.json").read_text())
    (merged / "generation_config.json").write_text(json.dumps({**held, **settings}))
    assert modelfile.said_by(merged) == (["<|im_end|>", "<|endoftext|>"], wanted)


def test_it_is_held_against_llama_cpps_own_rendering(tmp_path, monkeypatch):
    monkeypatch.setattr(modelfile.llama_template, "render", lambda path, some, kwargs: renderer(kwargs["text"])(some))
    making = Making(TINY, tmp_path, "f16", None, list, template_kwargs={"text": CHATML}, system="You add.", context=256)
    modelfile.write(making, tmp_path / "model.gguf")
    said = (tmp_path / "Modelfile").read_text()
    assert "TEMPLATE" in said and 'SYSTEM """You add."""' in said and "PARAMETER num_ctx 256\n" in said
