"""Reward files read as source."""

import pytest

from rlexp.errors import RunError
from rlexp.inputs.reward_source import read


def write(folder, text):
    (folder / "rewards").mkdir(exist_ok=True)
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
        ("version = True\ndef score(completions): ...", "says no version"),
        ("version = 1\nversion += 1\ndef score(completions): ...", "says no version"),
    ],
)
def test_a_file_that_is_no_reward_is_refused(tmp_path, text, what):
    with pytest.raises(RunError, match=what):
        write(tmp_path, text)


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("from rewards.shared import x", "rewards.shared"),
        ("import numpy, data_prep.y as y", "data_prep.y"),
        ("import helpers", "helpers"),  # a file of the project folder
        ("import beside", "beside"),  # a file of the same folder
        ("from . import beside", "."),
        ("from ..data_prep import y", "..data_prep"),
    ],
)
@pytest.mark.parametrize("body", ["{}\n{}", "{1}\ndef helper():\n    if True:\n        {0}\n"])
def test_a_reward_that_imports_a_file_of_the_project_is_refused(tmp_path, line, name, body):
    for file in ("rewards/beside.py", "data_prep/y.py", "helpers.py"):
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).touch()
    with pytest.raises(RunError, match="a lock holds the reward's own file only") as caught:
        write(tmp_path, body.format(line, "version = 1\ndef score(completions): ..."))
    assert f"imports {name}," in caught.value.what
    assert caught.value.where.startswith("rewards/mine.py:")
    assert "put that code into rewards/mine.py itself" in caught.value.hint


def test_installed_packages_and_rlexp_may_be_imported_whatever_lies_in_the_project(tmp_path):
    for folder in ("yaml", "rlexp", "rewards"):  # as wandb/ holds runs, beside the package wandb
        (tmp_path / folder).mkdir()
    (tmp_path / "rewards/json.py").touch()
    write(tmp_path, "import json, yaml, numpy, rlexp.errors\nversion = 1\ndef score(completions): ...")


def test_a_file_has_one_name_and_lies_in_the_project(tmp_path):
    write(tmp_path, "version: int = 1\ndef score(completions): ...")
    assert read(tmp_path, "./rewards/../rewards/mine.py").file == "rewards/mine.py"
    for file in (str(tmp_path / "rewards/mine.py"), "../mine.py"):
        with pytest.raises(RunError, match="outside of the project"):
            read(tmp_path, file)


def test_a_missing_file_is_answered_with_those_that_exist(root):
    with pytest.raises(RunError) as caught:
        read(root, "rewards/corect.py")
    assert "rewards/correct.py" in caught.value.hint


@pytest.mark.parametrize(
    ("line", "has"),
    [
        ("", False),
        ("cases = []", False),
        ("cases = ()", False),
        ("cases = [{'completion': 'a'}]", True),
        ("cases = [one(n) for n in range(3)]", True),
    ],
)
def test_an_empty_table_of_cases_is_none(tmp_path, line, has):
    assert write(tmp_path, f"version = 1\n{line}\ndef score(completions): ...").has_cases is has
