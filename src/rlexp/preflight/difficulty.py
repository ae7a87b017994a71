"""The pass rates that a run filters its rows by (``dataset.difficulty``): in words, and whose they are."""

from __future__ import annotations

from typing import Any

from rlexp.compose.run import Run
from rlexp.inputs.find import Inputs
from rlexp.inputs.hashes import model_digest
from rlexp.verdict import Level, Verdict

NAME = "data.difficulty"


def described(run: Run, inputs: Inputs) -> str:
    """The filter in words: ``412 of 2000 train rows: pass rate 0.1 to 0.9 (tiny, n=8)``; empty without one."""
    if inputs.filtered is None or run.dataset.difficulty is None:
        return ""
    found, (low, high) = inputs.filtered, run.dataset.difficulty
    unknown = f", {found.unknown} have none" if found.unknown else ""
    return f"{len(found.kept)} of {found.rows} train rows: pass rate {low:g} to {high:g} ({found.source}){unknown}"


def verdict(run: Run, inputs: Inputs) -> Verdict:
    """The rates are of the model that is trained; those of another one are allowed, and named."""
    if inputs.filtered is None:
        return Verdict(NAME, Level.skipped, "every row is trained on")
    said, of = described(run, inputs), inputs.filtered.description["model"]
    if inputs.model_prepare or same(of, identity(run, inputs)):
        return Verdict(NAME, Level.passed, said)
    message = f"{said}: the rates are not of the model that is trained, {run.model.name}"
    hint = "nothing, where they are meant as those of a reference; prompts may be easier or harder for this model"
    return Verdict(NAME, Level.warning, message, "dataset.difficulty", hint)


def rows(run: Run, inputs: Inputs) -> list[tuple[str, str]]:
    """The filter as rows of ``plan``, a warning among them where the rates are of another model; none without one."""
    if inputs.filtered is None:
        return []
    seen = verdict(run, inputs)
    return [("difficulty", described(run, inputs))] + [("warning", str(seen))] * (seen.level is Level.warning)


def identity(run: Run, inputs: Inputs) -> dict[str, Any]:
    """What names a model in a description of rates: its hash, or its commit on the hub."""
    digest = model_digest(run, inputs.model)
    of_hub = {"hub_id": None, "revision": None} if inputs.model else {}
    return {"name": run.model.name, **{key: digest[key] for key in ("md5", "hub_id", "revision")}, **of_hub}


def same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Says whether two identities are of the same weights. Those of the hub go by their commit: their files may not be
    on this machine yet."""
    keys = ("hub_id", "revision") if one.get("revision") and other.get("revision") else ("md5",)
    return all(one[key] == other[key] for key in keys)
