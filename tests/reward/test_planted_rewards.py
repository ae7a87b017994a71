"""Planted bugs: each is caught by the cases, the suite or the rows of the data, before anything is loaded."""

import pytest

from rlexp import project as projects
from rlexp.cli.score import command
from rlexp.errors import RunError
from rlexp.inputs.reward_source import read
from rlexp.reward.trial import try_rewards
from tests.conftest import rlexp

GOOD = """
import re

version = 1
bounds = (0.0, 1.0)
ANSWER = re.compile("<answer>(.*?)</answer>")


def score(completions, answer):
    return [_one(completion, gold) for completion, gold in zip(completions, answer)]


def _one(completion, gold):
    found = ANSWER.findall(completion)
    return float(len(found) == 1 and found[0] == gold)


cases = [{"completion": "<answer>4</answer>", "answer": "4", "score": 1.0}]
"""
SCORES = "    return [_one(completion, gold) for completion, gold in zip(completions, answer)]"
CASE = 'cases = [{"completion": "Apple", "answer": "Apple", "score": 1.0}]'
WORDS = [("Name a fruit.", "Apple"), ("Name a tree.", "Oak tree"), ("Name a bird.", "Owl"), ("Name a fish.", "Eel")]


@pytest.fixture
def words(project):
    """A project with a data set of words, and the good reward as rewards/mine.py."""
    lines = [f'{{"prompt": "{prompt} ({n})", "answer": "{answer}"}}' for n in range(8) for prompt, answer in WORDS]
    (project / "words.jsonl").write_text("\n".join(lines))
    (project / "conf/reward/mine.yaml").write_text("terms: {mine: {file: rewards/mine.py}}\n")
    (project / "rewards/mine.py").write_text(GOOD)
    return project


def plant(project, old, new):
    text = (project / "rewards/mine.py").read_text()
    assert old in text
    (project / "rewards/mine.py").write_text(text.replace(old, new))


ARGUMENTS = ("reward=mine", "dataset=local", "dataset.params.file=words.jsonl", "hardware.reward_workers=1")


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        pytest.param(SCORES, f"{SCORES}[1:]", "answered 0 scores for 1 completions", id="wrong length"),
        pytest.param(
            "return float(",
            'return float("nan") if "7" in completion else float(',
            "nan",
            id="NaN",
            marks=pytest.mark.long,
        ),
        pytest.param("found = ANSWER", "1 / len(completion.strip())\n    found = ANSWER", "ZeroDivision", id="raises"),
        pytest.param(
            "return float(",
            "import random\n    return random.random() or float(",
            "not determin",
            id="random",
            marks=pytest.mark.long,
        ),
        pytest.param("return float(", "return 3.0 * float(", "outside of its declared range", id="out of range"),
        pytest.param(
            SCORES,
            f"    completions = sorted(completions)\n{SCORES}",
            "otherwise in a batch",
            id="depends on the batch",
            marks=pytest.mark.long,
        ),
        pytest.param(SCORES, f"    answer.append('')\n{SCORES}", "changes what it is given", id="changes its input"),
        pytest.param(
            "float(len(found) == 1 and found[0] == gold)",
            "float(gold in completion)",
            "outside of the tags",
            id="anywhere counts",
            marks=pytest.mark.long,
        ),
        pytest.param("found[0] == gold", "found[0].lower() == gold", "gold", id="ignores case on one side"),
        pytest.param(
            "found[0] == gold",
            "found[0].lower() == gold.lower()",
            "the answer in another case",
            id="ignores case",
            marks=pytest.mark.long,
        ),
        pytest.param("len(found) == 1 and found[0] == gold", "gold in found", "tag of its own", id="several answers"),
        pytest.param(
            "len(found) == 1 and found[0] == gold",
            "bool(completion)",
            "the prompt copied",
            id="any text",
            marks=pytest.mark.long,
        ),
    ],
)
def test_a_planted_bug_is_caught(words, monkeypatch, capsys, old, new, says):
    monkeypatch.setattr(projects, "root", lambda: words)
    monkeypatch.chdir(words)
    plant(words, old, new)
    assert command(list(ARGUMENTS), words).exit_code == 1
    assert says in capsys.readouterr().out


