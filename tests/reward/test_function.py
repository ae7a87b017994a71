"""A reward function of TRL's, pasted as it is, and answers that are no plain floats."""

import re

import pytest

from rlexp.compose.schema import Reward, Term
from rlexp.errors import RunError
from rlexp.inputs.reward_rows import met_snapshot
from rlexp.inputs.reward_source import read
from rlexp.reward.pool.call import RewardFunction
from rlexp.reward.rubric import Rubric, workers_for
from rlexp.reward.trial import try_rewards

TEXTS = ["<answer>4</answer>", "<answer>5</answer>"]
ROWS = {"answer": ["4", "4"]}
KWARGS = """
def score(completions, **kwargs):
    return [1.0 if a in c else 0.0 for c, a in zip(completions, kwargs["answer"])]
"""
GET = """
def score(completions, **kwargs):
    golds = kwargs.get("answer") or [None] * len(completions)
    return [1.0 if g is not None and f">{g}<" in c else 0.0 for c, g in zip(completions, golds)]
"""
TURNS = """
def accuracy_reward(completions, answer, **kwargs):
    contents = [completion[0]["content"] for completion in completions]
    return [1.0 if a in c else 0.0 for c, a in zip(contents, answer)]
"""
PROMPTS = """
def accuracy_reward(prompts, completions, answer, **kwargs):
    assert prompts[0][-1]["content"] == "What is 2 + 2?"
    return [float(a in c[-1]["content"]) for c, a in zip(completions, answer)]
"""
WAITS = """
import asyncio

async def accuracy_reward(completions, answer, **kwargs):
    await asyncio.sleep(0)
    return [float(a in c) for c, a in zip(completions, answer)]
"""
HELPED = """
def first(completions): return [completion[0]["content"] for completion in completions]

def accuracy_reward(completions, answer, **kwargs): return [float(a in c) for c, a in zip(first(completions), answer)]
"""


def source(folder, text):
    (folder / "rewards").mkdir(exist_ok=True)
    (folder / "rewards/mine.py").write_text(text)
    return read(folder, "rewards/mine.py")


def scored(folder, text, columns=ROWS, prompts=("What is 2 + 2?",) * 2):
    mine = source(folder, text)
    reward = Reward(max_failed=1.0, terms={"mine": Term(file="rewards/mine.py")})
    rubric = Rubric(reward, {"mine": mine}, workers_for(reward, {"mine": mine}, processes=0))
    return rubric.score(TEXTS, list(prompts), columns).scores


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (KWARGS, "score"),
        (GET, "score"),
        (TURNS, "accuracy_reward"),
        (PROMPTS, "accuracy_reward"),
        (WAITS, "accuracy_reward"),
    ],
)
def test_a_function_of_trl_works_through_one_line(tmp_path, text, name):
    assert scored(tmp_path, f'{text}\n\ntrl = "{name}"\n') == {"mine": [1.0, 0.0]}


@pytest.mark.parametrize(
    ("text", "what", "line"),
    [
        (KWARGS, "takes **kwargs, which does not say what it reads", 'trl = "score"'),
        (GET, "takes **kwargs, which does not say what it reads", 'trl = "score"'),
        ("def last(completions): return completions\n" + KWARGS, "takes **", 'trl = "score"'),
        (HELPED, "has no function named score", 'trl = "accuracy_reward"'),
        ("def score(*args, answer=None): return [1.0]", "takes *args", "trl = "),
        (TURNS, "has no function named score", 'trl = "accuracy_reward"'),
        (WAITS, "has no function named score", 'trl = "accuracy_reward"'),
    ],
)
def test_without_the_line_it_is_refused_with_it(tmp_path, text, what, line):
    with pytest.raises(RunError) as caught:
        source(tmp_path, f"version = 1\n{text}")
    assert what in caught.value.what and line in caught.value.hint


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (f'{TURNS}\ntrl = "acuracy_reward"', "trl names acuracy_reward, and the file defines no such function"),
        ("def score(completions, trainer_state): return []\ntrl = 'score'", "reads trainer_state, which lives in"),
        ("version = 1\ndef score(completions, trainer_state): return []", "reads trainer_state, which lives in"),
    ],
)
def test_what_cannot_be_done_is_said(tmp_path, text, what):
    with pytest.raises(RunError, match=re.escape(what)) as caught:
        source(tmp_path, text)
    assert what in caught.value.what and caught.value.hint


def test_a_column_that_it_takes_out_of_kwargs_is_needed(tmp_path):
    assert source(tmp_path, f'{GET}\ntrl = "score"').columns == ("answer",)
    assert scored(tmp_path, f'{GET}\ntrl = "score"', {"gold": ["4", "4"]}) == {}  # never a silent 0


def test_turns_that_a_plain_function_looks_for_are_named(tmp_path):
    text = TURNS.replace("accuracy_reward", "score").replace(", **kwargs", "")
    tried = try_rewards([(source(tmp_path, f"version = 1\n{text}"), {})], [{"prompt": "What is 2 + 2?", "answer": "4"}])
    assert "completions are plain texts here; a function of TRL's needs the line trl =" in tried[0].problems[0]


