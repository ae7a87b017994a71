"""The terminal of a run."""

import os

import pytest

from rlexp import __main__
from rlexp.console import RunConsole, show_table
from rlexp.errors import RunError
from rlexp.inputs.raised import format_error


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


def test_what_is_printed_steers_no_terminal_and_holds_no_secret(monkeypatch, capsys):
    monkeypatch.setenv("JUDGE_API_KEY", "planted-value-17")
    show_table(("a",), [("b\x1b]0;title\x07\nc",)])
    RunConsole().warn("it raised planted-value-17\x1b[2J")
    shown = capsys.readouterr().out
    assert "\x1b" not in shown and "\x07" not in shown and "planted" not in shown and "it raised ***" in shown
    assert str(RunError("a\x1b[2J", "b\x9b\tc", "d\r")) == "a[2J\n  where: b\tc\n  do:    d"
    assert format_error(ValueError("no planted-value-17")) == "ValueError: no ***"


def test_the_message_that_a_command_ends_with_holds_no_secret(monkeypatch, capsys):
    def refuse(arguments, own):
        raise RunError("the judge refused planted-value-17", hint="ask it")

    monkeypatch.setenv("JUDGE_API_KEY", "planted-value-17")
    monkeypatch.setattr(__main__, "_dispatch", refuse)
    monkeypatch.setattr(__main__, "FULL_ERROR", False)
    with pytest.raises(SystemExit):
        __main__.main()
    assert "refused ***" in capsys.readouterr().err
