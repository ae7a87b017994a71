"""Subjects loaded, one after the other: those of one base model share it, and only the adapter is exchanged."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from rlexp.backend import model as models
from rlexp.backend import template_clock
from rlexp.backend.engine.offline import OfflineEngine, rank_of
from rlexp.backend.patches import Patches
from rlexp.console import quiet
from rlexp.errors import RunError
from rlexp.evaluate.artifact_sampler import ArtifactSampler, spec_of
from rlexp.evaluate.sampler import Sampler
from rlexp.evaluate.subjects import Subject
from rlexp.evaluate.transformers_sampler import TransformersSampler
from rlexp.evaluate.url_sampler import UrlSampler
from rlexp.evaluate.vllm_sampler import VllmSampler
from rlexp.runtimes.host import Died, Host

TOGETHER = 8192
"""Completions that vLLM is given at once: it fills its batches itself."""


@dataclass(frozen=True)
class Candidate:
    """A subject that can be measured."""

    subject: Subject
    sampler: Sampler
    model: Any = None
    """A causal language model of transformers or PEFT, in evaluation mode; None where it answers elsewhere."""
    tokenizer: Any = None
    """None of an endpoint."""
    part: int = 256
    """Completions that are sampled, then scored, before it is said how far it is."""


class Candidates:
    """Loads subjects, and keeps the last base model for the next one.

    Args:
        subjects: all that will be asked for.
        engine: transformers or vllm.
        moment: what chat templates take for now; None leaves the clock alone.
    """

    def __init__(self, subjects: Sequence[Subject], engine: str, moment: datetime | None = None) -> None:
        self._engine = engine
        self._moment = moment
        self._base: tuple[str, Any, Any] | None = None
        self._subjects = subjects

    @contextlib.contextmanager
    def of(self, subject: Subject) -> Iterator[Candidate]:
        """The subject, loaded as long as the block lasts.

        Raises:
            RunError: it cannot be loaded.
        """
        if subject.url:
            yield Candidate(subject, UrlSampler(subject.run, subject.url, str(subject.model)))
            return
        if subject.artifact:
            with self._hosted(subject) as hosted:
                yield hosted
            return
        with quiet(Path(os.devnull)), contextlib.ExitStack() as stack:
            adapter = adapter_of(subject)
            if self._engine == "vllm":
                yield self._in_vllm(subject, adapter)
                return
            model, tokenizer = self._loaded(subject)
            if adapter:
                models.put_adapter(model, adapter)
            elif hasattr(model, "disable_adapter"):
                stack.enter_context(model.disable_adapter())
            yield Candidate(subject, TransformersSampler(subject.run, model, tokenizer), model, tokenizer)

    @contextlib.contextmanager
    def _hosted(self, subject: Subject) -> Iterator[Candidate]:
        """An artifact in its own runtime."""
        assert subject.artifact
        self.close()
        spec = spec_of(subject.artifact, subject.run)
        try:
            with Host(spec) as host:
                yield Candidate(subject, ArtifactSampler(host))
        except Died as error:
            hint = "python -m rlexp export RUN says what is wrong with it"
            raise RunError(f"it cannot be sampled: {error}", where=subject.name, hint=hint) from error

    def close(self) -> None:
        """Lets go of what is loaded."""
        if self._base and isinstance(self._base[1], OfflineEngine):
            self._base[1].close()
        self._base = None

    def _in_vllm(self, subject: Subject, adapter: Path | None) -> Candidate:
        run, (folder, key) = subject.run, place_of(subject)
        if self._base is None or self._base[0] != key:
            self.close()
            found = models.look(run, folder)
            if found is None:
                hint = "type eval.engine=transformers, which says why"
                raise RunError("the model's tokenizer cannot be read", where=str(folder or run.model.hub_id), hint=hint)
            if self._moment:
                template_clock.freeze(self._moment)
            tokenizer, _, stated = found
            adapters = [adapter_of(one) for one in self._subjects if not one.url]
            ranks = [rank_of(one) for one in adapters if one]
            self._base = (
                key,
                OfflineEngine(run, folder, max(ranks, default=0)),
                (tokenizer, {*stated, tokenizer.eos_token_id}),
            )
        engine, (tokenizer, ends) = self._base[1:]
        return Candidate(subject, VllmSampler(run, engine, tokenizer, ends, adapter), None, tokenizer, TOGETHER)

    def _loaded(self, subject: Subject) -> tuple[Any, Any]:
        run, (folder, key) = subject.run, place_of(subject)
        if self._base is None or self._base[0] != key:
            self.close()
            patches = Patches(run.rollout.patches)
            models.import_libraries(run, patches)
            if self._moment:
                template_clock.freeze(self._moment)
            model, tokenizer = models.load(run, folder, patches)
            if hasattr(model, "for_inference"):
                model.for_inference()
            model.eval()
            self._base = key, model, tokenizer
        return self._base[1:]


def adapter_of(subject: Subject) -> Path | None:
    """The adapter of a subject: its own, or the one that its run began with; None where it is a base or whole model."""
    begun = subject.inputs.start.adapter if subject.inputs and subject.inputs.start else None
    return None if subject.run.model.full_finetuning else subject.weights or begun


def place_of(subject: Subject) -> tuple[Path | None, str]:
    """The folder of the model that is loaded, None for a hub id, and what tells loaded models apart."""
    run, inputs = subject.run, subject.inputs
    assert inputs
    whole = subject.weights if run.model.full_finetuning else None
    folder = whole or inputs.model
    return folder, repr((str(folder or (run.model.hub_id, run.model.revision)), run.model, run.hardware.dtype))
