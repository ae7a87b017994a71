"""TRL's trainers of one run are given one vLLM: the smoke's and the run's behind it share it.

TRL starts an engine, or meets a server, whenever a trainer is built. While one is built here, the name that TRL looks
its class up by gives the run's own engine.

Source: ``trl.generation.vllm_generation.VLLMGeneration._init_vllm``, which looks ``LLM`` and ``VLLMClient`` up.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from rlexp.backend.patches.patch import APPLIED, Outcome, Patch, not_needed
from rlexp.compose.schema import VllmMode

AGAIN = 2
"""Times that a request is sent again where the connection to a server that was started with the run fails."""
NAMES = {VllmMode.colocate: "LLM", VllmMode.server: "VLLMClient"}

PATCH = Patch(
    name="shared_engine",
    target="LLM and VLLMClient of trl.generation.vllm_generation, while a trainer is built",
    reason="Every trainer of TRL starts an engine of its own, or joins the server's group again, which would hang; "
    "and TRL passes few arguments on.",
    gain="not measured alone",
    upstream="https://github.com/huggingface/trl/pull/6816",
    made_for={"trl": "1.15", "vllm": "0.26"},
    expires="when TRL takes an engine, and arguments for one",
    needed_for="two trainers with one vLLM (a smoke in front of the run); rollout.engine and rollout.enforce_eager "
    "with rollout=colocate",
)


def apply(mode: VllmMode) -> Outcome:
    """Answers applied where ``replaced`` has a class to replace."""
    return APPLIED if mode in NAMES else not_needed("TRL starts no vLLM")


@contextlib.contextmanager
def replaced(mode: VllmMode, make: Callable[..., Any]) -> Iterator[None]:
    """Replaces TRL's class for the trainer that is built inside.

    Args:
        make: is called as the class, with the class itself in front.
    """
    from trl.generation import vllm_generation

    name = NAMES[mode]
    original = getattr(vllm_generation, name)
    setattr(vllm_generation, name, lambda **requested: make(original, **requested))
    try:
        yield
    finally:
        setattr(vllm_generation, name, original)


def shared_client(original: type, own: bool) -> type:
    """TRL's client of a server, fit to be given to several trainers one after another.

    Args:
        own: the server was started with the run, on this machine. TRL would call one that has ended for a minute; this
            client tries again at once (an idle connection may have been closed just then), and not after an answer.
    """

    class SharedClient(original):
        def __init__(self, **requested: Any) -> None:
            super().__init__(**requested)
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

    return SharedClient