@pytest.mark.parametrize(
    "answer",
    [
        "numpy.array([1.0, 0.0], dtype=numpy.float32)",
        "[numpy.float32(1), numpy.int64(0)]",
        "torch.tensor([1.0, 0.0])",
        "[torch.tensor(1.0), torch.tensor([0.0])]",
        "[True, False]",
        "[1, 0]",
        "(1.0, 0.0)",
    ],
)
def test_tensors_and_numpy_numbers_are_scores(tmp_path, answer):
    mine = source(tmp_path, f"import numpy, torch\nversion = 1\n\n\ndef score(completions): return {answer}\n")
    scores = RewardFunction("mine", mine, {}).scores({"completions": TEXTS})
    assert scores == [1.0, 0.0] and all(type(score) is float for score in scores)


@pytest.mark.parametrize("answer", ["(c for c in [1.0, 0.0])", "1.0", "None", "['1.0', '0.0']", "numpy.ones((2, 2))"])
def test_what_is_no_list_of_numbers_is_refused(tmp_path, answer):
    mine = source(tmp_path, f"import numpy\nversion = 1\n\n\ndef score(completions): return {answer}\n")
    with pytest.raises(RunError):
        RewardFunction("mine", mine, {}).scores({"completions": TEXTS})


ASKED = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "What is 2 + 2?"}]
RIGHT = "zip(completions, answer)]\n\n\ntrl = 'accuracy_reward'\n"
BODY = "def accuracy_reward(completions, answer, **kwargs):\n    return [float(a in WHAT) for c, a in " + RIGHT
FOLLOWS = [
    "(c[-1]['content'] if c[-1]['role'] == 'assistant' else '')",
    "(c[0]['content'] if len(c) == 1 else '')",
    "(c[0]['content'] if isinstance(c, list) and c else '')",
    "last(c)",
    "c[0][KEY]",
    "''.join(m[KEY] for m in c if m['role'] == 'assistant')",
    "json.dumps(c)",
    "c[0].get('content')",
]
HEAD = "import json, re\nKEY = 'content'\nPATTERN = re.compile('.*')\n\n\ndef last(c): return c[-1]['content']\n\n\n"


@pytest.mark.parametrize("what", FOLLOWS)
def test_the_form_follows_the_rows(tmp_path, what):
    text = HEAD + BODY.replace("WHAT", what)
    assert scored(tmp_path, text, prompts=[ASKED] * 2) == {"mine": [1.0, 0.0]}


@pytest.mark.parametrize("what", [one for one in FOLLOWS if one != "(c[0]['content'] if len(c) == 1 else '')"])
def test_what_takes_turns_gets_them_of_texts_too(tmp_path, what):
    assert scored(tmp_path, HEAD + BODY.replace("WHAT", what)) == {"mine": [1.0, 0.0]}


@pytest.mark.parametrize(
    "what",
    ["c.strip()", "re.search('.*', c)[0]", "PATTERN.findall(c)[0]", "c", "plain(c)", "(lambda t: t)(c.lower())"],
)
@pytest.mark.parametrize("asked", [ASKED, "What is 2 + 2?"])
def test_what_takes_texts_gets_them_of_conversations_too(tmp_path, what, asked):
    text = HEAD + "def plain(c): return c.strip()\n\n\n" + BODY.replace("WHAT", what)
    assert scored(tmp_path, text, prompts=[asked] * 2) == {"mine": [1.0, 0.0]}


def test_a_name_that_holds_something_else_is_no_completion(tmp_path):
    text = """
def accuracy_reward(completions, answer, **kwargs):
    right = []
    for completion, gold in zip(completions, answer):
        completion = completion[0]["content"]
        right.append(float(gold in completion.strip()))
    return right


trl = "accuracy_reward"
"""
    assert source(tmp_path, text).turns is True
    assert scored(tmp_path, text, prompts=[ASKED] * 2) == scored(tmp_path, text) == {"mine": [1.0, 0.0]}


def test_every_turn_of_the_prompt_is_there(tmp_path):
    text = "def score(prompts, completions): return [float(p[0]['role'] == 'system') for p in prompts]\ntrl = 'score'"
    assert scored(tmp_path, text, prompts=[ASKED] * 2) == {"mine": [1.0, 1.0]}


@pytest.mark.parametrize(("form", "got"), [(True, [1.0, 1.0]), (False, [0.0, 0.0])])
@pytest.mark.parametrize("asked", [ASKED, "What is 2 + 2?"])
def test_the_declared_form_goes_before_everything(tmp_path, form, got, asked):
    text = "def score(completions): return [float(not hasattr(c, 'strip')) for c in completions]\ntrl = 'score'\n"
    assert scored(tmp_path, f"{text}conversational = {form}\n", prompts=[asked] * 2) == {"mine": got}
    with pytest.raises(RunError, match="neither True nor False"):
        source(tmp_path, f"{text}conversational = 'yes'\n")


