"""Why a completion scored as it did."""

import pytest

from rlexp.compose.schema import Reward, Term
from rlexp.errors import RunError
from rlexp.inputs.reward_source import read
from rlexp.reward.reasons import Reasons

FILE = "rewards/words.py"
SCORE = "version = 1\n\n\ndef score(completions, answer, *, limit):\n    return [1.0 for _ in completions]\n"
TELLS = "\n\ndef explain(completion, answer, limit):\n    return f'{completion} is {answer} within {limit}'\n"


def reasons(folder, text, present=None):
    for where, content in ((folder / "locked", text), (folder, present or text)):
        (where / "rewards").mkdir(parents=True, exist_ok=True)
        (where / FILE).write_text(content)
    reward = Reward(terms={"words": Term(file=FILE, params={"limit": 3})})
    return Reasons(reward, {"words": read(folder / "locked", FILE)}, folder)


@pytest.mark.parametrize(
    ("text", "present", "offered", "said"),
    [
        (SCORE + TELLS, None, {"completion": "a", "answer": "b"}, {"words": "a is b within 3"}),
        (SCORE + TELLS, None, {"completion": "a"}, {}),  # the row has no answer
        (SCORE, SCORE + TELLS, {"completion": "a", "answer": "b"}, {"words": "a is b within 3"}),  # it scores the same
        (SCORE, SCORE.replace("1.0", "2.0") + TELLS, {"completion": "a", "answer": "b"}, {}),
        (SCORE + "\n\ndef explain(completion):\n    return ''\n", None, {"completion": "a"}, {}),
        (
            SCORE + "\n\ndef explain(completion):\n    return 1 / 0\n",
            SCORE,
            {"completion": "a"},
            {"words": "explain() raised ZeroDivisionError: division by zero"},
        ),
    ],
)
def test_a_reward_explains_itself(tmp_path, text, present, offered, said):
    assert reasons(tmp_path, text, present).of(offered) == said


def test_explain_is_given_what_score_reads(tmp_path):
    with pytest.raises(RunError, match="asks for anwser") as raised:
        reasons(tmp_path, SCORE + "\n\ndef explain(completion, anwser):\n    return ''\n")
    assert "did you mean answer?" in str(raised.value)
