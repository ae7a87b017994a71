"""The prompts of a task as dialogues, for what is asked in a runtime of its own."""

from __future__ import annotations

from rlexp.backend import dataset
from rlexp.backend.prompts import prompt_of
from rlexp.compose.run import Run
from rlexp.evaluate.work import Work
from rlexp.runtimes.protocol import Messages


def dialogues_of(work: Work, run: Run) -> list[Messages]:
    """The prompts of a task's rows, as a run is asked them; a plain text is a user's turn."""
    rows = dataset.load(work.settled.on(run), work.inputs.data, work.settled.named.task.split.name, work.rows, ())
    prompts = [prompt_of(row) for row in rows]
    return [[{"role": "user", "content": one}] if isinstance(one, str) else list(one) for one in prompts]
