"""The restored SmolLM2: only the expected file is taken. Every build holds its own tokenizer against the GGUF."""

import zipfile
from pathlib import Path

import pytest

from rlexp.errors import RunError
from rlexp.inputs.script import load_script

smollm2 = load_script(Path(__file__).parents[2] / "data_prep/smollm2_135m.py")


@pytest.mark.parametrize(
    ("name", "member", "what"),
    [
        ("other.gguf", None, "sha256 is"),
        ("other.whl", "readme.txt", "holds no .gguf file"),
        ("other.whl", "model.gguf", "sha256 is"),
    ],
)
def test_a_source_that_is_not_the_expected_file_is_refused(tmp_path, name, member, what):
    source = tmp_path / name
    source.write_text("not a model")
    if member:
        with zipfile.ZipFile(source, "w") as wheel:
            wheel.writestr(member, "not a model")
    with pytest.raises(RunError, match=what) as caught:
        smollm2.build(tmp_path / "model", str(source))
    assert smollm2.PACKAGE in caught.value.hint
