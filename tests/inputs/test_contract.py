"""Rows against the contract of a data-set type."""

import pytest

from rlexp.compose.schema import DatasetType
from rlexp.errors import RunError
from rlexp.inputs import snapshot
from rlexp.inputs.contract import check_rows, faults


def user(text):
    return [{"role": "user", "content": text}]


def assistant(text):
    return [{"role": "assistant", "content": text}]


@pytest.mark.parametrize(
    ("row", "kind", "expected"),
    [
        ({"prompt": user("hi")}, "prompt_only", []),
        ({"prompt": "hi"}, "prompt_only", []),  # plain text is TRL's standard form
        ({"prompt": None}, "prompt_only", ["prompt is missing"]),
        ({"prompt": "  "}, "prompt_only", ["prompt is empty"]),
        ({"prompt": []}, "prompt_only", ["prompt is empty"]),
        ({"prompt": [{"content": "hi"}]}, "prompt_only", ["prompt is neither text nor a list of {role, content}"]),
        ({"prompt": assistant("hi")}, "prompt_only", ["prompt does not end with a turn of the user"]),
        ({"prompt": "a", "chosen": "b", "rejected": "c"}, "preference", []),
        ({"prompt": "a", "chosen": "b", "rejected": "b"}, "preference", ["chosen and rejected are the same"]),
        ({"prompt": "a", "chosen": user("b"), "rejected": assistant("c")}, "preference", ["chosen does not end"]),
        ({"prompt": "a", "completion": "b"}, "prompt_completion", []),
        ({"prompt": "a", "completion": "b", "label": True}, "unpaired_preference", []),
        ({"prompt": "a", "completion": "b", "label": "yes"}, "unpaired_preference", ["label is not true or false"]),
    ],
)
def test_a_row_is_judged_in_plain_words(row, kind, expected):
    found = list(faults(row, DatasetType[kind]))
    assert len(found) == len(expected)
    assert all(fault.startswith(words) for fault, words in zip(found, expected, strict=True))


def test_the_message_names_the_rows(tmp_path):
    rows = [{"prompt": "fine"}, {"prompt": ""}, {"prompt": "fine"}, {"prompt": " "}]
    snapshot.write({"train": rows, "test": rows[:1]}, tmp_path / "broken", "rows", {})
    with pytest.raises(RunError, match="2 of 4 rows break the contract of prompt_only data: prompt is empty") as caught:
        check_rows(tmp_path / "broken", DatasetType.prompt_only)
    assert "rows 1, 3 " in caught.value.where
