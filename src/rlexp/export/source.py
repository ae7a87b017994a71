"""What is exported: the weights of a run on their base, as they were trained."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rlexp.compose import hub
from rlexp.compose.schema import Device
from rlexp.errors import RunError
from rlexp.evaluate.candidates import adapter_of, place_of
from rlexp.evaluate.subjects import Subject
from rlexp.runtimes.protocol import Spec


@dataclass(frozen=True)
class Source:
    """The weights of a run, and how it speaks."""

    subject: Subject
    base: Path
    """The folder of the base model; of a full fine-tuning that of the trained model."""
    adapter: Path | None
    """None of a full fine-tuning."""
    before: Path
    """The folder of what the run began with."""

    @property
    def own(self) -> Path:
        """The folder with the tokenizer, the template and the generation settings that the run left."""
        return self.adapter or self.base

    @property
    def step(self) -> int | None:
        """The step of the checkpoint that they are of; None for what the run left at its end."""
        name = (self.adapter or self.base).resolve().name
        return int(name[11:]) if name.startswith("checkpoint-") and name[11:].isdecimal() else None

    @property
    def device(self) -> str:
        """cpu or cuda."""
        return "cuda" if self.subject.run.hardware.device is Device.cuda else "cpu"

    def reference(self, context: int, together: int) -> Spec:
        """The model as it was trained: the adapter unmerged on its base, in float32; on the base in 4 bits where it was
        trained on that."""
        return self._spec(self.base, self.adapter, context, together)

    def untrained(self, context: int, together: int) -> Spec:
        """What the run began with."""
        return self._spec(self.before, None, context, together)

    def _spec(self, path: Path, adapter: Path | None, context: int, together: int) -> Spec:
        return Spec(
            "transformers",
            path,
            adapter,
            dtype="float32",
            device=self.device,
            context=context,
            together=together,
            template_kwargs=dict(self.subject.run.chat_template_kwargs),
            load_in_4bit=self.subject.run.model.load_in_4bit,
        )


def of(subject: Subject) -> Source:
    """The source of a run's weights.

    Raises:
        RunError: it is no run, or the base cannot be had.
    """
    if subject.weights is None or subject.inputs is None:
        hint = "name a run, RUN@STEP or RUN@best: python -m rlexp runs lists them"
        raise RunError(f"{subject.name} is no run, and a run is exported", where=f"export {subject.name}", hint=hint)
    run, place = subject.run, place_of(subject)[0]
    base = place or hub.cached(run)
    before = subject.inputs.model or hub.cached(run)
    if base is None or before is None:
        what = f"the weights of {run.model.hub_id} are not on this machine"
        raise RunError(what, where="model.hub_id", hint="type python -m rlexp prepare where the hub can be reached")
    return Source(subject, base, adapter_of(subject), before)


def settings_of(source: Source) -> dict[str, Any]:
    """How the run was sampled, as its files beside the weights say."""
    import json

    from rlexp.backend.beside import NOTE

    file = source.own / NOTE
    return json.loads(file.read_text()) if file.is_file() else {}
