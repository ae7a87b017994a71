"""The vLLM server of a run before it starts: its command line, and what speaks against starting or using one."""

from __future__ import annotations

import http.client
import importlib.util
import json
import shlex
import socket
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from rlexp import nvidia, project
from rlexp.backend.engine.arguments import defaults, over
from rlexp.backend.ranks import free_port
from rlexp.compose.run import Run
from rlexp.compose.schema import VllmMode
from rlexp.errors import RunError

OTHERS = "rollout=colocate, or rollout=unsloth"


MOST_AT_ONCE = 1024
"""Sequences that are decoded together; more wait."""


def command(run: Run, model_dir: Path | None) -> list[str]:
    """The command line of the server, ``vllm serve`` from ``serve`` on.

    Args:
        model_dir: the base model's folder; None for a hub id.
    """
    rollout = run.rollout
    options = {
        "host": "127.0.0.1",
        "port": rollout.server_port,
        "dtype": run.hardware.dtype.name,
        "max-model-len": run.model.max_seq_length,
        "max-num-seqs": min(run.geometry.sequences_per_step, MOST_AT_ONCE),
        "gpu-memory-utilization": rollout.gpu_memory_utilization,
        "seed": run.seed,
        # The probabilities that completions were sampled with, which the importance ratio needs.
        "logprobs-mode": "processed_logprobs",
        "max-logprobs": -1,
        # The model's generation_config.json must not cut completions or change how they are sampled.
        "generation-config": "vllm",
        "weight-transfer-config": json.dumps({"backend": "nccl"}),
        "uvicorn-log-level": "warning",
    }
    if model_dir is None and run.model.revision:
        options["revision"] = run.model.revision
    words = [part for name, value in options.items() for part in (f"--{name}", str(value))]
    if run.model.trust_remote_code:
        words.append("--trust-remote-code")
    eager = ["--enforce-eager"] if rollout.enforce_eager else []
    return ["serve", str(model_dir or run.model.hub_id), *words, *eager, *flags(over(defaults(run), rollout.engine))]


def flags(engine: dict[str, Any]) -> list[str]:
    """``rollout.engine`` as options of ``vllm serve``, where the last of two equal options counts."""
    words = []
    for name, value in engine.items():
        flag = name.replace("_", "-")
        if isinstance(value, bool):
            words.append(f"--{flag}" if value else f"--no-{flag}")
        elif isinstance(value, list):
            words += [f"--{flag}", *map(str, value)]
        elif value is not None:
            words += [f"--{flag}", json.dumps(value) if isinstance(value, dict) else str(value)]
    return words


def typed(run: Run) -> str:
    """The command as one would type it, for a server that one starts oneself."""
    model_dir = Path(run.model.path) if run.model.path else None
    return f"VLLM_SERVER_DEV_MODE=1 {shlex.join(['vllm', *command(run, model_dir)])}"


def validate(run: Run) -> None:
    """Refuses a run whose vLLM is not installed, or whose server cannot be started or, where one is named, be used.

    Raises:
        RunError: vLLM is missing, there is no GPU for it, a port is taken, or the named server is not fit.
    """
    rollout = run.rollout
    if rollout.vllm and importlib.util.find_spec("vllm") is None:
        raise RunError(
            "vLLM is not installed",
            where=f"rollout={rollout.name}" + (f" (auto: {rollout.why})" if rollout.why else ""),
            hint=f"{project.pip('gpu')}, or type rollout=generate",
        )
    if rollout.vllm_mode is not VllmMode.server:
        return
    if rollout.server_url:
        _check_running(run)
        return
    if len(nvidia.visible()) <= rollout.server_gpu:
        count = f"{len(nvidia.visible())} GPU{'' if len(nvidia.visible()) == 1 else 's'}"
        raise RunError(
            f"the server has GPU {rollout.server_gpu} to itself (the trainer has 0), and {count} can be seen",
            where="rollout.server_gpu, CUDA_VISIBLE_DEVICES",
            hint=f"type {OTHERS}; a server elsewhere: rollout.server_url=http://HOST:PORT",
        )
    for name in ("server_port", "group_port"):
        if not is_free(getattr(rollout, name)):
            raise RunError(
                f"port {getattr(rollout, name)} is taken on this machine",
                where=f"rollout.{name}",
                hint=f"type rollout.{name}={free_port()}; a server that runs already: rollout.server_url=...",
            )


def _check_running(run: Run) -> None:
    """Refuses a named server that does not answer, takes no weights, or holds shorter sequences than the run's."""
    hint = f"start it so: {typed(run)}"
    try:
        model = _get_json(f"{run.rollout.address}/v1/models")["data"][0]
        longest = model.get("max_model_len") or run.model.max_seq_length
        _get_json(f"{run.rollout.address}/get_world_size")
    except urllib.error.HTTPError as error:
        fault = f"{run.rollout.address} answers {error.code}: it takes no weights"
        raise RunError(fault, where="rollout.server_url", hint=hint) from error
    except (OSError, http.client.HTTPException, ValueError, TypeError, LookupError, AttributeError) as error:
        fault = f"no vLLM server answers at {run.rollout.address}: {getattr(error, 'reason', error)}"
        raise RunError(fault, where="rollout.server_url", hint=hint) from error
    if longest < run.model.max_seq_length:
        raise RunError(
            f"the server holds sequences of {longest} tokens, and the run has {run.model.max_seq_length}",
            where="rollout.server_url, model.max_seq_length",
            hint=hint,
        )


def _get_json(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=5) as answer:
        return json.load(answer)


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return answer.status == 200
    except (OSError, http.client.HTTPException, ValueError):
        return False


def is_free(port: int) -> bool:
    with socket.socket() as candidate:
        candidate.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            candidate.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
