"""No longer than needed: a soft penalty near the limit, the overlong punishment of DAPO.

Source: https://huggingface.co/papers/2503.14476, equation 13.
"""

version = 1
bounds = (-1.0, 0.0)


def score(completion_ids: list[list[int]], *, limit: int, margin: int) -> list[float]:
    """0 up to ``limit - margin`` tokens, falling to -1 at ``limit`` and beyond; one score a completion."""
    return [max(-1.0, min(0.0, (limit - margin - len(ids)) / margin)) for ids in completion_ids]


cases = [
    {"completion_ids": [0] * 10, "limit": 20, "margin": 8, "score": 0.0},
    {"completion_ids": [0] * 12, "limit": 20, "margin": 8, "score": 0.0},
    {"completion_ids": [0] * 16, "limit": 20, "margin": 8, "score": -0.5},
    {"completion_ids": [0] * 20, "limit": 20, "margin": 8, "score": -1.0},
    {"completion_ids": [0] * 99, "limit": 20, "margin": 8, "score": -1.0},
    {"completion_ids": [], "limit": 20, "margin": 8, "score": 0.0},
]
