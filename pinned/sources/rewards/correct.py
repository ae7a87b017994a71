"""The one answer tag, outside of the thinking, holds the right answer.

Both answers are read whole, in LaTeX or plain, and compared by what they mean (``rlexp.reward.mathematics``): numbers
exactly, other formulas by their values, units, lists, sets and intervals as such. What cannot be read whole counts as
text: the same, or no; never is a number taken out of it. An answer anywhere else, several answers, or a sum that was
not worked out ("2 + 2" for 4) score nothing. Of a worked solution in the column ``answer`` its last \\boxed{} or what
stands behind #### counts.
"""

import re
from typing import Any

from rlexp.reward.mathematics.answers import agree, final_answer, is_read, only_answer

version = 3
bounds = (0.0, 1.0)
ignores = ("case",)

ANSWER = re.compile(r"<answer>(.*?)</answer>", re.DOTALL)


def score(completions: list[str], answer: list[Any]) -> list[float | None]:
    """1.0 a completion whose only answer tag holds ``answer``, else 0.0; None where the row has no answer."""
    return [_score(completion, gold) for completion, gold in zip(completions, answer, strict=True)]


def _score(completion: str, answer: Any) -> float | None:
    gold = "" if answer is None or answer != answer else final_answer(str(answer))  # NaN differs from itself
    if not gold:
        return None
    found = ANSWER.findall(_outside_of_thinking(completion))
    if len(found) != 1 or completion.count("<answer>") != 1:
        return 0.0
    given = found[0].strip()
    return float(given == str(answer).strip() or agree(only_answer(given), gold))


def _outside_of_thinking(completion: str) -> str:
    """What stands before <think> and behind </think>; a chat template may have opened the thinking already.

    Thinking that never ends is the format's business: nothing is hidden there.
    """
    thought, closed, said = completion.rpartition("</think>")
    if not closed:
        return completion
    return (thought.partition("<think>")[0] if "<think>" in thought else "") + said


def explain(completion: str, answer: Any) -> str:
    """Why a completion has no answer, or what it answered instead."""
    if _score(completion, answer) != 0.0:
        return ""
    tags, found = completion.count("<answer>"), ANSWER.findall(_outside_of_thinking(completion))
    if tags != 1:
        return f"{tags} <answer> tags" if tags else "no <answer> tag"
    if not found:
        return "the <answer> is in the thinking" if ANSWER.search(completion) else "the <answer> tag is never closed"
    given = only_answer(found[0])
    wanted = f"the answer is {given or 'empty'}, wanted {final_answer(str(answer))}"
    return wanted if not given or is_read(given) else f"{wanted} (no formula, compared as text)"


