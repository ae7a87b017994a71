"""docs/api.ipynb runs from its first cell to its last, and shows what a notebook can show."""

from __future__ import annotations

import json
import os
import shutil
import sys

import pytest

from tests.conftest import ROOT

NOTEBOOK = ROOT / "docs/api.ipynb"


def shown(cell, kind):
    """What a cell shows in a MIME type, each output as one text."""
    return ["".join(output["data"][kind]) for output in cell.get("outputs", []) if kind in output.get("data", {})]


def printed(cell):
    return "".join(output["text"] for output in cell.get("outputs", []) if output["output_type"] == "stream")


@pytest.mark.long
@pytest.mark.end_to_end
def test_the_notebook_runs_and_training_shows_one_line_above_a_curve(project, monkeypatch):
    import nbformat
    from nbclient import NotebookClient

    assert not any(cell.get("outputs") for cell in nbformat.read(NOTEBOOK, as_version=4).cells)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT / "src"), os.environ.get("PYTHONPATH", "")]))
    monkeypatch.setenv("PATH", f"{os.path.dirname(sys.executable)}{os.pathsep}{os.environ['PATH']}")
    (project / "docs").mkdir()
    shutil.copyfile(NOTEBOOK, project / "docs/api.ipynb")
    notebook = nbformat.read(project / "docs/api.ipynb", as_version=4)
    NotebookClient(notebook, timeout=400, resources={"metadata": {"path": str(project)}}).execute()
    by_text = {cell.source: cell for cell in notebook.cells if cell.cell_type == "code"}
    trained = by_text["done = api.train(run)"]
    (live,) = shown(trained, "text/html")
    assert "step 10/10  reward " in live and "<svg" in live and "reward by step" in live
    assert len(printed(trained).splitlines()) < 40 and "held-out prompts" in printed(trained)
    (summary,) = shown(by_text["done"], "text/html")
    assert "finished" in summary and "<svg" in summary and "<table" in summary
    (manifest,) = (project / "outputs").rglob("manifest.json")
    assert json.loads(manifest.read_text())["argv"] == ["notebook"]
