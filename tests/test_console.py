"""The terminal of a run."""

import os

from rlexp.console import RunConsole


def test_a_run_goes_on_when_nobody_reads_its_lines_any_more(monkeypatch):
    reader, writer = os.pipe()
    with os.fdopen(writer, "w", buffering=1) as stream:
        monkeypatch.setattr("sys.stdout", stream)
        console = RunConsole()
        os.close(reader)  # | head
        console.print("a line")
        console.print("another")
        stream.write("a library's\n")
        stream.flush()
