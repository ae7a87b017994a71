"""Python files of the team: loaded, and run in a process of their own; each mistake is one message with its line."""

from __future__ import annotations

import time

import pytest

from rlexp.errors import RunError
from rlexp.inputs.prepare import prepare
from rlexp.inputs.script import load_script

HEAD = '"""Rows."""\n\nfrom __future__ import annotations\n\n'
ROW = '{"prompt": "a", "answer": "1"}'
BOTH = f'{{"train": [{ROW}] * 8, "test": [{ROW}]}}'
SMALL = (
    "dataset.name=mine",
    "dataset.prepare=mine",
    *(f"~dataset.params.{n}" for n in ("high", "low", "seed", "test", "train")),
)


@pytest.fixture
def made(composed, project):
    """Makes the snapshot of a script whose function ``rows`` has this body."""

    def make(body, head=HEAD, signature="", overrides=()):
        lines = "".join(f"    {line}\n" for line in body.splitlines())
        (project / "data_prep/mine.py").write_text(f"{head}def rows({signature}):\n{lines}")
        return prepare(composed(*SMALL, *overrides), project)

    return make


@pytest.mark.parametrize(
    ("body", "what", "where"),
    [
        ("raise ValueError('boom')", "raised ValueError: boom", "data_prep/mine.py:6"),
        ("import sys; sys.exit(0)", "raised SystemExit: 0", "data_prep/mine.py:6"),
        ("import os; os._exit(0)", "ended its process (exit code 0) before it answered", "data_prep/mine.py"),
        ("import os; os.kill(os.getpid(), 9)", "was killed by signal 9", "data_prep/mine.py"),
        ("import nowhere_at_all", "raised ModuleNotFoundError: No module named", "data_prep/mine.py:6"),
        ("return 3", "rows() answered a int, not its splits", "data_prep/mine.py"),
        ("return [1, 2]", "rows() answered a list, not its splits", "data_prep/mine.py"),
        ("return None", "rows() answered None", "data_prep/mine.py"),
        ('return {"test": [{"prompt": "a"}]}', "no train split, but test", "data_prep/mine.py"),
        ('return {"train": ["text"]}', "row 0 of the train split is a str, not a dict", "data_prep/mine.py"),
        ('return {"train": "text"}', "the train split is a str, not a list of rows", "data_prep/mine.py"),
        (
            'return {"train": [{"prompt": "a"}, {"prompt": 1}], "test": []}',
            "the test split has no rows",
            "data_prep/mine.py",
        ),
        ('return {"train": [{"prompt": "a"}, {"prompt": 1}]}', "column prompt: ", "data_prep/mine.py"),
        ("return (", "raised SyntaxError: '(' was never closed", "data_prep/mine.py:6"),
        ("from arithmetic import rows", "imports arithmetic, another file of the project", "data_prep/mine.py:6"),
        ("from data_prep.arithmetic import rows", "imports data_prep.arithmetic", "data_prep/mine.py:6"),
        ("from . import arithmetic", "imports ., another file of the project", "data_prep/mine.py:6"),
    ],
)
def test_a_mistake_of_a_script_is_one_message_with_its_line_and_leaves_nothing(made, project, body, what, where):
    with pytest.raises(RunError) as caught:
        made(body)
    assert what in caught.value.what and caught.value.where == where
    assert not (project / "data").exists() or not any((project / "data").iterdir())


def test_a_missing_parameter_is_named_with_what_to_type(made):
    with pytest.raises(RunError, match=r"rows\(\) of data_prep/mine.py needs count") as caught:
        made("return {}", signature="count")
    assert caught.value.hint == "type +dataset.params.count=VALUE"


def test_dataclasses_with_postponed_annotations_work(made):
    head = HEAD + "from dataclasses import asdict, dataclass\n\n\n@dataclass\nclass Row:\n    prompt: str\n"
    head += "    answer: str\n\n\n"
    inputs = made("row = asdict(Row('a', '1'))\nreturn {'train': [row] * 8, 'test': [row]}", head)
    assert inputs.description["columns"] == {"prompt": "string", "answer": "string"}


def test_two_files_of_one_name_are_two_modules(tmp_path):
    for number in "12":
        (tmp_path / number / "rewards").mkdir(parents=True)
        (tmp_path / number / "rewards/one.py").write_text(f"class Own:\n    number = {number}\n")
    one, two = (load_script(tmp_path / number / "rewards/one.py") for number in "12")
    assert (one.Own.number, two.Own.number) == (1, 2) and one.Own.__module__ != two.Own.__module__


def test_a_snapshot_without_a_test_split_trains_only_without_the_comparison(made):
    only = f'return {{"train": [{ROW}] * 8}}'
    with pytest.raises(RunError, match="no test split to measure on; it has train") as caught:
        made(only)
    assert "held_out.rows=0" in caught.value.hint
    assert made(only, overrides=("held_out.rows=0",)).description["splits"]["train"]["rows"] == 8


def test_a_corrected_script_is_not_hidden_by_the_snapshot_of_the_wrong_one(made, project):
    with pytest.raises(RunError, match="a step takes 8 different prompts"):
        made(f'return {{"train": [{ROW}], "test": [{ROW}]}}')
    with pytest.raises(RunError, match=r"made by another version of data_prep/mine.py") as caught:
        made(f"return {BOTH}")
    assert "mv data/mine data/mine_old" in caught.value.hint
    (project / "data/mine").rename(project / "data/mine_old")
    assert made(f"return {BOTH}").description["splits"]["train"]["rows"] == 8


@pytest.mark.parametrize("damage", [lambda old: old[:-20], lambda old: old[:40] + b"x" + old[41:], lambda old: b""])
def test_a_snapshot_that_was_edited_or_damaged_is_named(made, project, damage):
    made(f"return {BOTH}")
    path = project / "data/mine/train.parquet"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(RunError, match=r"train.parquet is not the file that was written") as caught:
        made(f"return {BOTH}")
    assert "mv data/mine data/mine_edited" in caught.value.hint


def test_two_that_make_the_same_at_once_take_what_the_first_left(made, project, composed):
    import threading

    head = HEAD + "import time\n\n"
    (project / "data_prep/mine.py").write_text(f"{head}def rows():\n    time.sleep(1)\n    return {BOTH}\n")
    run, answers = composed(*SMALL), []
    threads = [threading.Thread(target=lambda: answers.append(prepare(run, project))) for _ in range(3)]
    for thread in threads:
        thread.start()
        time.sleep(0.2)
    for thread in threads:
        thread.join()
    assert [answer.description["splits"]["train"]["rows"] for answer in answers] == [8] * 3
    assert [path.name for path in (project / "data").iterdir()] == ["mine"]
