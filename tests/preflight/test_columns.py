"""Text columns of one's own rows that nobody reads are named, and an answer that is an object is refused."""

import dataclasses
from types import SimpleNamespace

import pytest

from rlexp.preflight import columns
from rlexp.verdict import Level


def inputs(*names, reads=("answer",), **more):
    source = SimpleNamespace(columns=reads, wanted_columns=reads)
    kinds = dict.fromkeys(names, "string") | more
    return SimpleNamespace(description={"columns": kinds}, rewards={"correct": source}, data=None)


@pytest.mark.parametrize(
    ("prepare", "found", "unread"),
    [
        ("local", inputs("prompt", "answer", "input", level="int64"), ["input"]),
        ("hub", inputs("prompt", "answer", "input", "source"), ["input", "source"]),
        ("arithmetic", inputs("prompt", "answer", "input"), []),  # a script of the project keeps what it likes
        ("local", inputs("prompt", "answer", "tools", "total"), []),  # the gold completion names total
    ],
)
def test_text_columns_that_nobody_reads_are_named(composed, prepare, found, unread):
    run = composed()
    run = dataclasses.replace(run, dataset=dataclasses.replace(run.dataset, prepare=prepare, gold="{total} {answer}"))
    assert columns.unread(run, found) == unread
    said = columns.verdict(run, found)
    assert said.level is (Level.warning if unread else Level.passed)
    assert all(name in said.message for name in unread)


@pytest.mark.parametrize(("answer", "level"), [("7", "passed"), (None, "passed"), ('{"truth": "7"}', "failed")])
def test_an_answer_is_no_object(composed, monkeypatch, answer, level):
    monkeypatch.setattr(columns, "data_rows", lambda folder, count: [{"answer": answer}])
    assert columns.answer(composed(), inputs("prompt", "answer")).level is Level[level]
