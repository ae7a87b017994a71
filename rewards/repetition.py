"""No loops: a penalty for n-grams of tokens that came before.

After the n-gram repetition penalty of Yeo et al. 2025 (https://huggingface.co/papers/2502.03373, algorithm 1), which
marks the tokens inside repeated n-grams; here the share of repeated n-grams is one score a completion, as in
huggingface/open-r1. Tokens, not words: a loop of one sign, or in a script without blanks, is a loop, too.
"""

version = 1
bounds = (-1.0, 0.0)


def score(completion_ids: list[list[int]], *, n: int = 8, allowed: float = 0.0) -> list[float]:
    """0 where no n-gram comes twice, falling to -1 with the share of n-grams that came before; one score a completion.

    Args:
        n: tokens of an n-gram; the paper uses 40 on long chains of thought. Few: ordinary phrases count as repeated.
        allowed: share that costs nothing, such as for an answer that restates the question.

    Raises:
        ValueError: ``n`` is not positive, or ``allowed`` is no share below 1.
    """
    if n < 1 or not 0 <= allowed < 1:
        raise ValueError(f"n={n} must be at least 1, and allowed={allowed} a share from 0 to below 1")
    return [-max(0.0, _repeated(ids, n) - allowed) / (1 - allowed) for ids in completion_ids]


def _repeated(ids: list[int], n: int) -> float:
    grams = [tuple(ids[start : start + n]) for start in range(len(ids) - n + 1)]
    return 1 - len(set(grams)) / len(grams) if grams else 0.0


# Signs stand for tokens.
cases = [
    {"completion_ids": [*"abcdef"], "n": 2, "score": 0.0},
    {"completion_ids": [*"abcdab"], "n": 2, "score": -0.2},  # one of five pairs
    {"completion_ids": [*"abcdab"], "n": 3, "score": 0.0},
    {"completion_ids": [*"abcdab"], "n": 2, "allowed": 0.2, "score": 0.0},
    {"completion_ids": [*"a"] * 101, "n": 2, "score": -0.99},  # a loop
    {"completion_ids": [*"a"] * 101, "n": 2, "allowed": 0.5, "score": -0.98},
    {"completion_ids": [*"carry the one. "] * 20, "n": 8, "at_most": -0.9},  # a loop of a phrase
    {"completion_ids": [*"A sound answer, and then: "] + [*"!"] * 40, "n": 8, "at_most": -0.4},  # a loop at the end
    {"completion_ids": [*range(500), *range(500)], "n": 40, "at_most": -0.4},  # cheat: all of it said twice
    {"completion_ids": [*"a"] * 8, "n": 8, "score": 0.0},  # one n-gram only
    {"completion_ids": [*"a"] * 3, "n": 8, "score": 0.0},  # shorter than an n-gram
    {"completion_ids": [], "n": 8, "score": 0.0},
]
