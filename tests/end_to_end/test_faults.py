"""Every fault of ``make faults`` costs one message: the cheap ones in every test run, the others as long ones."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests import faults
from tests.faults import FAULTS, Fault

pytestmark = pytest.mark.end_to_end


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with its snapshot made."""
    return faults.template(tmp_path_factory.mktemp("template"))


@pytest.mark.parametrize(
    "found", [pytest.param(f, id=f.name, marks=[pytest.mark.long] if f.long else []) for f in FAULTS]
)
def test_a_fault_costs_one_message_and_nothing_is_lost(found: Fault, template: Path, tmp_path: Path) -> None:
    if {"mounted", "small_disk"} & set(found.inject.__code__.co_names) and not shutil.which("bwrap"):
        pytest.skip("bubblewrap mounts the disk")
    scratch = faults.inject(found, template, tmp_path)
    assert found.faults(scratch) == [], scratch.said
