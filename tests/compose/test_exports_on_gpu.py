"""Types of an export that take a GPU: refused before anything is made."""

from __future__ import annotations

import pytest

from rlexp.compose import exports
from rlexp.compose.places import Places
from rlexp.errors import RunError


@pytest.mark.parametrize("kind", ["int4", "fp8"])
def test_what_takes_a_gpu_is_refused_on_a_cpu(kind, tmp_path):
    places = Places(tmp_path, ())
    typed = ["export=torchao", f"export.torchao.types=[int8,{kind}]"]
    _, asked = exports.take(typed)
    with pytest.raises(RunError, match=f"torchao makes {kind} on a GPU only") as error:
        exports.read(asked, places, on_gpu=False)
    assert "export.torchao.types=[int8]" in error.value.hint
    assert exports.read(asked, places, on_gpu=True).types["torchao"] == ["int8", kind]
