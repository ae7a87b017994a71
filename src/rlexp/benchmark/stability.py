"""Whether an artifact answers the same alone and in a crowd, and what it does with prompts that nobody meant."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from rlexp.benchmark.garbage import garbage
from rlexp.errors import RunError
from rlexp.runtimes.host import Died, Host, Refused
from rlexp.runtimes.protocol import Generated, Messages, Sampling

REPEATS = 20
ODD = {
    "empty": "",
    "blanks": " \n\t  \n",
    "emoji": "\U0001f469\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466\U0001f3f3\ufe0f\u200d\U0001f308",
    "right to left": "\u202e\u05e9\u05dc\u05d5\u05dd \u0645\u0631\u062d\u0628\u0627\u202c",
    "combining": "Z" + "\u0321\u0300\u0301\u0302\u0303\u0361" * 20,
    "rare scripts": "\U00012000\U00013000\U0001f02a \U0001d4d7\ua66e",
    "no characters": "\ue000\ufffe\uffff\U0010ffff",
    "control": "\x00\x07\x1b[31m\x7f\x9f",
}
"""Name -> the user's turn."""
LONG = {"to the context": -16, "over the context": 64}
"""Name -> tokens of the prompt beyond those that the artifact is loaded for; 16 are asked for."""
OUTCOMES = ("ended", "cut", "refused", "died")
"""The model ended its answer; the limit of tokens did; the runtime raised an error; its process ended or hung."""

Judged = tuple[bool, str | None]
"""Of an answer: the model ended it; the rule that makes it garbage."""


def repeated(host: Host, prompts: Sequence[Sequence[int]], sampling: Sampling, together: int) -> dict[str, Any]:
    """The first prompt greedily, again and again: alone, and among others at every place of a crowd.

    Returns:
        ``alone`` and ``crowd``, the shares of answers that are the most frequent one of those alone.
    """
    first, others = prompts[0], list(prompts[1:]) or [prompts[0]]
    alone = [host.generate([first], sampling, 0, 1)[0] for _ in range(REPEATS)]
    crowd = []
    for turn in range(REPEATS):
        some = [others[(turn * (together - 1) + n) % len(others)] for n in range(together - 1)]
        place = turn % together
        answers = host.generate([*some[:place], first, *some[place:]], sampling, 0, together)
        crowd.append(answers[place])
    return {"repeats": REPEATS, "together": together, **same(alone, crowd)}


def same(alone: Sequence[Generated], crowd: Sequence[Generated]) -> dict[str, float]:
    """The shares of answers that are the most frequent one alone."""
    ((most, number),) = Counter(tuple(one.ids) for one in alone).most_common(1)
    return {"alone": number / len(alone), "crowd": sum(tuple(one.ids) == most for one in crowd) / len(crowd)}


def odd(open_host: Callable[[], Host], context: int, most: int) -> dict[str, dict[str, Any]]:
    """What becomes of odd prompts; where one ends the process, the next has a new one.

    Args:
        context: tokens that the artifact is loaded for.
        most: tokens of an answer.

    Returns:
        Name -> ``outcome`` of OUTCOMES and ``why``: the rule that makes the answer garbage, or what the runtime said.

    Raises:
        Died: it cannot be loaded.
    """
    found: dict[str, dict[str, Any]] = {}
    host = open_host()
    try:
        for name in (*ODD, *LONG):
            try:
                answers = host.generate([_prompt(host, name, context)], Sampling(16 if name in LONG else most), 0, 1)
                ((ended, rule),) = judged(host, answers)
                found[name] = {"outcome": "ended" if ended else "cut", "why": rule}
            except (Refused, RunError, NotImplementedError) as error:
                found[name] = {"outcome": "refused", "why": str(error)}
            except Died as error:
                found[name] = {"outcome": "died", "why": str(error)}
                host.close()
                host = open_host()
    finally:
        host.close()
    return found


def _prompt(host: Host, name: str, context: int) -> list[int]:
    if name in ODD:
        return host.encode(host.render([_user(ODD[name])]))[0]
    wanted = max(2, context + LONG[name])
    ids = host.encode(host.render([_user("x 1 " * wanted)]))[0]
    return [*ids[: wanted // 2], *ids[-(wanted - wanted // 2) :]]  # begins and ends as the template has it


def _user(text: str) -> Messages:
    return [{"role": "user", "content": text}]


def judged(host: Host, answers: Sequence[Generated]) -> list[Judged]:
    """What some answers are."""
    texts = {ids: host.decode(ids) for ids in {tuple(one.ids) for one in answers}}
    return [(one.ended, garbage(texts[tuple(one.ids)], one.ids, one.ended)) for one in answers]


def quality(answers: Sequence[Judged]) -> dict[str, Any]:
    """The shares of answers that the model ended, and that are garbage, with how many by which rule."""
    rules, number = Counter(rule for _, rule in answers if rule), len(answers)
    return {
        "answers": number,
        "ended": sum(ended for ended, _ in answers) / number if number else None,
        "garbage": sum(rules.values()) / number if number else None,
        "by_rule": dict(rules),
    }