cases = [
    {"completion": "<think>2 + 2 = 4</think><answer>4</answer>", "answer": "4", "score": 1.0},
    {"completion": "<answer> 4.\n</answer>", "answer": "4", "score": 1.0},  # blanks and a full stop do not matter
    {"completion": "<answer>1,234.0</answer>", "answer": "1234", "score": 1.0},  # the same number
    {"completion": "<answer>1,5</answer>", "answer": "15", "score": 0.0},  # no thousands
    {"completion": "<answer>−4</answer>", "answer": "-4", "score": 1.0},  # the minus sign of typesetters
    {"completion": "<answer>3/4</answer>", "answer": "0.75", "score": 1.0},
    {"completion": "<answer>-\\frac{3}{4}</answer>", "answer": "-0.75", "score": 1.0},
    {"completion": "<answer>$\\boxed{4}$</answer>", "answer": "4", "score": 1.0},  # wrapped twice
    {"completion": "<answer>x = 4</answer>", "answer": "4", "score": 1.0},
    {"completion": "<answer>12 km</answer>", "answer": "12", "score": 1.0},  # a unit that the gold answer leaves out
    {"completion": "<answer>12 km</answer>", "answer": "12 m", "score": 0.0},  # another unit
    {"completion": "<answer>4 million</answer>", "answer": "4", "score": 0.0},  # another number
    {"completion": "<answer>50%</answer>", "answer": "50", "score": 1.0},  # asked in per cent
    {"completion": "<answer>50\\%</answer>", "answer": "0.5", "score": 1.0},  # asked as a share
    {"completion": "<answer>0.5%</answer>", "answer": "50%", "score": 0.0},
    {"completion": "<answer>b</answer>", "answer": "B", "score": 1.0},  # a choice letter
    {"completion": "<answer>(B)</answer>", "answer": "B", "score": 1.0},
    {"completion": "<answer>Paris.</answer>", "answer": "paris", "score": 1.0},
    {"completion": "<answer>(x+1)^2</answer>", "answer": "x^2+2x+1", "score": 1.0},  # the same mathematics
    {"completion": "reasoned</think><answer>4</answer>", "answer": "4", "score": 1.0},  # the template opened <think>
    {"completion": "<answer>5</answer>", "answer": "4", "score": 0.0},
    {"completion": "The answer is 4.", "answer": "4", "score": 0.0},  # the right number in the wrong place
    {"completion": "<think>4</think><answer></answer>", "answer": "4", "score": 0.0},
    {"completion": "<think><answer>4</answer></think>5", "answer": "4", "score": 0.0},  # in the thinking only
    {"completion": "<think>2 + 2<answer>4</answer>", "answer": "4", "score": 1.0},  # a lost tag: see format
    {"completion": "<answer>4</answer></think>5", "answer": "4", "score": 0.0},  # in thinking begun by the template
    {"completion": "<answer>4</answer><answer>5</answer>", "answer": "4", "score": 0.0},  # cheat: several answers
    {"completion": "<answer>3 4 5</answer>", "answer": "4", "score": 0.0},  # cheat: every answer listed
    {"completion": "<answer>4 or 5</answer>", "answer": "4", "score": 0.0},
    {"completion": "<answer>x = 1 = 2</answer>", "answer": "x = 2", "score": 0.0},  # cheat: listed as a chain
    {"completion": "<answer>2 + 2</answer>", "answer": "4", "score": 0.0},  # cheat: the question as its answer
    {"completion": "<answer>1e999999999</answer>", "answer": "4", "score": 0.0},  # no number worth computing
    {"completion": "<answer>4", "answer": "4", "score": 0.0},
    {"completion": "", "answer": "4", "score": 0.0},
    {"completion": "<answer></answer>", "answer": "", "score": None},  # many answers are right: none is recorded
    {"completion": "<answer>90^\\circ</answer>", "answer": "90", "score": 1.0},
    {"completion": "<answer>1.5 \\times 10^3</answer>", "answer": "1500", "score": 1.0},
    {"completion": "<answer>2\\frac{1}{2}</answer>", "answer": "2.5", "score": 1.0},  # a mixed number
    {"completion": "<answer>5, 4</answer>", "answer": "4,5", "score": 1.0},  # a list has no order
    {"completion": "<answer>(2,1)</answer>", "answer": "(1,2)", "score": 0.0},  # a point has one
    {"completion": "<answer>x \\ge 0</answer>", "answer": "[0,\\infty)", "score": 1.0},
    {"completion": "<answer>(0,\\infty)</answer>", "answer": "[0,\\infty)", "score": 0.0},
    {"completion": "<answer>(B) 14</answer>", "answer": "B", "score": 1.0},
    {"completion": "<answer>64</answer>", "answer": "18+46=<<18+46=64>>64\n#### 64", "score": 1.0},  # GSM8K's column
    {"completion": "<answer>64</answer>", "answer": "Adding, $18+46=\\boxed{64}$.", "score": 1.0},  # MATH's
    {"completion": "<answer>1+\\frac{1}{\\mathrm{e}}</answer>", "answer": "1-\\frac{1}{\\mathrm{e}}", "score": 0.0},
    {"completion": "<answer>2</answer>", "answer": "2^{\\aleph_0}", "score": 0.0},  # not read: never a number of it
    {"completion": "<answer>3.14</answer>", "answer": "\\pi", "score": 0.0},  # rounded
    {"completion": "<answer>25 km</answer>", "answer": "25 \\text{ ft}", "score": 0.0},
    {"completion": "<answer>\\boxed{3} or \\boxed{4}</answer>", "answer": "4", "score": 0.0},  # cheat: two boxes
    {"completion": "<answer>4</answer>", "answer": None, "score": None},
]
