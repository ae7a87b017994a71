"""Every script of perf/ says what it measures, on any machine."""

import subprocess
import sys

import pytest

from tests.conftest import ROOT

SCRIPTS = [path.name for path in sorted((ROOT / "perf").glob("*.py")) if '__name__ == "__main__"' in path.read_text()]


@pytest.mark.parametrize("script", [*SCRIPTS, "by_hand_grpo.py"])
def test_help_says_what_a_script_measures_and_measures_nothing(script):
    command = [sys.executable, f"perf/{script}", "--help"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
    assert "sage" in done.stdout and len(done.stdout) > 200
