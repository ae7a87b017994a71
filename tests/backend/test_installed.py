"""What a run imports is looked for before anything is imported."""

import gc
import sys
from types import ModuleType

import pytest

from rlexp.backend import installed
from rlexp.errors import RunError


@pytest.mark.parametrize("name", ["unsloth", "trl"])
def test_a_library_that_is_missing_is_named_with_the_pip_line(composed, monkeypatch, name):
    monkeypatch.setitem(sys.modules, name, None)  # hidden, as if it were not there
    with pytest.raises(RunError, match=f"{name} is not installed") as caught:
        installed.require(composed("hardware=cpu"))
    assert "pip install" in caught.value.hint


def test_mlflow_files_a_run_under_its_project_unless_told_otherwise(composed, monkeypatch):
    monkeypatch.delenv("MLFLOW_EXPERIMENT_NAME", raising=False)
    monkeypatch.setattr(installed.os, "environ", dict(installed.os.environ))
    installed.name_projects(composed("tracking.project=mine"))
    assert installed.os.environ["MLFLOW_EXPERIMENT_NAME"] == "mine"
    installed.name_projects(composed("tracking.project=other"))
    assert installed.os.environ["MLFLOW_EXPERIMENT_NAME"] == "mine"


def test_what_trains_finds_no_tracker_and_others_find_them_again(monkeypatch):
    import importlib.util

    import tensorboard

    monkeypatch.delitem(sys.modules, "wandb", raising=False)
    with installed.trackers_hidden():
        assert importlib.util.find_spec("wandb") is None
        with pytest.raises(ImportError):
            importlib.import_module("wandb")
        assert sys.modules["tensorboard"] is tensorboard  # imported before: somebody holds it
    assert importlib.util.find_spec("wandb") is not None


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
        with installed.kept_objects():
            assert gc.isenabled() is (imported and enabled)
        assert gc.isenabled() is enabled
        assert (gc.get_freeze_count() > frozen) is (enabled and not imported)
        with pytest.raises(ImportError), installed.kept_objects():
            raise ImportError
        assert gc.isenabled() is enabled
    finally:
        gc.enable()
        gc.unfreeze()
