"""Held-out prompts that are trained on: what is measured on them is memory."""

from __future__ import annotations

from rlexp.compose.run import Run
from rlexp.inputs import snapshot
from rlexp.inputs.find import Inputs
from rlexp.verdict import Level, Verdict

NAME = "data.leak"


def verdict(run: Run, inputs: Inputs) -> Verdict:
    """No prompt of the held-out rows is word for word one of those to train on; of a mixture, of any part's."""
    if not run.held_out.rows or not (inputs.data / "test.parquet").is_file():
        return Verdict(NAME, Level.skipped, "nothing is held out")
    trained, held_out = (
        [str(prompt) for prompt in snapshot.read(inputs.data / f"{split}.parquet", ["prompt"])["prompt"].to_pylist()]
        for split in ("train", "test")
    )
    known = set(trained)
    leaked = sum(prompt in known for prompt in held_out)
    if not leaked:
        return Verdict(NAME, Level.passed, f"none of {len(held_out)} held-out prompts is trained on")
    message = f"{leaked} of {len(held_out)} held-out rows have a prompt that is trained on: they measure memory"
    hint = f"python -m rlexp data dataset={run.dataset.name} names them; leave them out of the training rows"
    return Verdict(NAME, Level.warning, message, run.dataset.path, hint)
