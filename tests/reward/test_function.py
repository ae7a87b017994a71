"""A reward function of TRL's, pasted as it is, and answers that are no plain floats."""

import pytest

from rlexp.compose.schema import Reward, Term
from rlexp.errors import RunError
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


def source(folder, text):
    (folder / "rewards").mkdir(exist_ok=True)
    (folder / "rewards/mine.py").write_text(text)
    return read(folder, "rewards/mine.py")


def scored(folder, text, columns=ROWS):
    mine = source(folder, text)
    reward = Reward(max_failed=1.0, terms={"mine": Term(file="rewards/mine.py")})
    rubric = Rubric(reward, {"mine": mine}, workers_for(reward, {"mine": mine}, processes=0))
    return rubric.score(TEXTS, ["What is 2 + 2?"] * 2, columns).scores


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
    with pytest.raises(RunError, match="") as caught:
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
