"""What is garbage by rule, what is the same in a crowd, and what becomes of odd prompts."""

from __future__ import annotations

import pytest

from rlexp.benchmark import stability
from rlexp.benchmark.garbage import garbage, loops
from rlexp.runtimes.host import Died, Refused
from rlexp.runtimes.protocol import Generated, Sampling

END = 0


@pytest.mark.parametrize(
    ("text", "ids", "ended", "rule"),
    [
        ("The sum is 7.", [5, 6, 7, END], True, None),
        ("a \ufffd b", [5, 6, 7, END], True, "replacement"),
        ("cut within a character \ufffd", [5, 6], False, None),
        ("ended within one \ufffd", [5, 6, END], True, "replacement"),
        ("so so", [9] * 24, False, "loop"),
        ("so", [9] * 23, False, None),
        ("a b c", [1, *[4, 5, 6] * 8], False, "loop"),
        ("a b c", [1, *[4, 5, 6] * 8, END], True, "loop"),
        ("went on", [*[4, 5, 6] * 8, 1], False, None),
        ("", [], False, None),
    ],
)
def test_what_is_garbage(text, ids, ended, rule):
    assert garbage(text, ids, ended) == rule


def test_a_loop_is_as_long_as_its_rule_says():
    assert loops(list(range(32)) * 4) and not loops(list(range(32)) * 3)
    assert not loops(list(range(33)) * 4) and not loops(list(range(100)))


class Crowded:
    """A host that answers another token where others are beside, at every third asking."""

    turn = 0

    def generate(self, prompts, sampling, seed=0, together=1):
        self.turn += 1
        other = len(prompts) > 1 and self.turn % 3 == 0
        return [Generated([prompt[0] + 100 * other], True, [0.1]) for prompt in prompts]


def test_an_answer_that_others_change_is_seen():
    found = stability.repeated(Crowded(), [[1], [2], [3]], Sampling(8), together=4)
    assert (found["alone"], found["repeats"], found["together"]) == (1.0, 20, 4)
    assert found["crowd"] == 13 / 20


def test_quality_counts_by_rule():
    found = stability.quality([(True, None), (False, "loop"), (False, None), (True, "replacement")])
    assert found == {"answers": 4, "ended": 0.5, "garbage": 0.5, "by_rule": {"loop": 1, "replacement": 1}}
    assert stability.quality([])["ended"] is None


class Fragile:
    """A host that dies of the empty prompt and refuses what is over its context of 64 tokens."""

    opened = 0

    def __init__(self):
        type(self).opened += 1
        self.dead = False

    def render(self, dialogues):
        return [one[0]["content"] for one in dialogues]

    def encode(self, texts):
        return [[len(word) for word in text.split(" ")] for text in texts]

    def decode(self, ids):
        return "well"

    def generate(self, prompts, sampling, seed=0, together=1):
        assert not self.dead
        if prompts[0] == [0]:
            self.dead = True
            raise Died("llama.cpp was ended by SIGABRT")
        if len(prompts[0]) > 64:
            raise Refused("llama.cpp: ValueError: too long")
        return [Generated([1, END], True, [0.1, 0.2])]

    def close(self):
        pass


def test_a_prompt_that_ends_the_process_is_not_the_end():
    found = stability.odd(Fragile, context=64, most=8)
    assert list(found) == [*stability.ODD, *stability.LONG]
    assert found["empty"] == {"outcome": "died", "why": "llama.cpp was ended by SIGABRT"} and Fragile.opened == 2
    assert found["over the context"] == {"outcome": "refused", "why": "llama.cpp: ValueError: too long"}
    rest = [one for name, one in found.items() if name not in ("empty", "over the context")]
    assert rest == [{"outcome": "ended", "why": None}] * 8
