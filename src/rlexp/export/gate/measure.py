"""One artifact in its runtime, held against the reference: everything that the verdict reads."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from rlexp.export.gate import reference as of_reference
from rlexp.export.gate.reference import Asked, Reference
from rlexp.runtimes.host import Died, Host
from rlexp.runtimes.protocol import Generated, Sampling, Spec

SHOWN = 3
"""Differing prompts that are kept whole."""


def measure(spec: Spec, reference: Reference, asked: Asked, folder: Path) -> dict[str, Any]:
    """Loads an artifact and compares it.

    Args:
        folder: that of the reference's log-probabilities.

    Returns:
        JSON values; ``died`` where its runtime could not load it or ended meanwhile.
    """
    try:
        with Host(spec) as host:
            found = {"loaded": host.loaded, "load_s": round(host.load_s, 3)}
            found |= _prompts(host, reference) | _ends(host, reference)
            began = time.perf_counter()
            greedy = host.generate(
                [reference.ids[f"prompt {number}"] for number in range(len(reference.greedy))],
                Sampling(asked.max_new_tokens),
                together=spec.together,
            )
            found["tokens_per_s"] = round(sum(len(one.ids) for one in greedy) / (time.perf_counter() - began), 1)
            found["greedy"] = of_reference.agreed(reference.greedy, greedy)
            found["first"] = host.decode(greedy[0].ids)
            found["prompt"] = {"text": reference.texts["prompt 0"]}
            found["stopped"] = {"reference": _stopped(reference.greedy), "artifact": _stopped(greedy)}
            try:
                diverged = of_reference.diverged(reference, folder, host)
                found["divergence"] = diverged.statistics() | {"tokens": {"value": diverged.tokens, "error": 0}}
            except NotImplementedError as error:
                found["divergence"], found["no_divergence"] = None, str(error)
            found["peak_gib"] = round(host.peak_gib(), 3)
            return found
    except Died as error:
        return {"died": str(error)}


def _stopped(answers: list[Generated]) -> float:
    return sum(one.ended for one in answers) / len(answers) if answers else 0.0


def _prompts(host: Host, reference: Reference) -> dict[str, Any]:
    """Which dialogues the artifact renders or tokenizes otherwise."""
    texts, refused = host.rendered(reference.dialogues)
    ids = dict(zip(texts, host.encode(list(texts.values())), strict=True))
    same = dict(zip(reference.texts, host.encode(list(reference.texts.values())), strict=True))
    of_text = [name for name, text in reference.texts.items() if texts.get(name) != text]
    of_ids = [name for name, wanted in reference.ids.items() if ids.get(name) != wanted]
    tokenized = [name for name, wanted in reference.ids.items() if same[name] != wanted]
    return {
        "prompts": {
            "compared": len(reference.texts),
            "refused": refused,
            "texts_differ": of_text,
            "ids_differ": of_ids,
            "tokenized_differ": tokenized,
            "shown": [
                {"name": name, "reference": reference.texts[name], "artifact": texts.get(name)}
                for name in of_text[:SHOWN]
            ],
            "shown_ids": [
                {"name": name, "reference": reference.ids[name], "artifact": same[name]} for name in tokenized[:SHOWN]
            ],
        }
    }


def _ends(host: Host, reference: Reference) -> dict[str, Any]:
    """The ids that end a completion; more than the reference's harm only where it goes on behind one of them."""
    wanted, found = set(reference.ends), set(host.ends)
    inside = {token for ids, begin in reference.own for token in ids[begin:-1]}
    return {
        "ends": {
            "reference": sorted(wanted),
            "artifact": sorted(found),
            "missing": sorted(wanted - found),
            "cutting": sorted((found - wanted) & inside),
        }
    }
