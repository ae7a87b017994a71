"""The committed table of TRL's arguments."""

import subprocess
import sys

from rlexp.backend.trl_table import TABLE


def test_the_table_is_that_of_the_installed_trl():
    # A process of its own: here Unsloth may have rewritten TRL's classes already.
    code = "from rlexp.backend.trl_table import render; import sys; sys.stdout.write(render())"
    made = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert made.stdout == TABLE.read_text(), "run `make table` and read the diff"
