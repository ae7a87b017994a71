"""Reward files read as source."""

import pytest

from rlexp.errors import RunError
from rlexp.inputs.reward_source import read


def write(folder, text):
    (folder / "rewards").mkdir()
    (folder / "rewards" / "mine.py").write_text(text)
    return read(folder, "rewards/mine.py")


def test_the_signature_says_what_the_reward_reads_and_takes(tmp_path):
    source = write(tmp_path, "version = 3\ndef score(completions, prompts, answer, *, limit, margin=2): ...")
    assert source.version == 3
    assert source.columns == ("answer",)
    assert source.params == ("limit", "margin")
    assert source.required_params == ("limit",)


def test_a_reward_is_not_imported_to_be_read(tmp_path):
    assert write(tmp_path, "import nowhere_to_be_found\nversion = 1\ndef score(completions): ...").version == 1


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("def score(completions): ...", "says no version"),
        ("version = 1", "no function named score"),
        ("version = 1\ndef score(:", "not valid Python"),
    ],
)
def test_a_file_that_is_no_reward_is_refused(tmp_path, text, what):
    with pytest.raises(RunError, match=what):
        write(tmp_path, text)


def test_a_missing_file_is_answered_with_those_that_exist(root):
    with pytest.raises(RunError) as caught:
        read(root, "rewards/corect.py")
    assert "rewards/correct.py" in caught.value.hint
