"""Our own flags leave the line wherever they stand; what is misspelt is named."""

import pytest

from rlexp.cli.flags import Flags, asks_json, take
from rlexp.errors import RunError
from rlexp.inputs import trust

HASH = "a" * 64


@pytest.fixture(autouse=True)
def untouched(monkeypatch):
    monkeypatch.setattr("sys.argv", ["rlexp"])
    monkeypatch.setattr(trust, "_typed", set())


@pytest.mark.parametrize(
    ("line", "flags", "rest"),
    [
        ("--json plan", Flags(json=True), "plan"),
        ("plan seed=1 --json", Flags(json=True), "plan seed=1"),
        ("--json --json", Flags(json=True), ""),
        ("seed=1 --save-as=conf/model/x.yaml -m", Flags(save_as=("conf/model/x.yaml",)), "seed=1 -m"),
        ("plan -- --json", Flags(), "plan -- --json"),
        ("tracking.project=--json", Flags(), "tracking.project=--json"),
        ("+a=--trust", Flags(), "+a=--trust"),
        ("--info defaults --run --cfg=job", Flags(), "--info defaults --run --cfg=job"),
        ("runs --sort --reverse --limit 3", Flags(), "runs --sort --reverse --limit 3"),
        (
            "replay x --dir=y --params=z --level step --check",
            Flags(),
            "replay x --dir=y --params=z --level step --check",
        ),
    ],
)
def test_a_flag_leaves_the_line_and_nothing_else_does(line, flags, rest):
    assert take(line.split()) == (flags, rest.split())
    assert asks_json(line.split()) is flags.json


def test_hashes_are_taken_for_this_process_wherever_they_stand():
    assert take([f"--trust={HASH}", "replay", "x", f"--trust={'b' * 64},{'c' * 64}"])[1] == ["replay", "x"]
    assert trust._typed == {HASH, "b" * 64, "c" * 64}


@pytest.mark.parametrize(
    ("line", "what", "hint"),
    [
        ("plan --jsn", "no flag --jsn", "did you mean --json?"),
        ("plan -json", "no flag -json", "did you mean --json?"),
        ("plan --JSON", "no flag --JSON", "did you mean --json?"),
        ("plan --json=true", "--json takes no value", "type --json alone"),
        ("plan --json=", "--json takes no value", "type --json alone"),
        (f"--trust {HASH}", "behind a blank", f"--trust={HASH}"),
        ("replay x --trust", "needs the hash", "leave --trust out"),
        ("replay x --trust --json", "needs the hash", "leave --trust out"),
        ("replay x --trust=all", "no hash", "without it"),
        (f"replay x --trsut={HASH}", "no flag --trsut", "did you mean --trust=HASH"),
        ("--save-as x.yaml", "behind a blank", "--save-as=x.yaml"),
        ("--save-as=", "needs a value", "--save-as=FILE"),
        ("plan —json", "no flag —json", "did you mean --json?"),
        ("plan --format=json", "no flag --format", "did you mean --json?"),
        ("runs --output json", "no flag --output", "did you mean --json?"),
        ("runs -o json", "no flag -o", "did you mean --json?"),
        ("--save_as=x", "no flag --save_as", "did you mean --save-as=FILE"),
    ],
)
def test_a_flag_that_is_no_flag_is_named(line, what, hint):
    with pytest.raises(RunError) as caught:
        take(line.split())
    assert what in caught.value.what and hint in caught.value.hint
