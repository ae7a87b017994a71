"""Mistakes in the files of conf/: one message with the file, the line and what to write."""

from __future__ import annotations

import pytest

from rlexp.compose.points import CommandLine
from rlexp.errors import RunError
from tests.conftest import copy_project

GLOBAL = "# @package _global_\n"
CASES = [
    (
        "experiment/mine",
        f"{GLOBAL}method:\n  learning_rte: 1e-5\n",
        "no key method.learning_rte",
        ":3",
        "learning_rate?",
    ),
    ("experiment/mine", f"{GLOBAL}methd:\n  beta: 1\n", "no key methd", ":2", "method?"),
    ("experiment/mine", "method:\n  learning_rate: 1e-5\n", "does not begin with", "", "`# @package _global_`"),
    ("experiment/mine", f"{GLOBAL}method:\n\tbeta: 1\n", "begins with a tab", ":3", "two spaces"),
    ("experiment/mine", f"{GLOBAL}method: {{beta: 1\nseed: 1\n", "no YAML", ":3", "close"),
    ("experiment/mine", f"{GLOBAL}seed: 1\nseed: 2\n", "seed stands twice", ":3", "one of the two"),
    ("experiment/mine", b"# \xe9\nseed: 1\n", "not UTF-8", "", "UTF-8"),
    ("experiment/mine", f"{GLOBAL}method:\n  beta: fast\n", "'fast'", ":3", "method.beta="),
    ("experiment/mine", f"{GLOBAL}preflight:\n  smoke: off\n", "YAML reads off", ":3", "preflight.smoke="),
    ("experiment/mine", f"{GLOBAL}defaults:\n  - override /health: off\n", "bool", "", "quote 'off'"),
    (
        "experiment/mine",
        f"{GLOBAL}defaults:\n  - health: strict\n",
        "without `override`",
        "",
        "override /health: strict",
    ),
    ("experiment/mine", f"{GLOBAL}defaults: health\n", "must be a list", "", "override /GROUP"),
    ("experiment/mine", f"{GLOBAL}defaults:\n  - override /helth: strict\n", "no group or key helth", "", "health"),
    ("experiment/mine", f"{GLOBAL}method: dpo\n", "method is a group", ":2", "override /method: dpo"),
    ("experiment/mine", f"{GLOBAL}method: null\n", "method cannot be null", ":2", "override /method: grpo"),
    ("experiment/mine", f"{GLOBAL}health: off\n", "health is a group", ":2", 'override /health: "off"'),
    ("experiment/mine", f"{GLOBAL}reward: [format, corect]\n", "a group", ":2", "override /reward: format+correct"),
    ("experiment/mine", f"{GLOBAL}held_out: 5\n", "held_out is a group of keys", ":2", "held_out: {rows: VALUE}"),
    ("experiment/mine", f"{GLOBAL}- a\n", "the file is a list", "", "KEY: VALUE"),
    ("experiment/mine", f"{GLOBAL}reward:\n  terms: [format]\n", "not ['format']", ":3", "rewards/format.py"),
    ("experiment/mine", f"{GLOBAL}model: {{lora: {{target_modules: {{a: 1}}}}}}\n", "is a list", ":2", "[A, B]"),
    (
        "experiment/mine",
        f"{GLOBAL}defaults:\n  - override /dataset: arithmetic_preferences\n  - /method: dpo\n",
        "method without `override`",
        ":4",
        "`- override /method: dpo`",
    ),
    ("experiment/mine", f"{GLOBAL}defaults:\n  - mine\n", "chooses itself", "", "out of its `defaults:`"),
    ("experiment/mine", f"{GLOBAL}seed: !foo 3\n", "the tag !foo", ":2", "leave the tag out"),
    ("experiment/mine", f"{GLOBAL}seed: *x\n", "nothing is", ":2", "'*x'"),
    ("experiment/mine", f"{GLOBAL}seed: 1\n---\nseed: 2\n", "second document", ":3", "leave out the line ---"),
    ("reward/mine", "terms: [format]\n", "reward.terms is a group", ":1", "rewards/format.py"),
    ("model/mine", "name: mine\npath: models/tiny\nlora: {r: many}\n", "'many'", ":3", "model.lora.r="),
    ("reward/mine", "terms:\n  mine:\n    fil: rewards/format.py\n", "no key reward.terms.mine.fil", ":3", "file?"),
    ("config", "defaults: [\n", "no YAML", ":2", "close"),
]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return copy_project(tmp_path_factory.mktemp("conf") / "project")


@pytest.mark.parametrize(("option", "content", "what", "line", "hint"), CASES)
def test_a_mistake_in_a_file_names_file_line_and_what_to_write(place, option, content, what, line, hint):
    file = place / f"conf/{option}.yaml"
    before = file.read_bytes() if file.is_file() else None
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    group, _, name = option.rpartition("/")
    try:
        with pytest.raises(RunError) as caught:
            CommandLine(place, [f"{group}={name}"] if group else []).points()
    finally:
        file.unlink() if before is None else file.write_bytes(before)
    error = caught.value
    assert what in error.what and hint in error.hint
    assert error.where.endswith(f"conf/{option}.yaml{line}")
