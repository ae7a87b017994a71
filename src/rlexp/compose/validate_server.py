"""Refuses a server of vLLM by its values. Pure."""

from __future__ import annotations

from rlexp.compose.schema import Rollout, VllmMode
from rlexp.errors import RunError


def server_of(rollout: Rollout) -> None:
    """Checks whether the server is described so that it can be one.

    Raises:
        RunError: the address is none, is given to a run that wants no server, or two ports are one.
    """
    if rollout.server_url is not None:
        if rollout.vllm_mode is not VllmMode.server:
            raise RunError(
                f"a server is named, and rollout={rollout.name} asks none",
                where="rollout.server_url",
                hint="type rollout=server",
            )
        if not rollout.server_url.startswith(("http://", "https://")):
            raise RunError(
                f"{rollout.server_url} is no address",
                where="rollout.server_url",
                hint=f"type rollout.server_url=http://{rollout.server_url}",
            )
    if rollout.server_port == rollout.group_port:
        raise RunError(
            f"requests and weights would share port {rollout.group_port}",
            where="rollout.server_port, rollout.group_port",
            hint=f"type rollout.group_port={51217 if rollout.server_port == 51216 else 51216}",
        )
