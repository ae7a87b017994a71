"""What a run imports is looked for before anything is imported."""

import sys

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
