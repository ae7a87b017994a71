"""What TRL, Unsloth, vLLM and onnxruntime would send about a run (its trainer, architecture, machine) is off unless
the user says otherwise.

Sources: ``send_telemetry`` of huggingface_hub, which TRL and transformers call; ``_statistics`` of unsloth (a download
that counts, and may wait 120 s for it); ``usage_lib`` of vLLM; onnxruntime's libraries, which name the variable.
"""

from __future__ import annotations

import os

OFF = {
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "UNSLOTH_DISABLE_STATISTICS": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "ORT_DISABLE_TELEMETRY": "1",
}
"""Environment variable -> the value that switches one off; each library reads its own when it is imported."""


def switch_off() -> None:
    """Sets the variables that the user did not set; before the libraries are imported."""
    for name, value in OFF.items():
        os.environ.setdefault(name, value)


def state() -> dict[str, str]:
    """Variable -> ``off``, or ``on`` where the user set it so."""
    return {name: "on" if _on(name) else "off" for name in OFF}


def _on(name: str) -> bool:
    value = os.environ.get(name)
    # Unsloth asks only whether its variable is there.
    return value is None or (name != "UNSLOTH_DISABLE_STATISTICS" and value.lower() in ("", "0", "false", "no", "off"))
