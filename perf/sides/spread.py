"""A reward for timing: it follows from the sampled tokens alone, so random weights get rewards that differ.

Copied into the benchmark's project as rewards/spread.py.
"""

version = 1
bounds = (0.0, 1.0)


def score(completion_ids: list[list[int]]) -> list[float]:
    """A sum of the token ids, folded into 0..1; one score a completion."""
    return [(sum(ids) % 997) / 996 for ids in completion_ids]


cases = [
    {"completion_ids": [1, 2, 3], "score": 6 / 996},
    {"completion_ids": [], "score": 0.0},
]
