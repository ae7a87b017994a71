"""Which libraries a process may import for a run."""

import gc
import sys
from types import ModuleType

import pytest

from rlexp.backend.model import import_libraries, kept_objects
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


@pytest.mark.parametrize(("imported", "enabled"), [(False, True), (True, True), (False, False)])
def test_what_the_first_imports_make_is_kept_and_not_looked_through(monkeypatch, imported, enabled):
    """A later import makes nothing, and a model of the run before may be garbage by then; who wants no collection at
    all has none."""
    monkeypatch.delitem(sys.modules, "trl", raising=False)
    if imported:
        monkeypatch.setitem(sys.modules, "trl", ModuleType("trl"))
    frozen = gc.get_freeze_count()
    (gc.enable if enabled else gc.disable)()
    try:
        with kept_objects():
            assert gc.isenabled() is (imported and enabled)
        assert gc.isenabled() is enabled
        assert (gc.get_freeze_count() > frozen) is (enabled and not imported)
        with pytest.raises(ImportError), kept_objects():
            raise ImportError
        assert gc.isenabled() is enabled
    finally:
        gc.enable()
        gc.unfreeze()
