"""``export=`` among the overrides: formats, their types, what is refused."""

import pytest

from rlexp.compose import exports
from rlexp.compose.places import Places
from rlexp.errors import RunError
from tests.conftest import ROOT


def read(*typed, on_gpu=False):
    return exports.read(exports.take(typed)[1], Places.of(ROOT), on_gpu)


def test_the_merged_model_is_always_made_and_first():
    assert read("export=gguf+onnx", "export.gguf.types=[q8_0]", "export.onnx.types=[int4]").artifacts == [
        "merged",
        "gguf-q8_0",
        "onnx-int4",
    ]
    assert read().artifacts == ["merged"]


def test_what_torchao_makes_depends_on_the_machine():
    assert read("export=torchao").types["torchao"] == ["int8"]
    assert read("export=torchao", on_gpu=True).types["torchao"] == ["int4", "fp8"]


def test_what_is_typed_leaves_the_rest_to_hydra():
    rest, asked = exports.take(["seed=1", "export=gguf", "export.want=smallest", "exports=2"])
    assert rest == ["seed=1", "exports=2"] and asked.names == ("gguf",)


@pytest.mark.parametrize(
    ("typed", "what", "hint"),
    [
        (["export.at_most=0.03"], "would not be read", "type export.want=smallest too"),
        (["export=ggu"], "no format 'ggu'", "did you mean export=gguf?"),
        (["export=gguf", "export.gguf.types=[q4]"], "no type 'q4'", "one of: f16"),
        (["export=gguf", "export.gguf.types=[]"], "no type of gguf", "type export.gguf.types=[f16]"),
        (["export=onnx", "export.gguf.types=[q8_0]"], "gguf is not asked for", "type export=merged+onnx+gguf"),
        (["export.gguf.types=[q4]"], "gguf is not asked for", "type export=merged+gguf"),
        (["export.gate.margn=1"], "no key gate.margn", "did you mean gate.margin?"),
        (["export.gate.margin=2"], "gate.margin is 2", "type export.gate.margin=1"),
        (["export=a,b"], "not swept", "type export=a+b"),
        (["export=gguf", "export=onnx"], "typed twice", "type export=gguf+onnx"),
        (["export=gguf+gguf"], "twice", "type export=gguf"),
        (["export="], "names formats", "type export=merged"),
        (["export.dir=/tmp/x"], "lies in the project", "export.push=dir:FOLDER"),
        (["export.dir=../x"], "lies in the project", "export.push=dir:FOLDER"),
    ],
)
def test_a_mistake_is_one_message(typed, what, hint):
    with pytest.raises(RunError) as error:
        read(*typed)
    assert what in error.value.what and hint in error.value.hint
