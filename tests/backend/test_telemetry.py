"""What libraries send about runs is off, unless the user said otherwise."""

from __future__ import annotations

import subprocess
import sys

import pytest

from rlexp.backend import telemetry

SCRIPT = """
from rlexp.backend import telemetry
telemetry.switch_off()
from huggingface_hub import constants
print(constants.HF_HUB_DISABLE_TELEMETRY, telemetry.state()["HF_HUB_DISABLE_TELEMETRY"])
"""


@pytest.mark.parametrize(("typed", "said"), [({}, "True off"), ({"HF_HUB_DISABLE_TELEMETRY": "0"}, "False on")])
def test_the_hub_library_is_told_before_it_is_imported(monkeypatch, typed, said):
    for name in telemetry.OFF:
        monkeypatch.delenv(name, raising=False)
    for name, value in typed.items():
        monkeypatch.setenv(name, value)
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == said, done.stderr


def test_what_the_user_set_stays_and_is_said(monkeypatch):
    for name in telemetry.OFF:
        monkeypatch.delenv(name, raising=False)
    assert set(telemetry.state().values()) == {"on"}
    monkeypatch.setenv("VLLM_NO_USAGE_STATS", "0")
    telemetry.switch_off()
    state = telemetry.state()
    assert state.pop("VLLM_NO_USAGE_STATS") == "on" and set(state.values()) == {"off"}
