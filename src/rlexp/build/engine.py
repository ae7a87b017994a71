"""The vLLM of a run: started by the first trainer that is built, and given to every later one.

TRL starts an engine, or meets a server, whenever a trainer is built; the trainer of a smoke and that of the run behind
it would hold one each. Both sample with the same here: what the first left in the engine is overwritten before the
second samples, since TRL sends the weights before the first step of every trainer.

Source: ``trl.generation.vllm_generation.VLLMGeneration._init_vllm``, which looks ``LLM`` and ``VLLMClient`` up.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import gc
import logging
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from rlexp.build.kept import random_states
from rlexp.compose.run import Run
from rlexp.compose.schema import VllmMode
from rlexp.errors import RunError

LAUNCHED = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
"""What TRL sets in the environment for an engine in the process: a later trainer would take it for a launcher's."""


class Engine:
    """TRL's vLLM for the trainers of one run; none is ever made where the run has none.

    Args:
        folder: the base model's folder; None for a hub id.
    """

    def __init__(self, run: Run, folder: Path | None) -> None:
        self.run = run
        self.folder = folder
        self.made: Any = None
        """``vllm.LLM`` or ``VLLMClient``, once a trainer has been built."""
        self.weights: Any = None
        """``merged.InPlace``: where the adapted weights lie in it. Only a new engine can be compared with the base."""
        self.before = {name: os.environ.get(name) for name in LAUNCHED}

    def close(self) -> None:
        """Lets go of it: its memory, and the port where weights are exchanged, are free for the next run of a sweep,
        which finds the environment as it was.

        A fault is logged and ends nothing: what was trained is saved by then.
        """
        made, self.made, self.weights = self.made, None, None
        try:
            if made is not None and self.run.rollout.vllm_mode is VllmMode.server:
                made.close_communicator()
            elif made is not None:
                from vllm.distributed.parallel_state import cleanup_dist_env_and_memory

                made.llm_engine.engine_core.shutdown()
                cleanup_dist_env_and_memory()
        except Exception:
            logging.getLogger(__name__).exception("vLLM was not shut down")
        for name, value in self.before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value
        gc.unfreeze()  # the run's trainers (rollout.prepare)

    @contextlib.contextmanager
    def given(self) -> Iterator[None]:
        """A trainer built inside is given this engine; as it starts, the random states stay as they are."""
        mode = self.run.rollout.vllm_mode
        if mode is VllmMode.none:
            yield
            return
        from trl.generation import vllm_generation as trl

        name = "LLM" if mode is VllmMode.colocate else "VLLMClient"
        theirs = getattr(trl, name)
        told = {} if mode is VllmMode.server else options(self.run, self.folder)
        make = _client(theirs) if mode is VllmMode.server else functools.partial(start, self.run, theirs, **told)

        def give(**asked: Any) -> Any:
            if self.made is None:
                with random_states():
                    self.made = make(**asked)
            return self.made

        setattr(trl, name, give)
        try:
            yield
        finally:
            setattr(trl, name, theirs)


def options(run: Run, folder: Path | None) -> dict[str, Any]:
    """What ``vllm.LLM`` is told beyond TRL's own arguments, in vLLM's words.

    Args:
        folder: the base model's folder; None for a hub id.
    """
    # TRL leaves the type to the model's files and the revision to the hub: the trained model's are meant.
    pinned = {"revision": run.model.revision} if folder is None and run.model.revision else {}
    return {"dtype": run.hardware.dtype.name, "enforce_eager": run.rollout.enforce_eager, **pinned}


def start(run: Run, theirs: Callable[..., Any], **given: Any) -> Any:
    """vLLM's class called with what it is given and with ``rollout.engine`` over it.

    Raises:
        RunError: vLLM refuses a value, where the run has arguments of its own for it.
    """
    asked = run.rollout.engine
    try:
        return theirs(**over(given, asked))
    except ValueError as error:
        if not asked:
            raise
        said = "; ".join(line.strip() for line in str(error).splitlines() if line.strip())
        raise RunError(f"vLLM did not start: {said}", where="rollout.engine", hint="its words are about it") from error


def over(given: Mapping[str, Any], asked: Mapping[str, Any]) -> dict[str, Any]:
    """vLLM's arguments with those that are asked for in their place; of ``compilation_config`` the keys asked for.

    Args:
        given: by TRL, Unsloth and rlexp. Unsloth gives ``vllm.config.CompilationConfig``, whose fields are taken.
    """
    both, key = {**given, **asked}, "compilation_config"
    mine, theirs = asked.get(key), given.get(key)
    if isinstance(mine, Mapping) and (dataclasses.is_dataclass(theirs) or isinstance(theirs, Mapping)):
        fields: Any = theirs if isinstance(theirs, Mapping) else vars(theirs)
        both[key] = {**fields, **mine}
    return both


@contextlib.contextmanager
def added(run: Run) -> Iterator[None]:
    """The vLLM that Unsloth starts inside takes ``rollout.engine`` too: ``load_vllm`` passes few arguments on.

    Source: ``unsloth_zoo.vllm_utils.load_vllm``, which imports ``vllm.LLM`` when it is called.

    Raises:
        RunError: vLLM refuses a value.
    """
    if not (run.rollout.fast_inference and run.rollout.engine):
        yield
        return
    import vllm

    theirs = vllm.LLM
    vllm.LLM = functools.partial(start, run, theirs)
    try:
        yield
    except RuntimeError as error:  # Unsloth's, in the place of the one that it caught
        if isinstance(error.__context__, RunError):
            raise error.__context__ from error
        raise
    finally:
        vllm.LLM = theirs


def _client(theirs: type) -> type:
    """TRL's client of a server, fit to be given to several trainers one after another."""

    class Client(theirs):
        def init_communicator(self, device: Any = 0) -> None:
            """Joins the group over which weights are sent, once: a server that waits for a second would hang."""
            if self.communicator is None:
                super().init_communicator(device)

        def update_named_params(self, metadata: Any, named_params: Any) -> None:
            """Sends weights; vLLM reads them on streams of its own, so the optimizer's step is waited for first."""
            import torch

            torch.cuda.synchronize()
            super().update_named_params(metadata, named_params)

    return Client
