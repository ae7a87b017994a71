"""Rows that stand more than once, word for word or nearly so, inside of the training rows and across splits.

Near duplicates are found by MinHash (datasketch), over runs of three words: numbers are words of their own, so that
rows of one template with other numbers differ.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from rlexp.preflight.data_quality.rows import Finding, Row, finding, plain, share, words
from rlexp.verdict import Level

SIMILAR = 0.8
"""Jaccard similarity of the runs of words from which two prompts are near duplicates."""
PERMUTATIONS, BANDS, IN_BAND = 64, 8, 8
"""Of MinHash: its hashes, in bands of so many. Two prompts are compared where a band agrees: at a similarity of 0.8
three in four such pairs are found, at 0.9 all but a few."""
LEAKED = 0.05
"""Share of held-out rows that are trained on, from which it fails."""
REPEATED = 0.05
"""Share of training rows that are near duplicates, from which it is worth a warning."""


def look(train: Sequence[Row], held_out: Sequence[Row]) -> list[Finding]:
    """The findings on rows that stand more than once.

    Args:
        train: the rows to train on.
        held_out: those of the other splits.
    """
    keys = [plain(row.prompt) for row in train]
    first: dict[tuple[Any, ...], int] = {}
    same: list[Row] = []
    by_prompt: defaultdict[str, list[Row]] = defaultdict(list)
    for row, key in zip(train, keys, strict=True):
        answer = None if row.answer is None else plain(row.answer)
        whole = key, tuple(map(plain, row.replies)), answer, row.label, row.scored
        if first.setdefault(whole, row.number) != row.number:
            same.append(row)
        by_prompt[key].append(row)
    leaked = [row for row in held_out if plain(row.prompt) in by_prompt]
    twins, near = _near(train, held_out, by_prompt)
    return [
        _exact(same, len(train)),
        _disagreeing(by_prompt),
        _repeated(twins, len(train)),
        _leaked(leaked, near, held_out),
    ]


def shared(train: Sequence[Row], others: Sequence[Row]) -> tuple[list[Row], list[Row]]:
    """The rows of ``others`` whose prompt is one of the training rows', and those whose prompt is nearly one."""
    by_prompt: defaultdict[str, list[Row]] = defaultdict(list)
    for row in train:
        by_prompt[plain(row.prompt)].append(row)
    return [row for row in others if plain(row.prompt) in by_prompt], _near(train, others, by_prompt)[1]


def _exact(same: Sequence[Row], count: int) -> Finding:
    if not same:
        return finding("data.duplicates", Level.passed, f"no row of {count} stands twice")
    message = f"{share(len(same), count)} stand in front of them already, word for word"
    hint = "leave them out, unless a row is meant to count more"
    return finding("data.duplicates", Level.warning, message, hint, same)


def _disagreeing(by_prompt: dict[str, list[Row]]) -> Finding:
    name = "data.answers_disagree"
    rows = [
        row
        for group in by_prompt.values()
        if len({plain(row.answer) for row in group if row.answer is not None}) > 1
        for row in group
    ]
    if not rows:
        return finding(name, Level.passed, "no prompt has two different answers")
    prompts = len({plain(row.prompt) for row in rows})
    hint = "one of the answers is wrong, or the prompt lacks what decides: correct the rows, or leave them out"
    return finding(name, Level.warning, f"{prompts} prompts have more than one answer", hint, rows)


def _repeated(twins: Sequence[Row], count: int) -> Finding:
    name = "data.near_duplicates"
    message = f"{share(len(twins), count)} have a prompt nearly like another's (similarity {SIMILAR})"
    level = Level.warning if len(twins) > REPEATED * count else Level.passed
    return finding(name, level, message, "keep one of each, or say so", twins)


def _leaked(leaked: Sequence[Row], near: Sequence[Row], held_out: Sequence[Row]) -> Finding:
    name = "data.leak"
    if not held_out:
        return finding(name, Level.skipped, "there are no held-out rows")
    if not leaked and not near:
        return finding(name, Level.passed, f"none of {len(held_out)} held-out prompts is among those trained on")
    message = f"{share(len(leaked), len(held_out))} held out are trained on, {len(near)} more nearly so"
    level = Level.failed if len(leaked) > LEAKED * len(held_out) else Level.warning
    return finding(name, level, message, "leave them out of the training rows: they measure memory", [*leaked, *near])


def _near(
    train: Sequence[Row], held_out: Sequence[Row], by_prompt: dict[str, list[Row]]
) -> tuple[list[Row], list[Row]]:
    """(training rows, held-out rows) whose prompt is nearly, and not quite, that of an earlier training row."""
    import numpy as np
    from datasketch import MinHash
    from xxhash import xxh32_intdigest

    texts = list(by_prompt)
    asked = [row for row in held_out if plain(row.prompt) not in by_prompt]
    texts += [plain(row.prompt) for row in asked]
    encoded = ([run.encode("utf-8", "replace") for run in _runs(text)] for text in texts)  # never all of them at once
    if not texts:
        return [], []
    made = MinHash.generator(encoded, num_perm=PERMUTATIONS, hashfunc=xxh32_intdigest)
    hashes = np.stack([one.hashvalues for one in made])
    found: set[int] = set()
    for band in range(BANDS):
        part = hashes[:, band * IN_BAND : (band + 1) * IN_BAND]
        # Rows of one bucket stand side by side once they are sorted; each is held against the one before it.
        order = np.lexsort(part.T[::-1])
        equal = (part[order[1:]] == part[order[:-1]]).all(axis=1)
        for (one, other), together in zip(pairwise(order.tolist()), equal.tolist(), strict=True):
            if together and _similar(_runs(texts[one]), _runs(texts[other])):
                found.add(max(one, other))
    twins = [row for number in sorted(found) if number < len(by_prompt) for row in by_prompt[texts[number]]]
    return twins, [asked[number - len(by_prompt)] for number in sorted(found) if number >= len(by_prompt)]


def _runs(text: str) -> frozenset[str]:
    found = words(text)
    return frozenset(" ".join(found[i : i + 3]) for i in range(max(1, len(found) - 2)))


def _similar(one: frozenset[str], other: frozenset[str]) -> bool:
    return len(one & other) >= SIMILAR * len(one | other)
