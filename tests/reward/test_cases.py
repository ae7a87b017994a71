"""The table of cases in a reward file: what a case may say, and what is said where it does not hold."""

import pytest

from rlexp.errors import RunError
from rlexp.inputs.reward_source import read
from rlexp.reward.cases import run_cases

LENGTH = """
version = 1

def score(completions, prompts, answer, note=None, *, scale, plus=0):
    if "raise" in completions[0]: raise ValueError("planted")
    if "silent" in completions[0]: raise ValueError
    if "word" in completions[0]: return ["1"]
    if "none" in completions[0]: return [None]
    return [len(c + p + a) / scale + plus for c, p, a in zip(completions, prompts, answer)]
"""
FULL = {"completion": "aa", "prompt": "b", "answer": "c", "scale": 2}


@pytest.fixture
def outcomes(tmp_path):
    def run(body, cases, **params):
        (tmp_path / "rewards").mkdir(exist_ok=True)
        (tmp_path / "rewards/mine.py").write_text(f"{body}\ncases = {cases!r}\n")
        return run_cases(read(tmp_path, "rewards/mine.py"), params)

    return run


@pytest.mark.parametrize(
    ("case", "problem"),
    [
        ({"score": 2.0}, None),
        ({"score": 2}, None),
        ({"score": 2.0 + 1e-10}, None),
        ({"score": 2.1}, "expected 2.1, got 2.0"),
        ({"score": None}, "expected None, got 2.0"),
        ({"score": "2"}, "expected '2', got 2.0"),
        ({"completion": "none", "score": None}, None),
        ({"completion": "none", "score": 0.0}, "expected 0.0, got None"),
        ({"completion": "none", "at_least": 0}, "expected at least 0, got None"),
        ({"completion": "none", "at_least": None}, "expected at least None, got None"),
        ({"at_least": 2.0}, None),
        ({"at_least": 2.1}, "expected at least 2.1, got 2.0"),
        ({"at_least": 1}, None),
        ({"at_most": 2.0}, None),
        ({"at_most": 1.9}, "expected at most 1.9, got 2.0"),
        ({"at_least": 1, "at_most": 1.5}, "expected at most 1.5, got 2.0"),
        ({"at_least": 1, "at_most": 3}, None),
        ({"scale": 4, "score": 1.0}, None),
        ({"plus": 1, "score": 3.0}, None),
        ({"completion": "raise", "score": 1}, "raised ValueError: planted (rewards/mine.py:5)"),
        ({"completion": "silent", "score": 1}, "raised ValueError (rewards/mine.py:6)"),
        ({"completion": "word", "score": 1}, "the reward mine scored '1', which is no finite number"),
        ({}, "says no score"),
    ],
)
def test_a_case_holds_or_says_why_not(outcomes, case, problem):
    (outcome,) = outcomes(LENGTH, [{**FULL, **case}])
    assert outcome.problem == problem


@pytest.mark.parametrize(
    ("missing", "problem"),
    [
        (["answer"], "says no answer"),
        (["prompt", "score"], "says no prompt and no score"),
        (["scale"], "says no scale"),
        (["completion"], "says no completion"),
    ],
)
def test_a_case_that_lacks_something_says_what(outcomes, missing, problem):
    case = {name: value for name, value in {**FULL, "score": 2.0}.items() if name not in missing}
    assert outcomes(LENGTH, [case])[0].problem == problem


def test_a_parameter_comes_from_the_run_where_the_case_does_not_say_it(outcomes):
    case = {name: value for name, value in FULL.items() if name != "scale"}
    assert outcomes(LENGTH, [{**case, "score": 1.0}], scale=4)[0].problem is None
    assert outcomes(LENGTH, [{**FULL, "score": 2.0}], scale=4)[0].problem is None  # the case goes before


def test_a_case_is_shown_by_its_completion_shortened(outcomes):
    shown = [o.shown for o in outcomes(LENGTH, [{**FULL, "completion": text, "score": 0} for text in ("x", "y" * 99)])]
    assert shown == ["'x'", f"'{'y' * 55}...'"] and len(shown[1]) == 60
    assert outcomes(LENGTH, [{**FULL, "completion": "y" * 58, "score": 0}])[0].shown == repr("y" * 58)
    assert outcomes(LENGTH, ["no case"])[0] == outcomes(LENGTH, ["no case"])[0]
    assert outcomes(LENGTH, ["no case"])[0].problem == "is no dictionary"


def test_an_optional_column_is_read_where_the_case_has_it(outcomes):
    body = "version = 1\ndef score(completions, note=None): return [0.0 if note is None else float(note[0])]"
    found = outcomes(body, [{"completion": "a", "score": 0.0}, {"completion": "a", "note": 3, "score": 3.0}])
    assert [outcome.problem for outcome in found] == [None, None]
    ids = "version = 1\ndef score(completion_ids): return [float(len(completion_ids[0]))]"
    assert (
        outcomes(ids, [{"completion_ids": [1, 2], "score": 2.0}])[0]
        == outcomes(ids, [{"completion_ids": [1, 2], "score": 2.0}])[0]
    )
    (found,) = outcomes(ids, [{"completion_ids": [1, 2], "score": 2.0}])
    assert (found.shown, found.problem) == ("[[1, 2]]", None)


GROUP = """
version = 1

def score_group(completions, answer, *, scale=1.0):
    if "raise" in completions: raise ValueError("planted")
    if "short" in completions: return []
    return [completions.count(c) * scale for c in completions]
"""
PAIR = {"completions": ["a", "a"], "answer": "x"}


@pytest.mark.parametrize(
    ("case", "problem"),
    [
        ({**PAIR, "scores": [2.0, 2.0]}, None),
        ({**PAIR, "scores": [2.0, 3.0]}, "expected 3.0, got 2.0"),
        ({**PAIR, "scores": [1.0, 1.0], "scale": 0.5}, None),
        ({"completions": ["a"], "scores": [1.0]}, "says no answer"),
        ({"completions": ["a"], "answer": "x"}, "says no completions and scores of a group"),
        ("a", "says no completions and scores of a group"),
        ({"completions": ["raise"], "answer": "x", "scores": [1]}, "raised ValueError: planted (rewards/mine.py:5)"),
        (
            {"completions": ["short"], "answer": "x", "scores": [1]},
            "the reward mine answered 0 scores for 1 completions",
        ),
    ],
)
def test_a_case_of_a_group_has_a_score_for_each_completion(outcomes, case, problem):
    assert outcomes(GROUP, [case])[0].problem == problem


def test_a_file_without_cases_has_no_outcomes_and_cases_are_a_list(outcomes, tmp_path):
    assert outcomes(LENGTH, []) == []
    (tmp_path / "rewards/mine.py").write_text(LENGTH)
    assert run_cases(read(tmp_path, "rewards/mine.py"), {}) == []
    with pytest.raises(RunError, match="are no list") as caught:
        outcomes(LENGTH, {"a": 1})
    assert caught.value.where == "rewards/mine.py"


def test_a_file_that_cannot_be_imported_says_where(outcomes):
    with pytest.raises(RunError, match="raised ValueError: no when imported") as caught:
        outcomes("version = 1\nraise ValueError('no')\ndef score(completions): return []", [])
    assert caught.value.where == "rewards/mine.py:2"
