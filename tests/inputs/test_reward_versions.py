"""The versions of reward files: what counts as their code, and what the guard says when it changes."""

import pytest

from rlexp.errors import RunError
from rlexp.inputs import reward_versions
from rlexp.inputs.reward_code import code_md5, scoring_md5
from rlexp.inputs.reward_source import read

REWARD = '''"""Words."""

import re

version = 1
WORD = re.compile(r"#?\\w+")
TEXT = """one # two

three"""


def score(completions, *, limit=3):
    """Counts."""
    return [_score(text, limit) for text in completions]


def _score(text, limit):
    return float(len(WORD.findall(text)) < limit) + (f"{len(text):#x} # é" in TEXT)


cases = [{"completion": "a b", "score": 1.0}]
'''


def edited(old, new):
    assert REWARD.count(old) >= 1
    return REWARD.replace(old, new)


@pytest.mark.parametrize(
    "text",
    [
        edited('"""Words."""', '"""Words, counted.\n\nAt length."""'),
        edited('"""Words."""\n', ""),
        edited('    """Counts."""\n', ""),
        edited("import re\n", "import re  # patterns\n\n\n# more\n"),
        edited("    return [", "\n    # why\n    return ["),
        edited("_score(text, limit) for", "_score( text,limit )  for"),
        edited("version = 1", "version = 2  # higher"),
        edited("version = 1", "version: int = 1"),
        edited("version = 1\n", "version = 1; "),
        edited("version = 1\n", ""),
        edited('"score": 1.0}]', '"score": 2.0}]\ncases += [\n    {},\n]'),
        edited("cases = ", "cases: list[dict] = "),
        edited('cases = [{"completion": "a b", "score": 1.0}]\n', ""),
        edited('"score": 1.0}]', '"score": "é"}]; version = 1'),
        REWARD.rstrip(),
        edited(
            "cases = ", "def explain(completion):\n    if completion:\n        return 'a'\n    return 'b'\n\n\ncases = "
        ),
        edited("def _score", "def explain(completion): return 'a'\n\n\ndef _score"),
        REWARD + "\n\ndef explain(completion):\n    for _ in completion:\n        pass\n",
    ],
)
def test_what_says_nothing_about_a_score_keeps_the_hash(text):
    assert code_md5(text) == code_md5(REWARD)


@pytest.mark.parametrize(
    "text",
    [
        edited("< limit", "<= limit"),
        edited("limit=3", "limit=4"),
        edited("*, limit", "limit"),
        edited("#?", "@?"),
        edited("one # two", "one # three"),  # no comment: it stands in a string
        edited("two\n\n", "two\n"),  # no blank line
        edited("two\n", "two \n"),
        edited(":#x} # é", ":#x} # e"),
        edited(":#x}", ":x}"),
        edited("version = 1", "version = 1; WORD = 2"),
        edited("version = 1", "version = other = 1"),
        edited("version = 1", "version, other = 1, 2"),
        edited('    """Counts."""\n', '    """Counts."""; completions = []\n'),
        edited("def _score", "@print\ndef _score"),
        edited("def _score", "def explain():\n    pass\n\n\nexplain()\n\n\ndef _score"),  # it is called
        edited("    return float", "    limit = 2\n    return float"),
        edited("cases = [", "cases = [limit := 3, ") + "limit = len(cases)\n",
        edited("import re", "import re as r"),
        edited("cases = [", "more = [") + "cases = []\n",
    ],
)
def test_every_edit_of_the_code_changes_the_hash(text):
    assert code_md5(text) != code_md5(REWARD)


def test_a_one_line_function_counts_without_its_docstring():
    same = ("def f(): return 1", 'def f(): "doc"; return 1', 'def f(): "doc, é"; return 1  # é', "def f():  return 1;")
    assert len({code_md5(text) for text in same}) == 1
    assert code_md5('def f(): "doc"; return 2') not in {code_md5(text) for text in same}


def test_cases_that_the_code_reads_are_code():
    text = "cases = [1]\ndef score(completions): return cases"
    assert code_md5(text) != code_md5(text.replace("[1]", "[2]"))


def test_the_end_of_a_block_counts_wherever_the_next_statement_is_left_out():
    inside = "def score(completions):\n    a = 1\n    b = 2\ncases = []\n"
    outside = "def score(completions):\n    a = 1\ncases = []\nb = 2\n"
    assert code_md5(inside) != code_md5(outside)
    assert code_md5(inside) == code_md5(inside.removesuffix("cases = []\n"))


def test_every_python_gives_the_same_hash():
    # Python 3.12 and later cut these f-strings into tokens, 3.11 does not.
    text = "v = 1\ndef f(x):\n\treturn f'é{x!r:>{v}} # {{y}}' f'{f\"{v}\"}' rf'''a {\n x} # b\n'''  # c\n"
    assert code_md5(text) == "235dd4a0f62a44e1174d1eeab9e87c4a"


