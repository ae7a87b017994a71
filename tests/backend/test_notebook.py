"""What a notebook shows while a run trains."""

from __future__ import annotations

import sys
import types

import pytest

from rlexp import console
from rlexp.backend import notebook


class ZMQInteractiveShell:
    """Stands in for Jupyter's."""


@pytest.fixture
def shown(monkeypatch):
    """Every picture that was shown, in order, and how."""
    kept = []

    class Handle:
        def update(self, picture, raw):
            kept.append(("update", picture))

    def display(picture, raw, display_id):
        assert raw and display_id
        kept.append(("display", picture))
        return Handle()

    ipython = types.ModuleType("IPython")
    ipython.get_ipython = ZMQInteractiveShell
    ipython.display = types.ModuleType("IPython.display")
    ipython.display.display = display
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "IPython.display", ipython.display)
    return kept


def test_one_output_is_replaced_and_seldom(shown):
    assert console.in_notebook()
    progress = notebook.Progress()
    progress.show()
    assert shown == []
    for step in range(1, 2001):
        progress.add(f"step {step}/2000 <b>", {"step": step, "reward": step / 2000})
    progress.show()
    assert [how for how, _ in shown].count("display") == 1 and len(shown) < 100
    last = shown[-1][1]
    assert last["text/plain"] == "step 2000/2000 <b>"
    assert "step 2000/2000 &lt;b&gt;" in last["text/html"] and "<polyline" in last["text/html"]


def test_a_script_is_no_notebook(monkeypatch):
    monkeypatch.delitem(sys.modules, "IPython", raising=False)
    assert not console.in_notebook()
    outside = types.ModuleType("IPython")
    outside.get_ipython = lambda: None
    monkeypatch.setitem(sys.modules, "IPython", outside)
    assert not console.in_notebook()
