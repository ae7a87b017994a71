"""The vLLM of a run: started by the first trainer that is built, and given to every later one.

TRL starts an engine, or meets a server, whenever a trainer is built; the trainer of a smoke and that of the run behind
it would hold one each. Both sample with the same here: what the first left in the engine is overwritten before the
second samples, since TRL sends the weights before the first step of every trainer.

Source: ``trl.generation.vllm_generation.VLLMGeneration._init_vllm``, which looks ``LLM`` and ``VLLMClient`` up.
"""

from __future__ import annotations

import contextlib
import functools
import gc
import logging
import os
import socket
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rlexp.backend.engine import arguments
from rlexp.backend.patches import sampled_logprobs
from rlexp.backend.restore import random_states
from rlexp.compose.run import Run
from rlexp.compose.schema import VllmMode
from rlexp.errors import RunError

LAUNCHED = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
"""What TRL sets in the environment for an engine in the process: a later trainer would take it for a launcher's."""

AGAIN = 2
"""Times that a request is sent again where the connection to a server of one's own fails."""

SHOWN = 250
"""Characters of what vLLM says."""


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
        """A trainer built inside is given this engine; as it starts, the random states stay as they are.

        Raises:
            RunError: vLLM refuses what it is told, or has no room.
        """
        mode = self.run.rollout.vllm_mode
        if mode is VllmMode.none:
            yield
            return
        from trl.generation import vllm_generation as trl

        if mode is VllmMode.colocate and not os.environ.get("MASTER_PORT"):
            # TRL would name the first of a short list that is free, which another run names too until this one listens.
            os.environ["MASTER_PORT"] = str(free_port())
        name = "LLM" if mode is VllmMode.colocate else "VLLMClient"
        theirs = getattr(trl, name)
        own = self.run.rollout.server_url is None
        make = functools.partial(self._start, theirs) if name == "LLM" else _client(theirs, own)

        def give(**asked: Any) -> Any:
            if self.made is None:
                with random_states(), fit(self.run):
                    self.made = make(**asked)
            return self.made

        setattr(trl, name, give)
        try:
            yield
        finally:
            setattr(trl, name, theirs)

    def _start(self, theirs: Any, **asked: Any) -> Any:
        sampled_logprobs.install()
        ours = {**options(self.run, self.folder), **arguments.ours(self.run), **asked}
        return theirs(**arguments.over(ours, self.run.rollout.engine))


def options(run: Run, folder: Path | None) -> dict[str, Any]:
    """What ``vllm.LLM`` is told beyond TRL's own arguments, in vLLM's words.

    Args:
        folder: the base model's folder; None for a hub id.
    """
    # TRL leaves the type to the model's files and the revision to the hub: the trained model's are meant.
    pinned = {"revision": run.model.revision} if folder is None and run.model.revision else {}
    return {"dtype": run.hardware.dtype.name, "enforce_eager": run.rollout.enforce_eager, **pinned}


@contextlib.contextmanager
def fit(run: Run) -> Iterator[None]:
    """vLLM's own words where it cannot start with these settings; the first ones, it may go on for pages.

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


def free_port() -> int:
    """A port of this machine where nobody listens, another at every call."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def _client(theirs: type, own: bool) -> type:
    """TRL's client of a server, fit to be given to several trainers one after another.

    Args:
        own: the server was started with the run, on this machine. TRL would call one that has ended for a minute; this
            client tries again at once (an idle connection may have been closed just then), and not after an answer.
    """

    class Client(theirs):
        def __init__(self, **asked: Any) -> None:
            super().__init__(**asked)
            if own:
                from urllib3.util.retry import Retry

                for adapter in self.session.adapters.values():
                    adapter.max_retries = Retry(AGAIN, backoff_factor=0, allowed_methods=None)

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
