"""Failure patterns: what a run's wrong answers have in common, by rule and by cluster, with counts and a real one.

Of the samples that an evaluation kept. Clusters are made of the answers' own text with digits masked (average linkage
on the cosine distance of counts of character trigrams): answers that fail alike read alike.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

MOST = 400
"""Wrong answers that are clustered at most."""
CLUSTERS, LEAST = 5, 2
"""Clusters that are shown at most, and answers that make one."""
APART = 0.5
"""Cosine distance from which on answers are of two clusters."""
LOOP = re.compile(r"(.{3,40}?)\1{4,}", re.DOTALL)
SHOWN = 600


@dataclass(frozen=True)
class Pattern:
    """A way in which answers fail."""

    name: str
    count: int
    of: int
    """Samples that were looked at."""
    prompt: str
    completion: str
    """A real one."""


def by_rule(samples: Sequence[dict[str, Any]]) -> list[Pattern]:
    """The patterns of known names, most frequent first; those that nothing shows are left out.

    Args:
        samples: rows of an evaluation's table: ``prompt``, ``completion``, ``truncated``, ``score.*``.
    """
    found: dict[str, list[dict[str, Any]]] = {}
    for one in samples:
        text = one["completion"] or ""
        names = {
            "the limit of tokens cut it": bool(one["truncated"]),
            "empty": not text.strip(),
            "it repeats itself": bool(LOOP.search(text)),
            "characters that are none": "\ufffd" in text,
        }
        for key, score in one.items():
            if key.startswith("score.") and score is not None and score <= 0:
                names[f"the reward {key.removeprefix('score.')} is at most 0"] = True
        for name, holds in names.items():
            if holds:
                found.setdefault(name, []).append(one)
    patterns = [_pattern(name, some, len(samples)) for name, some in found.items()]
    return sorted(patterns, key=lambda one: (-one.count, one.name))


def by_cluster(samples: Sequence[dict[str, Any]], wrong: Sequence[bool]) -> list[Pattern]:
    """The largest groups of wrong answers that read alike."""
    some = [one for one, is_wrong in zip(samples, wrong, strict=True) if is_wrong and (one["completion"] or "").strip()]
    some = some[:MOST]
    if len(some) < LEAST:
        return []
    vectors = _vectors([re.sub(r"\d", "0", one["completion"]) for one in some])
    groups: dict[int, list[int]] = {}
    for place, label in enumerate(_labels(vectors)):
        groups.setdefault(label, []).append(place)
    largest = sorted((group for group in groups.values() if len(group) >= LEAST), key=lambda one: (-len(one), one[0]))
    patterns = []
    for group in largest[:CLUSTERS]:
        centre = vectors[group].mean(axis=0)
        middle = some[group[int(np.argmax(vectors[group] @ centre))]]
        shape = re.sub(r"\d+", "#", " ".join(middle["completion"].split()))[:80]
        patterns.append(Pattern(shape, len(group), len(samples), _cut(middle["prompt"]), _cut(middle["completion"])))
    return patterns


def _labels(vectors: Any) -> list[int]:
    from scipy.cluster.hierarchy import fcluster, linkage
    from scipy.spatial.distance import squareform

    distances = np.clip(1 - vectors @ vectors.T, 0, None)
    np.fill_diagonal(distances, 0)
    tree = linkage(squareform(distances, checks=False), "average")
    return fcluster(tree, APART, "distance").tolist()


def _vectors(texts: Sequence[str]) -> Any:
    """Counts of character trigrams, each row of length 1."""
    counted = [Counter(text[at : at + 3] for at in range(max(1, len(text) - 2))) for text in texts]
    known = {gram: place for place, gram in enumerate(sorted(set().union(*counted)))}
    found = np.zeros((len(texts), len(known)))
    for row, counts in enumerate(counted):
        for gram, number in counts.items():
            found[row, known[gram]] = number
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def _pattern(name: str, some: Sequence[dict[str, Any]], of: int) -> Pattern:
    first = some[0]
    return Pattern(name, len(some), of, _cut(first["prompt"]), _cut(first["completion"] or ""))


def _cut(text: str) -> str:
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."
