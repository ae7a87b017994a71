"""The verb score: the cases of the rewards, and the versions of their code."""

import pytest

from rlexp import project as projects
from rlexp.cli.score import command
from rlexp.errors import RunError
from rlexp.inputs import reward_versions
from tests.conftest import files, rlexp

MINE = """version = 1


def score(completions, answer, *, limit=9):
    return [1.0 / len(text) if gold in text[:limit] else None for text, gold in zip(completions, answer)]


cases = [
    {"completion": "42", "answer": "4", "score": 0.5},
    {"completion": "24", "answer": "4", "limit": 1, "score": None},
]
"""


@pytest.fixture
def scored(project, monkeypatch, capsys):
    """Runs the verb in a copy of the project, in this process: (exit code, lines printed)."""
    monkeypatch.setattr(projects, "root", lambda: project)

    def run(*arguments):
        answer = command(list(arguments), project)
        answer.show()
        return answer.exit_code, capsys.readouterr().out.splitlines()

    return run


def write(project, text=MINE, name="mine"):
    (project / f"rewards/{name}.py").write_text(text)
    (project / f"conf/reward/{name}.yaml").write_text(f"terms: {{{name}: {{file: rewards/{name}.py}}}}\n")


def row(lines, name):
    return next(line.split()[1:] for line in lines if line.split()[:1] == [name])


def test_the_shipped_rewards_pass_their_cases_and_are_recorded(project):
    before = files(project)
    done = rlexp(project, "score", PYTHONPROFILEIMPORTTIME="1")
    assert done.returncode == 0, done.stderr
    assert row(done.stdout.splitlines(), "correct") == ["3", "recorded", "51", "of", "51", "passed"]
    assert row(done.stdout.splitlines(), "length") == ["1", "recorded", "6", "of", "6", "passed"]
    assert "--record" not in done.stdout
    assert not any(line.split("|")[-1].strip() == "torch" for line in done.stderr.splitlines())
    assert files(project) == before


def test_overrides_choose_the_rewards(scored):
    code, lines = scored("reward=format+length", "reward.terms.length.params.margin=4")
    assert code == 0
    assert [row(lines, name)[0] for name in ("format", "length")] == ["2", "1"]


def test_a_case_is_scored_with_the_composed_parameters_that_it_does_not_set(project, scored):
    write(project)
    assert scored("reward=mine")[0] == 0
    code, lines = scored("reward=mine", "+reward.terms.mine.params.limit=0")
    assert code == 1
    assert "mine, case 1: '42' expected 0.5, got None" in lines
    assert row(lines, "mine") == ["1", "new", "1", "of", "2", "passed"]


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ('"score": 0.5', '"score": 0.25', "mine, case 1: '42' expected 0.25, got 0.5"),
        ('"score": None', '"score": 1', "mine, case 2: '24' expected 1, got None"),
        ('"score": 0.5', '"at_most": 0.4', "mine, case 1: '42' expected at most 0.4, got 0.5"),
        ('"score": 0.5', '"at_least": 0.6', "mine, case 1: '42' expected at least 0.6, got 0.5"),
        ('"score": 0.5', '"at_least": 0.1, "at_most": 0.2', "mine, case 1: '42' expected at most 0.2, got 0.5"),
        ('"score": None', '"at_most": 1', "mine, case 2: '24' expected at most 1, got None"),
        ('"score": None', '"at_least": None', "mine, case 2: '24' expected at least None, got None"),
        ('"score": 0.5', '"score": "0.5"', "mine, case 1: '42' expected '0.5', got 0.5"),
        ('"score": 0.5', '"note": 0.5', "mine, case 1: '42' says no score"),
        ('"42", "answer": "4",', '"42",', "mine, case 1: '42' says no answer"),
        ("limit=9", "limit", "mine, case 1: '42' says no limit"),
        ("cases = [", "cases = [3,", "mine, case 1: 3 is no dictionary"),
        (
            '{"completion": "42", "answer": "4"',
            '{"completion": "", "answer": ""',
            "mine, case 1: '' raised ZeroDivisionError: float division by zero (rewards/mine.py:5)",
        ),
        ("1.0 / len(text)", "'much'", "mine, case 1: '42' the reward mine scored 'much', which is no finite number"),
        (
            " zip(completions, answer)]",
            " []]",
            "mine, case 1: '42' the reward mine answered 0 scores for 1 completions",
        ),
        ('"42"', f'"42{"0" * 90}"', f"mine, case 1: '42{'0' * 53}...' expected 0.5, got {1 / 92!r}"),
    ],
)
def test_a_case_that_fails_is_shown_and_nothing_is_recorded(project, scored, old, new, line):
    assert old in MINE
    write(project, MINE.replace(old, new))
    before = (project / reward_versions.FILE).read_text()
    code, lines = scored("--record")
    assert code == 1
    assert line in lines
    assert lines[-1] == "nothing was recorded"
    assert (project / reward_versions.FILE).read_text() == before


