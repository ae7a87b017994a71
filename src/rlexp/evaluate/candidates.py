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
from rlexp.backend.patches import Patches
from rlexp.console import quiet
from rlexp.evaluate.sampler import Sampler
from rlexp.evaluate.subjects import Subject
from rlexp.evaluate.transformers_sampler import TransformersSampler
from rlexp.evaluate.url_sampler import UrlSampler


@dataclass(frozen=True)
class Candidate:
    """A subject that can be measured."""

    subject: Subject
    sampler: Sampler
    model: Any = None
    """A causal language model of transformers or PEFT, in evaluation mode; None where it answers elsewhere."""
    tokenizer: Any = None
    """None of an endpoint."""


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
        self._local = any(not one.url for one in subjects)

    @contextlib.contextmanager
    def of(self, subject: Subject) -> Iterator[Candidate]:
        """The subject, loaded as long as the block lasts.

        Raises:
            RunError: it cannot be loaded.
        """
        if subject.url:
            yield Candidate(subject, UrlSampler(subject.run, subject.url, str(subject.model)))
            return
        with quiet(Path(os.devnull)), contextlib.ExitStack() as stack:
            model, tokenizer = self._loaded(subject)
            begun = subject.inputs.start.adapter if subject.inputs and subject.inputs.start else None
            adapter = None if subject.run.model.full_finetuning else subject.weights or begun
            if adapter:
                models.put_adapter(model, adapter)
            elif hasattr(model, "disable_adapter"):
                stack.enter_context(model.disable_adapter())
            yield Candidate(subject, TransformersSampler(subject.run, model, tokenizer), model, tokenizer)

    def close(self) -> None:
        """Lets go of what is loaded."""
        self._base = None

    def _loaded(self, subject: Subject) -> tuple[Any, Any]:
        run, inputs = subject.run, subject.inputs
        assert inputs
        whole = subject.weights if run.model.full_finetuning else None
        folder = whole or inputs.model
        key = repr((str(folder or (run.model.hub_id, run.model.revision)), run.model, run.hardware.dtype))
        if self._base is None or self._base[0] != key:
            self._base = None
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
