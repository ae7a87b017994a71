"""What ``pack`` says to type is one command for the shell."""

import shlex

from rlexp.cli import pack


def test_the_line_for_there_names_the_file_whatever_it_is_called(capsys):
    content = {"run": "outputs/a", "identity": "0" * 16, "inputs": {}, "weights": "none", "files": 1, "bytes": 1}
    pack.show({**content, "file": "b ü.zip", "notes": []})
    line = capsys.readouterr().out.splitlines()[-1].removeprefix("there: ")
    assert shlex.split(line) == ["python", "-m", "rlexp", "unpack", "b ü.zip"]
