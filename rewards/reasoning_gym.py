"""The task's own scorer of reasoning-gym, on the text of the last answer tag outside of the thinking.

Source: https://github.com/open-thought/reasoning-gym (arXiv 2505.24760). It reads the columns ``task`` and ``entry``
that data_prep/reasoning_gym_task.py writes. Some tasks give partial credit, some are lax (any answer that is not "True"
counts as "False" in game_of_life_halting): read the scorer of a task before training on it.
"""

import json
import re
from collections.abc import Callable
from functools import cache
from typing import Any

version = 2
bounds = (0.0, 1.0)

ANSWER = re.compile(r"<answer>(.*?)</answer>", re.DOTALL)
CODE = re.compile(r"__[a-zA-Z]|\b(?:exec|eval|compile|open|input|breakpoint|getattr|setattr|vars|exit|quit|help)\s*\(")
"""What some scorers would run: those of n_queens, spiral_matrix, countdown and others call eval on an answer."""


def score(completions: list[str], task: list[str | None], entry: list[str | None]) -> list[float | None]:
    """The scorer's number in [0, 1] a completion; 0.0 without an answer tag, with an empty one, or with program code;
    None where the row has no task or no entry.

    Raises:
        ValueError: no such task, or an entry that is not JSON.
    """
    rows = zip(completions, task, entry, strict=True)
    return [
        None if name is None or stored is None else _score(completion, _scorer(name), json.loads(stored))
        for completion, name, stored in rows
    ]


def _score(completion: str, scorer: Callable[[str, dict[str, Any]], float], entry: dict[str, Any]) -> float:
    found = ANSWER.findall(_outside_of_thinking(completion))
    given = found[-1].strip() if found else ""
    if not given or CODE.search(given):
        return 0.0
    try:
        return float(scorer(given, entry))
    except Exception:  # an answer that the scorer cannot read: prime_factorization raises on a word
        return 0.0


def _outside_of_thinking(completion: str) -> str:
    """What stands before <think> and behind </think>; a chat template may have opened the thinking already.

    Thinking that never ends is the format's business: nothing is hidden there.
    """
    thought, closed, said = completion.rpartition("</think>")
    if not closed:
        return completion
    return (thought.partition("<think>")[0] if "<think>" in thought else "") + said


@cache
def _scorer(task: str) -> Callable[[str, dict[str, Any]], float]:
    from reasoning_gym import get_score_answer_fn

    return get_score_answer_fn(task)


SUM = {"task": "chain_sum", "entry": '{"question": "What is 2 + 2?", "answer": "4", "metadata": {}}'}
PRIMES = {"task": "prime_factorization", "entry": '{"question": "?", "answer": "2 × 3", "metadata": {"number": 6}}'}
QUEENS = {"task": "n_queens", "entry": '{"question": "?", "answer": "Q", "metadata": {"valid_answers": ["Q"]}}'}

cases = [
    {"task": "chain_sum", "entry": None, "completion": "<answer>4</answer>", "score": None},
    {**SUM, "completion": "<think>2 + 2</think><answer>4</answer>", "score": 1.0},
    {**SUM, "completion": "<answer> 4\n</answer>", "score": 1.0},
    {**SUM, "completion": "<answer>5</answer>", "score": 0.0},
    {**SUM, "completion": "<answer>5</answer> No: <answer>4</answer>", "score": 1.0},  # the last one counts
    {**SUM, "completion": "<answer>4</answer> No: <answer>5</answer>", "score": 0.0},
    {**SUM, "completion": "2 + 2 is 4", "score": 0.0},  # no tag
    {**SUM, "completion": "<answer></answer>", "score": 0.0},
    {**SUM, "completion": "<think><answer>4</answer></think>5", "score": 0.0},  # in the thinking only
    {**SUM, "completion": "<think>2 + 2<answer>4</answer>", "score": 1.0},  # a lost tag is the format's business
    {**SUM, "completion": "<answer>1 2 3 4 5 6 7 8 9</answer>", "at_most": 0.1},  # cheat: every answer listed
    {**PRIMES, "completion": "<answer>2 × 3</answer>", "score": 1.0},
    {**PRIMES, "completion": "<answer>two and three</answer>", "score": 0.0},  # the scorer raises on words
    {**QUEENS, "completion": "<answer>[['Q']]</answer>", "score": 0.5},  # the scorer evaluates it
    {**QUEENS, "completion": "<answer>__import__('os').abort()</answer>", "score": 0.0},  # cheat: code for the scorer
    {**QUEENS, "completion": "<answer>exit ()</answer>", "score": 0.0},
]
