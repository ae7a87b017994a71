"""The Python blocks of docs/api.md run, in order, as one script, and print what the comments behind ``print`` say."""

from __future__ import annotations

import re

import pytest

from tests.conftest import ROOT
from tests.docs.test_docs import agrees, blocks, clone, typed  # noqa: F401  # a fixture

PAGE = ROOT / "docs/api.md"
EXPECTED = re.compile(r"^\s*print\(.*\)  # (.+)$", re.MULTILINE)


def untitled() -> list[str]:
    return [block.text for block in blocks(PAGE.read_text()) if block.language == "python" and not block.title]


def test_the_page_has_blocks_and_says_what_they_print():
    assert len(untitled()) >= 5 and len(EXPECTED.findall("".join(untitled()))) >= 8


@pytest.mark.long
@pytest.mark.end_to_end
def test_the_python_blocks_of_the_page_print_what_it_shows(clone):  # noqa: F811
    script = "\n".join(untitled())
    (clone / "page.py").write_text(script)
    code, said = typed("python page.py", clone)
    assert code == 0, said
    lines = iter(said.splitlines())
    for shown in EXPECTED.findall(script):
        assert any(agrees((shown,), line) for line in lines), f"not printed, or not in this place: {shown}\n{said}"
