"""The command line of inspect."""

import dataclasses

import pytest

from rlexp.cli.inspect_words import OWN, sort_out
from rlexp.compose.schema import RunSchema
from rlexp.errors import RunError
from rlexp.record.completions import parse_steps


def test_no_option_of_inspect_has_the_name_of_a_config_group():
    assert not set(OWN) & {field.name for field in dataclasses.fields(RunSchema)}


def test_words_are_told_apart():
    found = sort_out(["model=tiny", "rows=2", "where=correct<1", "where=cut", "~tracking", "+seed=3", "split=test"])
    assert found.overrides == ["model=tiny", "~tracking", "+seed=3"] and found.run is None
    assert (found.rows, found.where, found.split) == (2, ["correct<1", "cut"], "test")
    assert sort_out(["outputs/a", "step=1..20"]).step == "1..20"


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["row=3"], "rows=3"),
        (["step=3"], "type inspect RUN step=3"),
        (["outputs/a", "checkpont=3"], "checkpoint=3"),
        (["outputs/a", "method.beta=1"], "leave it out"),
        (["outputs/a", "outputs/b"], "name one run"),
        (["rows=0"], "rows=4"),
        (["generations=x"], "generations=8"),
        (["split=tst"], "split=test"),
    ],
)
def test_a_wrong_word_says_the_right_one(words, hint):
    with pytest.raises(RunError) as raised:
        sort_out(words)
    assert hint in str(raised.value)


@pytest.mark.parametrize(
    ("text", "steps"), [("last", [9]), ("3", [3]), ("1,9", [1, 9]), ("2..9", [3, 9]), ("0..99", [1, 3, 9])]
)
def test_steps_are_named_alone_in_lists_and_in_ranges(text, steps, tmp_path):
    assert parse_steps(text, [1, 3, 9], tmp_path) == steps


@pytest.mark.parametrize(
    ("text", "hint"), [("7", "step=9"), ("0", "step=1"), ("1,4", "step=3"), ("20..30", "step=9"), ("lst", "step=last")]
)
def test_a_step_that_was_not_stored_says_the_nearest(text, hint, tmp_path):
    with pytest.raises(RunError) as raised:
        parse_steps(text, [1, 3, 9], tmp_path)
    assert hint in str(raised.value)
    with pytest.raises(RunError, match="stored no completions"):
        parse_steps(text, [], tmp_path)