def test_a_reward_that_scores_the_prompt_is_caught(words, monkeypatch, capsys):
    monkeypatch.setattr(projects, "root", lambda: words)
    monkeypatch.chdir(words)
    plant(words, "def score(completions, answer):", "def score(completions, prompts, answer):")
    plant(words, '"completion": ', '"prompt": "4?", "completion": ')
    plant(
        words,
        "in zip(completions, answer)]",
        "in zip([f'<answer>{a}</answer>{p[:0]}' for p, a in zip(prompts, answer)], answer)]",
    )
    assert command(list(ARGUMENTS), words).exit_code == 1
    assert "nothing, row 0: mine gives it 1" in capsys.readouterr().out


def test_the_good_reward_passes(words, monkeypatch, capsys):
    monkeypatch.setattr(projects, "root", lambda: words)
    monkeypatch.chdir(words)
    assert command(list(ARGUMENTS), words).exit_code == 0
    said = capsys.readouterr().out
    assert "gold" in said and "1 of 1" in said and "passed" in said


@pytest.mark.parametrize(("says", "code"), [('ignores = ("place",)', 0), ("", 1)])
def test_a_reward_may_say_that_the_place_of_an_answer_is_free(words, monkeypatch, capsys, says, code):
    monkeypatch.setattr(projects, "root", lambda: words)
    monkeypatch.chdir(words)
    plant(words, "bounds =", f"{says}\nbounds =")
    plant(words, "found = ANSWER.findall(completion)", "found = re.findall('Apple|Oak tree|Owl|Eel', completion)[-2:]")
    plant(words, "len(found) == 1 and found[0] == gold", "bool(found) and {*found} == {gold}")
    plant(words, 'cases = [{"completion": "<answer>4</answer>", "answer": "4", "score": 1.0}]', CASE)
    assert command(list(ARGUMENTS), words).exit_code == code
    assert ("the answer outside of the tags, row 0" in capsys.readouterr().out) is bool(code)


def test_a_wrong_column_is_named_before_anything_runs(words):
    plant(words, "def score(completions, answer):", "def score(completions, anwser):")
    done = rlexp(words, *ARGUMENTS)
    assert done.returncode == 2 and "reads the column anwser" in done.stderr and "did you mean answer?" in done.stderr


def test_a_run_does_not_start_with_a_reward_whose_cases_fail(words):
    plant(words, '"answer": "4", "score": 1.0', '"answer": "5", "score": 1.0')
    done = rlexp(words, *ARGUMENTS)
    assert done.returncode == 2, done.stdout
    assert "the reward mine fails: case 1" in done.stderr and "nothing was started" in done.stderr
    assert not (words / "outputs").exists()


def test_a_reward_that_hangs_is_given_up(words, monkeypatch):
    monkeypatch.setattr("rlexp.reward.trial.TRIAL_SECONDS", 3.0)
    plant(words, "found = ANSWER", "while not completion.strip(): pass\n    found = ANSWER")
    with pytest.raises(RunError, match="hangs"):
        try_rewards([(read(words, "rewards/mine.py"), {})], [])


def test_a_group_reward_has_cases_of_groups(words):
    (words / "rewards/mine.py").write_text(
        "version = 1\n\n\ndef score_group(completions):\n"
        "    return [1.0 / completions.count(text) for text in completions]\n\n\n"
        'cases = [{"completions": ["a", "a", "b"], "scores": [0.5, 0.5, 1.0]},\n'
        '         {"completions": ["a"], "scores": [0.0]}]\n'
    )
    (trial,) = try_rewards([(read(words, "rewards/mine.py"), {})], [])
    assert trial.problems == ["case 2: ['a'] expected 0.0, got 1.0"]


def test_a_column_with_a_default_is_taken_where_it_is_and_not_missed_where_it_is_not(words):
    plant(words, "def score(completions, answer):", "def score(completions, answer, note=None):")
    source = read(words, "rewards/mine.py")
    assert source.columns == ("answer",) and source.wanted_columns == ("answer", "note")
    assert try_rewards([(source, {})], [])[0].problems == []