@pytest.mark.parametrize("limits", ['"at_most": 0.5', '"at_least": 0.5', '"at_least": 0.2, "at_most": 0.9'])
def test_a_case_may_say_limits_instead_of_a_score(project, scored, limits):
    write(project, MINE.replace('"score": 0.5', limits))
    assert scored("reward=mine")[0] == 0


def test_an_asynchronous_reward_is_waited_for(project, scored):
    write(project, MINE.replace("def score", "async def score"))
    code, lines = scored("reward=mine")
    assert code == 0
    assert row(lines, "mine")[:5] == ["1", "new", "2", "of", "2"]


def test_a_library_that_raises_is_placed_at_the_line_of_the_reward(project, scored):
    body = "return [json.loads(text) for text in completions]\n\n\ncases = [{'completion': '[/]', 'score': 0.0}]\n"
    write(project, f"import json\nversion = 1\ndef score(completions):\n    {body}")
    code, lines = scored("reward=mine")
    assert code == 1
    said = next(line for line in lines if line.startswith("mine, case 1: '[/]' raised JSONDecodeError: "))
    assert said.endswith("(rewards/mine.py:4)")


def test_a_reward_without_cases_says_so_and_does_not_fail(project, scored):
    write(project, MINE[: MINE.index("cases")])
    code, lines = scored("reward=mine")
    assert code == 0
    assert row(lines, "mine") == ["1", "new", "0", "cases", "passed"]


def test_record_adds_the_versions_that_are_new(project, scored):
    write(project)
    code, lines = scored("reward=mine")
    assert code == 0
    assert lines[-1].endswith("python -m rlexp score reward=mine --record")
    assert "rewards/mine.py" not in reward_versions.read(project)
    code, lines = scored("reward=mine", "--record", "seed=1")
    assert (code, lines[-1]) == (0, "recorded in rewards.lock.yaml: rewards/mine.py version 1")
    assert list(reward_versions.read(project)["rewards/mine.py"]) == [1]
    code, lines = scored("--record")
    assert code == 0 and lines[-1] == "nothing new to record in rewards.lock.yaml"
    assert row(lines, "mine") == ["1", "recorded", "2", "of", "2", "passed"]


def test_an_edited_reward_must_raise_its_version(project):
    reward = project / "rewards/format.py"
    reward.write_text(reward.read_text().replace("+ 0.5 * structured", "+ structured * 0.5"))
    before = (project / reward_versions.FILE).read_text()
    done = rlexp(project, "score", "--record")
    assert done.returncode == 1
    assert "rewards/format.py changed, and its version is still 2: write version = 3 in it" in done.stdout
    assert row(done.stdout.splitlines(), "format") == ["2", "changed", "13", "of", "13", "passed"]
    assert (project / reward_versions.FILE).read_text() == before


@pytest.mark.parametrize(
    ("text", "what", "where"),
    [
        ("version = 1\nscore = 3", "no function named score", "rewards/mine.py"),
        ("version = 1\ndef score(c): ...\n\nimport no_such", "raised ModuleNotFoundError: .*", "rewards/mine.py:4"),
        ("version = 1\ndef score(c): ...\ncases = 3", "cases of the reward are no list", "rewards/mine.py"),
    ],
)
def test_a_file_that_is_no_reward_is_refused(project, scored, text, what, where):
    write(project, text)
    with pytest.raises(RunError, match=what) as caught:
        scored()
    assert caught.value.where == where


@pytest.mark.parametrize(
    ("arguments", "what", "hint"),
    [
        (["--recrod"], "unrecognized arguments: --recrod", "did you mean --record?"),
        (["-m", "seed=0,1"], "one reward setting at a time", "leave out -m"),
        (["reward=format", "--cfg", "job"], "score does not take --cfg", "leave out score"),
    ],
)
def test_an_unknown_option_is_one_message(scored, arguments, what, hint):
    with pytest.raises(RunError, match=what) as caught:
        scored(*arguments)
    assert hint in caught.value.hint
