"""The vLLM of a run, or of several in one process: started by the first trainer, and given to every later one.

TRL starts an engine, or meets a server, whenever a trainer is built; the trainer of a smoke and that of the run behind
it would hold one each. Both sample with the same here: what the first left in the engine is overwritten before the
second samples, since TRL sends the weights before the first step of every trainer (``patches.shared_engine``).
"""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rlexp.backend import ranks
from rlexp.backend.engine import arguments
from rlexp.backend.patches import (
    Patches,
    flat_logprobs,
    model_class,
    sampled_logprobs,
    sampler_kernels,
    shared_engine,
)
from rlexp.backend.restore import random_states
from rlexp.compose import compiling
from rlexp.compose.run import Run
from rlexp.compose.schema import Device, VllmMode
from rlexp.errors import RunError

LAUNCHED = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
"""Variables that TRL sets for an engine in the process; a later trainer would take them for a launcher's."""

HOLDS = ("max_num_seqs", "gpu_memory_utilization")
"""Arguments of which an engine may have more than a run asks for."""
SHOWN = 250
"""Characters of vLLM's own message that are shown."""


class Engine:
    """TRL's vLLM for the trainers of one run; none is ever made where the run has none.

    Args:
        model_dir: the base model's folder; None for a hub id.
        patches: those of the run, which every trainer of the engine is patched by.
    """

    def __init__(self, run: Run, model_dir: Path | None, patches: Patches) -> None:
        self.run = run
        self.model_dir = model_dir
        self.patches = patches
        self.made: Any = None
        """``vllm.LLM`` or ``VLLMClient``, once a trainer has been built."""
        self.asked: dict[str, Any] = {}
        """The arguments that ``made`` was made with."""
        self.weights: Any = None
        """``merged_weights.InPlace``: the adapted weights in it; only a new engine can be searched for them."""
        self.before = {name: os.environ.get(name) for name in LAUNCHED}

    def lend(self, run: Run, patches: Patches) -> Engine:
        """Hands it on to the next run of this process, on the same model."""
        self.run, self.patches = run, patches
        return self

    def close(self) -> None:
        """Lets go of it: its memory, and the port where weights are exchanged, are free for the next run of a sweep,
        which finds the environment as it was.

        A fault is logged and ends nothing: what was trained is saved by then.
        """
        self._end()
        for name, value in self.before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value

    def _end(self) -> None:
        import torch

        made, self.made, self.weights = self.made, None, None
        try:
            if made is not None and self.run.rollout.vllm_mode is VllmMode.server:
                made.close_communicator()
            elif made is not None:
                from vllm.distributed import parallel_state

                if ranks.current().count > 1:  # the engine's core would end the ranks' process group with its own
                    made.llm_engine.model_executor.shutdown()
                    parallel_state.destroy_model_parallel()
                else:
                    made.llm_engine.engine_core.shutdown()
                    parallel_state.cleanup_dist_env_and_memory()
        except Exception:
            logging.getLogger(__name__).exception("vLLM was not shut down")
        finally:  # its graphs are gone before another engine captures into the pool that they had
            made = None
            gc.unfreeze()  # the run's trainers (patches.prepare_sampling)
            gc.collect()
            if self.run.hardware.device is Device.cuda:
                torch.cuda.empty_cache()

    @contextlib.contextmanager
    def given(self) -> Iterator[None]:
        """A trainer built inside is given this engine; as it starts, the random states stay as they are.

        Raises:
            RunError: vLLM refuses an argument, or has no room.
        """
        mode = self.run.rollout.vllm_mode
        if mode is VllmMode.none:
            yield
            return
        if mode is VllmMode.colocate:
            self.patches.apply(flat_logprobs)
            self.patches.apply(sampled_logprobs)
            self.patches.apply(model_class)
            self.patches.apply(sampler_kernels, self.run)
            if not os.environ.get("MASTER_PORT"):
                # TRL would name the first of a short list that is free, which another run names too until this one
                # listens.
                os.environ["MASTER_PORT"] = str(ranks.free_port())
        if not self.patches.apply(shared_engine, mode):
            yield
            return
        with shared_engine.replaced(mode, self._give):
            yield

    def adopt(self, generation: Any) -> None:
        """Takes the engine that TRL made by itself, so that it ends with the run."""
        if self.made is None and self.run.rollout.vllm_mode is not VllmMode.none:
            self.made = getattr(generation, "llm", None) or getattr(generation, "vllm_client", None)

    def _give(self, original: type, **given: Any) -> Any:
        """The engine of the run, made of TRL's class at the first call, and again where other arguments are asked."""
        in_process = self.run.rollout.vllm_mode is VllmMode.colocate
        if in_process:
            ours = arguments.over(arguments.defaults(self.run), arguments.graphs(self.run))
            given = {**options(self.run, self.model_dir), **ours, **given}
            given = arguments.over(given, self.run.rollout.engine)
            if self.made is not None and not _serves(self.asked, given):
                self._end()
        if self.made is None:
            with random_states(), fit(self.run):
                if in_process:
                    self.made, self.asked = original(**given), given
                else:
                    own = self.run.rollout.server_url is None
                    self.made = shared_engine.shared_client(original, own)(**given)
        return self.made


def _serves(made: Mapping[str, Any], asked: Mapping[str, Any]) -> bool:
    """Whether an engine that was made with some arguments is one for others: it holds as many sequences, in no less
    memory, and is else the same."""
    return _rest(made) == _rest(asked) and all(made.get(name, 0) >= asked.get(name, 0) for name in HOLDS)


def _rest(arguments_of: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of which an engine may not have more; its graphs follow from how many sequences it holds."""
    rest = {name: value for name, value in arguments_of.items() if name not in HOLDS}
    if isinstance(config := rest.get("compilation_config"), Mapping):
        rest["compilation_config"] = {key: value for key, value in config.items() if key not in compiling.GRAPHS}
    return rest


def options(run: Run, model_dir: Path | None) -> dict[str, Any]:
    """The arguments of ``vllm.LLM`` beyond TRL's own.

    Args:
        model_dir: the base model's folder; None for a hub id.
    """
    # TRL leaves the type to the model's files and the revision to the hub: the trained model's are meant.
    pinned = {"revision": run.model.revision} if model_dir is None and run.model.revision else {}
    return {"dtype": run.hardware.dtype.name, "enforce_eager": run.rollout.enforce_eager, **pinned}


@contextlib.contextmanager
def fit(run: Run) -> Iterator[None]:
    """Shows the beginning of vLLM's own message, which may be pages long, where it cannot start with these settings.

    Raises:
        RunError: it did not start.
    """
    import torch

    try:
        yield
    except (ValueError, torch.OutOfMemoryError, AssertionError) as error:
        if not str(error):  # an assertion about vLLM itself
            raise
        engine = ", rollout.engine" if run.rollout.engine else ""
        raise RunError(
            f"vLLM did not start: {textwrap.shorten(str(error), SHOWN)}",
            where=f"rollout{engine}, model.max_seq_length",
            hint="room is rollout.gpu_memory_utilization (plan estimates it), length model.max_seq_length; "
            "or type rollout=generate",
        ) from error