ODD = """
from operator import methodcaller, itemgetter


def right(completions):
    return [WHAT(c) for c in completions]


trl = "right"
cases = [{"completion": "", "score": 1.0}]
"""


@pytest.mark.parametrize(
    ("what", "rows", "more", "words"),
    [
        ("methodcaller('strip')", [{"prompt": ASKED}], "", "since the prompts of the rows are; for the other form add"),
        ("methodcaller('strip')", [], "", "since most data has them; for the other form add the line"),
        ("itemgetter('content')", [{"prompt": "?"}], "", "is a plain text here, since the prompts of the rows are"),
        (
            "itemgetter('role')",
            [],
            "conversational = False",
            "for the other form change the line to conversational = True",
        ),
    ],
)
def test_the_other_form_is_told_with_its_line(tmp_path, what, rows, more, words):
    mine = source(tmp_path, f"{ODD.replace('WHAT', what)}\n{more}\n")
    tried = try_rewards([(mine, {})], rows)
    assert words in tried[0].problems[0] and "trl =" not in tried[0].problems[0]


def test_cases_are_texts_and_met_in_the_form_of_the_rows(tmp_path):
    text = HEAD + BODY.replace("WHAT", "(json.dumps(c) and c[0]['content'].strip())")
    case = {"completion": "<answer>4</answer>", "answer": "4", "score": 1.0}
    tried = try_rewards([(source(tmp_path, f"{text}\ncases = [{case}]\n"), {})], [{"prompt": ASKED, "answer": "4"}])
    assert tried[0].problems == [] and len(tried[0].outcomes) == 1


@pytest.mark.parametrize(
    "use",
    [
        "cols = reward_kwargs; golds = cols['answer']",
        "golds = dict(reward_kwargs.items())['answer']",
        "golds = helper(reward_kwargs)",
        "golds = handed(**reward_kwargs)",
        "name = 'answer'; golds = reward_kwargs[name]",
    ],
)
def test_a_bare_use_of_kwargs_gets_every_column(tmp_path, use):
    text = f"""
def helper(columns): return columns["answer"]


def handed(answer, prompts, completion_ids, note): return answer


def score(completions, **reward_kwargs):
    {use}
    return [float(f">{{a}}<" in c) for c, a in zip(completions, golds)]


trl = "score"
cases = [{{"completion": ">4<", "answer": "4", "note": "n", "score": 1.0}}]
"""
    mine = source(tmp_path, text)
    columns = {**ROWS, "note": ["a", "b"], "completion_ids": [[1], [2]], "trainer_state": None}
    assert mine.everything and scored(tmp_path, text, columns) == {"mine": [1.0, 0.0]}
    here = met_snapshot(mine, {"columns": {"prompt": "string", "answer": "string", "note": "string"}})
    assert {"answer", "note"} <= set(here.wanted_columns) and here.columns == ()
    if "handed" not in use:  # a case has no token ids
        rows = [{"prompt": "?", "answer": "4", "note": "n"}] * 2
        assert [try_rewards([(mine, {})], given)[0].problems for given in ([], rows)] == [[], []]


def test_what_only_takes_columns_out_of_kwargs_gets_those(tmp_path):
    assert not source(tmp_path, f'{GET}\ntrl = "score"').everything
    asks = "def score(completions, **kw): return kw['answer'] if 'answer' in kw else []\ntrl = 'score'"
    assert (mine := source(tmp_path, asks)).columns == ("answer",) and not mine.everything


@pytest.mark.parametrize(
    ("made", "what"),
    [
        ("soft = make(0.5)", "the result of make()"),
        ("soft = functools.partial(base, low=0.5)", "a functools.partial of base"),
        ("soft = Soft()", "an object of the class Soft"),
        ("soft = lambda completions, **kwargs: [1.0]", "a lambda"),
        ("from trl.rewards import soft", "imported"),
        ("class soft: ...", "a class"),
    ],
)
def test_what_is_no_function_is_told_with_the_one_to_write(tmp_path, made, what):
    text = f"import functools\nclass Soft: ...\ndef make(low): ...\ndef base(completions): ...\n{made}\n"
    with pytest.raises(RunError) as caught:
        source(tmp_path, f"{text}trl = 'soft'\n")
    assert f"trl names soft, which is {what}" in caught.value.what
    assert "def rew(completions, **kwargs): return soft(completions, **kwargs)" in caught.value.hint


def test_the_function_of_the_hint_works(tmp_path):
    text = """
import functools


def base(completions, answer, high, **kwargs):
    return [high if a in c else 0.0 for c, a in zip(completions, answer)]


soft = functools.partial(base, high=1.0)


def rew(completions, **kwargs): return soft(completions, **kwargs)


trl = "rew"
"""
    assert scored(tmp_path, text) == {"mine": [1.0, 0.0]}


def test_the_line_and_the_version_are_told_at_once(tmp_path):
    with pytest.raises(RunError) as caught:
        source(tmp_path, KWARGS)
    assert 'trl = "score"' in caught.value.hint and "version = 1" in caught.value.hint
    assert source(tmp_path, f'{KWARGS}\ntrl = "score"\n').version == 1
