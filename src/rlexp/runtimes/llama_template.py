"""llama.cpp's own template engine: a chat template of a GGUF file, rendered by its server.

It runs in a process of its own, which ends when the dialogues are rendered: the server maps the weights a second time,
and what a runtime holds is measured.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rlexp.runtimes.protocol import Messages

LIMIT_S = 600.0


def render(path: Path, dialogues: Sequence[Messages], kwargs: dict[str, Any]) -> list[str]:
    """The dialogues as text with a generation prompt.

    A beginning-of-sequence token that the template writes and the tokenizer adds is in none: llama.cpp takes it off.

    Args:
        kwargs: handed to the template.

    Raises:
        RuntimeError: the engine does not render them; the message says why.
    """
    done = subprocess.run(
        [sys.executable, "-m", __name__],
        input=json.dumps({"path": str(path), "dialogues": list(dialogues), "kwargs": kwargs}),
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    if done.returncode:
        raise RuntimeError(f"llama.cpp renders no dialogue: {done.stderr.strip()[-1000:]}")
    return json.loads(done.stdout)


def main() -> None:
    """Reads what is asked on the standard input, and writes the texts on what was the standard output."""
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # llama.cpp writes there too
    out.write(json.dumps(_serve(**json.load(sys.stdin))))
    out.flush()
    os._exit(0)  # its threads are of no use any more


def _serve(path: str, dialogues: list[Messages], kwargs: dict[str, Any]) -> list[str]:
    import httpx
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = path
    params.n_ctx, params.n_parallel = 64, 1
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    params.warmup = params.fit_params = params.prefill_assistant = False
    params.use_jinja = True
    server = xllamacpp.Server(params)
    texts = []
    with httpx.Client(base_url=server.listening_address, trust_env=False, timeout=LIMIT_S) as client:
        for one in dialogues:
            answer = client.post("/apply-template", json={"messages": one, "chat_template_kwargs": kwargs})
            if answer.is_error:
                raise SystemExit(answer.text)
            texts.append(answer.json()["prompt"])
    return texts


if __name__ == "__main__":
    main()
