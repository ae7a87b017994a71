"""The gate of an export: the reference once, then every artifact that was not held against it yet."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rlexp.evaluate.artifact_sampler import spec_of
from rlexp.export.gate import reference as of_reference
from rlexp.export.gate.measure import measure
from rlexp.export.gate.reference import Asked
from rlexp.export.source import Source
from rlexp.inputs.digest import json_sha256
from rlexp.record import gates
from rlexp.record.exports import Artifact
from rlexp.runtimes.protocol import Spec

REFERENCE = "reference"


def _like(one: Spec, trained: Spec) -> Spec:
    """An artifact's, as large as the reference."""
    return dataclasses.replace(one, context=trained.context, together=trained.together)


def _key(reference: str, one: Artifact) -> str:
    """What is measured of an artifact, by hash."""
    return json_sha256({"reference": reference, **one.digest})


def measured(
    source: Source,
    artifacts: Sequence[Artifact],
    asked: Asked,
    trained: Spec,
    folder: Path,
    say: Callable[[str], None] = lambda line: None,
) -> dict[str, dict[str, Any]]:
    """Holds artifacts against the model as it was trained.

    What was measured before of the same files is not measured again. The reference's log-probabilities are deleted once
    every artifact is through.

    Args:
        folder: of the export.

    Returns:
        Artifact -> what was measured, with ``baselines``.

    Raises:
        Died: the model as it was trained cannot be loaded.
    """
    key = json_sha256(
        {
            "subject": source.subject.digest,
            "dialogues": asked.dialogues,
            "greedy": asked.greedy,
            "tokens": asked.tokens,
            "seed": asked.seed,
            "max_new_tokens": asked.max_new_tokens,
        }
    )
    found: dict[str, dict[str, Any]] = {}
    missing = []
    for one in artifacts:
        kept = gates.kept(folder, one.name, _key(key, one))
        if kept is None:
            missing.append(one)
        else:
            found[one.name] = kept
    if missing:
        place = folder / gates.FOLDER / REFERENCE
        untrained = source.untrained(trained.context, trained.together)
        known = of_reference.measure(asked, trained, untrained, place, say, key)
        for one in missing:
            say(f"{one.name}: in {one.content['runtime']}, against the model as it was trained")
            found[one.name] = {
                **measure(_like(spec_of(one, source.subject.run), trained), known, asked, place),
                "baselines": known.baselines,
            }
            gates.keep(folder, one.name, _key(key, one), found[one.name])
        shutil.rmtree(place)
    return found