def project_with(folder, text=REWARD):
    (folder / "rewards").mkdir(exist_ok=True)
    (folder / "rewards/words.py").write_text(text)
    return [read(folder, "rewards/words.py")]


def recorded(folder):
    """A project whose reward stands at version 1, recorded."""
    assert reward_versions.record(folder, project_with(folder))
    return folder


def test_what_a_reward_scores_with_is_part_of_its_version(tmp_path, monkeypatch):
    """The package that compares answers says what a score is, as the reward's own code does; the sandbox does not."""
    (tmp_path / "reward/mathematics").mkdir(parents=True)
    module = tmp_path / "reward/mathematics/answers.py"
    module.write_text("def agree(a, b): return a == b")
    monkeypatch.setattr("rlexp.inputs.reward_code.PACKAGE", tmp_path)
    imports = "from rlexp.reward.mathematics.answers import agree\n"
    before = scoring_md5(imports + REWARD)
    module.write_text("def agree(a, b): return a == b  # said")
    assert scoring_md5(imports + REWARD) == before != code_md5(imports + REWARD)
    module.write_text("def agree(a, b): return a in b")
    assert scoring_md5(imports + REWARD) != before
    sandboxed = "from rlexp.reward.sandbox import run\n" + REWARD
    assert scoring_md5(sandboxed) == code_md5(sandboxed)


def test_a_new_version_is_recorded_once(tmp_path):
    sources = project_with(tmp_path)
    assert reward_versions.mark(reward_versions.read(tmp_path), sources[0]) == reward_versions.NEW
    assert reward_versions.faults(tmp_path, sources) == []
    assert reward_versions.record(tmp_path, [*sources, *sources]) == sources
    assert reward_versions.read(tmp_path) == {"rewards/words.py": {1: sources[0].code_md5}}
    assert reward_versions.record(tmp_path, sources) == []
    assert reward_versions.mark(reward_versions.read(tmp_path), sources[0]) == reward_versions.RECORDED


def test_changed_code_must_say_a_higher_version(tmp_path):
    changed = edited("limit=3", "limit=4")
    sources = project_with(recorded(tmp_path), changed)
    said = "rewards/words.py changed, and its version is still 1: write version = 2 in it"
    assert reward_versions.faults(tmp_path, [*sources, *sources]) == [said]
    assert reward_versions.record(tmp_path, sources) == []
    sources = project_with(tmp_path, changed.replace("version = 1", "version = 2"))
    assert reward_versions.faults(tmp_path, sources) == []
    assert reward_versions.record(tmp_path, sources) == sources
    assert list(reward_versions.read(tmp_path)["rewards/words.py"]) == [1, 2]


def test_an_old_version_is_fine_with_its_old_code_and_no_other(tmp_path):
    second = edited("limit=3", "limit=4").replace("version = 1", "version = 4")
    reward_versions.record(recorded(tmp_path), project_with(tmp_path, second))
    assert reward_versions.faults(tmp_path, project_with(tmp_path)) == []
    (said,) = reward_versions.faults(tmp_path, project_with(tmp_path, edited("version = 1", "version = 4")))
    assert said == "rewards/words.py holds the code of version 1: write version = 1 in it"
    sources = project_with(tmp_path, edited("limit=3", "limit=5").replace("version = 1", "version = 2"))
    (said,) = reward_versions.faults(tmp_path, sources)
    assert said.endswith("its version 2 is lower than 4: write version = 5 in it")
    assert reward_versions.record(tmp_path, sources) == []


@pytest.mark.parametrize("text", ["", "# nothing yet\n", "{}"])
def test_an_empty_record_is_none(tmp_path, text):
    sources = project_with(tmp_path)
    (tmp_path / reward_versions.FILE).write_text(text)
    assert reward_versions.faults(tmp_path, sources) == []
    assert reward_versions.record(tmp_path, sources) == sources


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("rewards/words.py:\n  1: abc\n<<<<<<< HEAD\n  2: abc\n", "rewards.lock.yaml:4"),  # a merge half done
        ("- rewards/words.py", "rewards.lock.yaml"),
        ("rewards/words.py: abc", "rewards.lock.yaml: rewards/words.py"),
        ("rewards/words.py: {one: abc}", "rewards.lock.yaml: rewards/words.py"),
        ("rewards/words.py: {1: 2}", "rewards.lock.yaml: rewards/words.py"),
        ("rewards/words.py:", "rewards.lock.yaml: rewards/words.py"),
    ],
)
def test_a_malformed_record_is_refused(tmp_path, text, where):
    sources = project_with(tmp_path)
    (tmp_path / reward_versions.FILE).write_text(text)
    for call in (reward_versions.faults, reward_versions.record):
        with pytest.raises(RunError, match="cannot be read") as caught:
            call(tmp_path, sources)
        assert caught.value.where == where
