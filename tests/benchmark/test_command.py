"""What may be typed behind ``benchmark``: a mistake is one message that says what to type, and nothing is loaded."""

from __future__ import annotations

from pathlib import Path

import pytest

from rlexp.api import benchmark as api
from rlexp.cli import benchmark
from rlexp.errors import RunError
from rlexp.record.exports import Artifact


@pytest.mark.parametrize(
    ("words", "what", "hint"),
    [
        ([], "no run is named", "benchmark RUN"),
        (["a", "b"], "one run is benchmarked at a time", "benchmark a"),
        (["a", "--requests", "0"], "--requests takes a whole number above 0", "--requests 8"),
        (["a", "--requests", "2.5"], "--requests takes a whole number above 0", "--requests 8"),
        (["a", "--p99", "-1"], "--p99 takes a number above 0", "--p99 2"),
        (["a", "--p99", "nan"], "--p99 takes a number above 0", "--p99 2"),
        (["a", "--seconds", "soon"], "--seconds takes a number above 0", "--seconds 2"),
    ],
)
def test_a_mistake_says_what_to_type(tmp_path, words, what, hint):
    with pytest.raises(RunError) as caught:
        benchmark.command(words, tmp_path)
    assert caught.value.what == what and hint in caught.value.hint and caught.value.exit_code == 2


def artifact(name: str, kind: str, run: str = "outputs/a") -> Artifact:
    return Artifact(Path(name), {"name": name, "kind": kind, "of": {"run": run, "step": None}})


THERE = [artifact("merged", "merged"), artifact("gguf-f16", "gguf"), artifact("gguf-q8_0", "gguf")]


def test_formats_that_are_named_are_chosen_of_those_that_are_there():
    assert api._chosen(THERE, (), "outputs/a", "exports/a") == THERE
    assert api._chosen(THERE, ("gguf",), "outputs/a", "exports/a") == THERE[1:]


@pytest.mark.parametrize(
    ("there", "formats", "what", "hint"),
    [
        ([], (), "nothing of outputs/a is exported", "export outputs/a export=merged+gguf first"),
        (THERE, ("onnx",), "onnx of outputs/a is not exported", "export=merged"),
        ([artifact("merged", "merged", "outputs/b")], (), "the exports of outputs/b lie there", "export.dir="),
    ],
)
def test_what_is_not_exported_is_said(there, formats, what, hint):
    with pytest.raises(RunError) as caught:
        api._chosen(there, formats, "outputs/a", "exports/a")
    assert caught.value.what == what and hint in caught.value.hint
