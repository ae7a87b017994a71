"""Which libraries a process may import for a run."""

import sys
from types import ModuleType

import pytest

from rlexp.backend.model import import_libraries
from rlexp.backend.patches import Patches
from rlexp.errors import RunError


@pytest.mark.parametrize(
    ("rollout", "there", "what"),
    [("colocate", "unsloth", "has rewritten TRL"), ("unsloth", "trl", "Unsloth must be before it")],
)
def test_a_run_is_refused_where_an_earlier_one_imported_the_libraries_otherwise(
    composed, monkeypatch, rollout, there, what
):
    monkeypatch.delitem(sys.modules, "trl" if there == "unsloth" else "unsloth", raising=False)
    monkeypatch.setitem(sys.modules, there, ModuleType(there))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    with pytest.raises(RunError, match=what) as caught:
        import_libraries(composed("hardware=h100", "model=qwen3_4b", f"rollout={rollout}"), Patches())
    assert "process of its own" in (caught.value.hint or "")
