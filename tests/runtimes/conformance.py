"""What every runtime must do: each function holds a loaded one against transformers on the same weights.

``runtime`` and ``reference`` are each a ``rlexp.runtimes.host.Host``. A runtime's own tests call ``everything``, and
``divergence`` with a bound of its own.
"""

from __future__ import annotations

from typing import Any

import numpy
import pytest

from rlexp.runtimes.protocol import Sampling

DIALOGUES = [
    [{"role": "user", "content": "What is 2 + 3?"}],
    [{"role": "system", "content": "You add."}, {"role": "user", "content": "12 + 345"}],
    [
        {"role": "user", "content": "1 + 1"},
        {"role": "assistant", "content": "<answer>2</answer>"},
        {"role": "user", "content": "and 3?"},
    ],
]
TEXTS = [
    "It's 12 + 345 = 357, isn't it?\n\n\tThey'll  agree  ",
    "<|im_start|>user\nHi<|im_end|>\n",
    "<think>7 + 8 = 15</think><answer>15</answer>",
    "naïve café, 数学は楽しい ١٢٣ ½ 🧮👩‍🔬 \u200b\u0301",
    " \n \n\n  x",
]
ONE, TWO = Sampling(1), Sampling(2)
GREEDY, SAMPLED = Sampling(24), Sampling(24, temperature=1.0, top_p=0.9, top_k=50)


def everything(runtime: Any, reference: Any, same_greedy: float = 1.0, more_ends: tuple[int, ...] = ()) -> None:
    """All that holds of every runtime and every type of weights; the rest takes bounds (``divergence``)."""
    same_prompts(runtime, reference)
    ends_are_the_references(runtime, reference, more_ends)
    completions_are_well_formed(runtime, reference)
    greedy_is_the_references(runtime, reference, same_greedy)
    greedy_is_the_likeliest(runtime, reference)
    seed_decides(runtime, reference)
    crowd_changes_little(runtime, reference)
    probabilities_are_some(runtime, reference)
    what_cannot_be_answered_costs_one_call(runtime, reference)


def prompts(reference: Any) -> list[list[int]]:
    """The token ids of the dialogues."""
    return reference.encode(reference.render(DIALOGUES))


def same_prompts(runtime: Any, reference: Any) -> None:
    """The text of a dialogue, its token ids, and what they are read back as."""
    assert runtime.render(DIALOGUES) == reference.render(DIALOGUES)
    texts = [*reference.render(DIALOGUES), *TEXTS]
    assert runtime.encode(texts) == reference.encode(texts)
    for ids in reference.encode(texts):
        assert runtime.decode(ids) == reference.decode(ids)


def ends_are_the_references(runtime: Any, reference: Any, more: tuple[int, ...] = ()) -> None:
    """What ends a completion.

    Args:
        more: what the runtime takes for an end by itself.
    """
    assert runtime.ends == sorted({*reference.ends, *more})


def completions_are_well_formed(runtime: Any, reference: Any) -> None:
    """How a completion ends, how long it is, and when its tokens were there; more prompts than are taken at once."""
    given = prompts(reference) * 2
    found = runtime.generate(given, GREEDY, 0, 4)
    assert len(found) == len(given)
    for one in found:
        assert 1 <= len(one.ids) <= GREEDY.max_new_tokens
        assert one.ended == (one.ids[-1] in runtime.ends)
        assert one.ended or len(one.ids) == GREEDY.max_new_tokens
        assert not set(one.ids[:-1]) & set(runtime.ends)
        assert len(one.seconds) == len(one.ids)
        assert one.seconds[0] > 0 and one.seconds == sorted(one.seconds)
    short = runtime.generate(given, TWO, 0, 1)
    assert [one.ids for one in short] == [one.ids[:2] for one in found]
    assert [one.ended for one in short] == [one.ids[-1] in runtime.ends for one in short]
    assert runtime.generate([], GREEDY, 0, 1) == []


def greedy_is_the_references(runtime: Any, reference: Any, share: float = 1.0) -> None:
    """The share of prompts with the reference's own completion is at least this."""
    given = prompts(reference)
    one, other = runtime.generate(given, GREEDY, 0, 1), reference.generate(given, GREEDY, 0, 1)
    same = [mine.ids == its.ids for mine, its in zip(one, other, strict=True)]
    assert sum(same) >= share * len(same), [(mine.ids, its.ids) for mine, its in zip(one, other, strict=True)]


def greedy_is_the_likeliest(runtime: Any, reference: Any) -> None:
    """What is generated and what is teacher-forced come from the same distributions."""
    for prompt in prompts(reference):
        (found,) = runtime.generate([prompt], GREEDY, 0, 1)
        rows = runtime.logprobs([*prompt, *found.ids], len(prompt))
        best = rows.max(axis=-1)
        assert numpy.all(best - rows[numpy.arange(len(found.ids)), found.ids] < 0.02)


def seed_decides(runtime: Any, reference: Any) -> None:
    """The same seed gives the same completions, another one others; completions of one call are independent."""
    given = [prompts(reference)[0]] * 4
    drawn = [[one.ids for one in runtime.generate(given, SAMPLED, seed, 1)] for seed in (5, 5, 6)]
    assert drawn[0] == drawn[1]
    assert drawn[0] != drawn[2]
    assert len({tuple(one) for one in drawn[0]}) > 1


def crowd_changes_little(runtime: Any, reference: Any) -> None:
    """Greedy completions alone and among others: the first token of each is the same one."""
    given = prompts(reference) * 2
    alone, crowd = (runtime.generate(given, ONE, 0, together) for together in (1, 4))
    assert [one.ids for one in alone] == [one.ids for one in crowd]


def probabilities_are_some(runtime: Any, reference: Any) -> None:
    """One row a token, each a distribution over the reference's vocabulary; where it begins changes none."""
    ids = prompts(reference)[2]
    rows = runtime.logprobs(ids, 1)
    assert rows.dtype == numpy.float32
    assert rows.shape == reference.logprobs(ids, 1).shape
    assert numpy.allclose(numpy.exp(rows.astype(float)).sum(axis=-1), 1, atol=1e-4)
    assert numpy.allclose(runtime.logprobs(ids, 5), rows[4:], atol=0.02)


def divergence(runtime: Any, reference: Any) -> float:
    """The mean Kullback-Leibler divergence from the reference, in nats a token, on the dialogues and its own
    completions of them."""
    found = []
    for prompt in prompts(reference):
        (own,) = reference.generate([prompt], GREEDY, 0, 1)
        ids = [*prompt, *own.ids]
        base, other = (one.logprobs(ids, 1).astype(float) for one in (reference, runtime))
        found += list((numpy.exp(base) * (base - other)).sum(axis=-1))
    return float(numpy.mean(found))


def what_cannot_be_answered_costs_one_call(runtime: Any, reference: Any) -> None:
    """A prompt longer than the context is no answer, and the next prompt has one."""
    with pytest.raises(Exception):  # noqa: B017  # each runtime has its own
        runtime.generate([[5] * (runtime.spec.context + 1)], ONE, 0, 1)
    assert runtime.generate(prompts(reference)[:1], ONE, 0, 1)[0].ids
