"""Makes what is asked for and is not there: the merged model, then every artifact from it."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rlexp.compose.exports import FIRST, Wanted, artifact
from rlexp.export import formats, merged
from rlexp.export.formats import FORMATS, Made, Making
from rlexp.export.source import Source
from rlexp.files import whole_folder
from rlexp.record import exports
from rlexp.record.exports import ARTIFACT, Artifact

Said = Callable[[str], None]


def make(
    wanted: Wanted, source: Source, folder: Path, own: Callable[[Path], list[list[int]]], say: Said = lambda line: None
) -> list[Artifact]:
    """Makes the artifacts that are missing or are of other weights; each appears whole or not at all.

    Args:
        folder: of the export.
        own: given the merged model, the run's own completions for formats that calibrate.

    Raises:
        RunError: a package is missing, or a format cannot be made of this model.
    """
    formats.require(list(wanted.types))
    found = []
    for name, types in wanted.types.items():
        for one in types:
            place = folder / artifact(name, one)
            there = exports.read(place)
            if there is None or _told(there.content) != (place.name, name, one, _of(source)):
                say(
                    f"{place.name}: {'merging the adapter into its base' if name == FIRST else 'from the merged model'}"
                )
                there = _made(name, one, wanted, source, folder, own)
            else:
                exports.require_whole(there)
            found.append(there)
    return found


def _made(
    name: str, type_name: str, wanted: Wanted, source: Source, folder: Path, own: Callable[[Path], list[list[int]]]
) -> Artifact:
    place, began = folder / artifact(name, type_name), time.perf_counter()
    model = folder / artifact(FIRST, wanted.types[FIRST][0])
    with whole_folder(place, replace=True) as partial:
        if name == FIRST:
            partial.rmdir()
            made = merged.write(source, partial)
        else:
            settings = getattr(wanted.typed, name)
            calibration = functools.cache(lambda: own(model))
            run = source.subject.run
            making = Making(
                *(model, partial, type_name, settings, calibration, source.device),
                others=folder,
                template_kwargs=dict(run.chat_template_kwargs),
                system=run.model.system_prompt,
                context=run.model.max_seq_length,
            )
            made = formats.make(name, making)
        exports.write_json(partial / ARTIFACT, _described(name, type_name, source, partial, made, began))
    there = exports.read(place)
    assert there
    return there


def _described(name: str, type_name: str, source: Source, partial: Path, made: Made, began: float) -> dict[str, Any]:
    form = FORMATS[name]
    on_gpu = source.device == "cuda" and form.gpu_runtime
    return {
        "format": exports.FORMAT,
        "name": artifact(name, type_name),
        "kind": name,
        "type": type_name,
        "runtime": form.gpu_runtime if on_gpu else form.runtime,
        "path": made.path,
        "of": _of(source),
        "files": exports.hashed(partial),
        "seconds": round(time.perf_counter() - began, 3),
        "tools": {one: str(formats.version(one)) for one in ("transformers", *form.needs)},
        "mix": made.mix,
        "note": made.note,
        "template_kwargs": dict(source.subject.run.chat_template_kwargs),
    }


def _told(content: dict[str, Any]) -> tuple[Any, ...]:
    return content["name"], content["kind"], content["type"], content["of"]


def _of(source: Source) -> dict[str, Any]:
    """What an artifact is of."""
    original = source.subject.original
    assert original
    return {
        "run": source.subject.name.partition("@")[0],
        "step": source.step,
        "identity": original.lock["identity"],
        "subject": source.subject.digest,
    }
