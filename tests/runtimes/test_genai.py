"""onnxruntime-genai against transformers on the same weights."""

from __future__ import annotations

import pytest

from rlexp.runtimes.host import Host
from rlexp.runtimes.protocol import Sampling, Spec
from tests.export.made import TINY, made
from tests.runtimes import conformance

pytest.importorskip("onnxruntime_genai")
pytest.importorskip("onnx")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("onnx") / "fp32"
    assert made("onnx", "fp32", folder).mix == {"float32": 1.0}
    return folder


@pytest.fixture(scope="module")
def reference():
    with Host(Spec("transformers", TINY, dtype="float32", context=512)) as host:
        yield host


@pytest.fixture(scope="module")
def runtime(folder):
    with Host(Spec("onnxruntime-genai", folder, context=512)) as host:
        yield host


def test_32_bits_answer_as_transformers_does(runtime, reference):
    conformance.everything(runtime, reference)
    assert conformance.divergence(runtime, reference) < 1e-5


def test_prompts_of_several_lengths_are_answered_together_as_alone(runtime, reference):
    given = conformance.prompts(reference)
    assert len({len(one) for one in given}) == 3
    alone, crowd = (runtime.generate(given, Sampling(24), 0, together) for together in (1, 3))
    assert [one.ids for one in crowd] == [one.ids for one in alone]


def test_arguments_of_the_template_are_handed_over(folder, tmp_path):
    said = "{% if aloud is defined and aloud %}ALOUD {{ how['much'] }}{% endif %}{{ messages[0]['content'] }}"
    (tmp_path / "onnx").mkdir()
    for file in folder.iterdir():
        (tmp_path / "onnx" / file.name).symlink_to(file)
    (tmp_path / "onnx/chat_template.jinja").unlink()
    (tmp_path / "onnx/chat_template.jinja").write_text(said)
    kwargs = {"aloud": True, "how": {"much": 3}}
    with Host(Spec("onnxruntime-genai", tmp_path / "onnx", template_kwargs=kwargs)) as host:
        assert host.render([[{"role": "user", "content": "2 + 3"}]]) == ["ALOUD 32 + 3"]
