"""Settings of vLLM's engine that the benchmarks try, and what its log says of a start. Imports nothing heavy.

A setting is a name and arguments of ``vllm.LLM`` as a dot list: what rlexp takes as ``rollout.engine.KEY=VALUE``.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

SETTINGS = {
    "default": "",
    # The next batch is scheduled only once the last one's tokens are read.
    "sync": "async_scheduling=false",
    # Graphs for batches that only decode; prefill runs without.
    "decode_graphs": "compilation_config.cudagraph_mode=FULL_DECODE_ONLY",
    "eager": "enforce_eager=true",
    # As Unsloth's engine, whose LoRA layers stay idle while the adapter is folded into the weights.
    "lora": "enable_lora=true max_lora_rank=16",
    # Level 1: piecewise graphs only. Levels 2 (vLLM's default) and 3 say the same in vLLM 0.26.
    "O1": "optimization_level=1",
    "custom_ops": "compilation_config.custom_ops=[all]",
    # Norms of queries and keys in one kernel with their rotation.
    "fused_rope": "compilation_config.pass_config.enable_qk_norm_rope_fusion=true",
    # Unsloth's engine in the place of TRL's (decode_gpu.py).
    "unsloth": "",
    "triton_attention": "attention_backend=TRITON_ATTN",
}
"""Known by name; ``NAME: KEY=VALUE ...`` makes another."""

PHASES = (
    ("configured", r"Initializing a V1 LLM engine"),
    ("distributed", r"Loading model from scratch"),
    ("weights", r"Model loading took"),
    ("compiled", r"torch\.compile took|Directly load AOT compilation"),
    ("profiled", r"GPU KV cache size"),
    ("captured", r"Graph capturing finished"),
    ("warmed_up", r"Kernel JIT monitor activated"),
)
"""What ends when vLLM 0.26 says a line like that; the first begins with its arguments."""
STATED = {
    "Dynamo": r"Dynamo bytecode transform time: ([\d.]+) s",
    "graphs": r"Compiling a graph for compile range .* takes ([\d.]+) s",
    "compiling": r"torch\.compile took ([\d.]+) s in total",
}
"""What vLLM says of compiling by itself, in seconds; of several graphs the sum."""
BEGIN = r"non-default args"
LINE = re.compile(r"^[A-Z]+ (\d\d-\d\d \d\d:\d\d:\d\d) \[[^\]]*\] (.*)$", re.M)


def setting(text: str) -> tuple[str, list[str]]:
    """(name, dot list) of one of SETTINGS or of ``NAME: KEY=VALUE ...``.

    Raises:
        SystemExit: it is neither.
    """
    name, colon, rest = text.partition(":")
    if not colon:
        if text not in SETTINGS:
            raise SystemExit(f"--engine {text}: one of {', '.join(SETTINGS)}, or 'NAME: KEY=VALUE ...'")
        rest = SETTINGS[text]
    pairs = rest.split()
    if any("=" not in pair for pair in pairs):
        raise SystemExit(f"--engine {text}: KEY=VALUE expected; no spaces inside a value")
    return name.strip(), pairs


def tree(pairs: list[str]) -> dict[str, Any]:
    """A dot list as nested arguments; values are YAML.

    >>> tree(["a.b=[1,2]", "c=true"])
    {'a': {'b': [1, 2]}, 'c': True}
    """
    from omegaconf import OmegaConf

    content = OmegaConf.to_container(OmegaConf.from_dotlist(pairs))
    assert isinstance(content, dict)
    return {str(key): value for key, value in content.items()}


def phases(log: str) -> dict[str, float]:
    """Seconds of the phases of the first start in a log of vLLM, to the second; those that it does not say are left out
    and count with the next. ``compiled_anew``: 1.0 where no compiled model was found."""
    said = [(datetime.strptime(f"2000-{stamp}", "%Y-%m-%d %H:%M:%S"), text) for stamp, text in LINE.findall(log)]
    begun = next((number for number, (_, text) in enumerate(said) if text.startswith(BEGIN)), None)
    if begun is None:
        return {}
    took: dict[str, float] = {}
    last = said[begun][0]
    for name, pattern in PHASES:
        found = next((stamp for stamp, text in said[begun:] if re.match(pattern, text)), None)
        if found is not None:
            took[name] = (found - last).total_seconds()
            last = found
    if "compiled" in took:
        took["compiled_anew"] = float("Directly load AOT compilation" not in log)
    return took


def stated(log: str) -> dict[str, float]:
    """The seconds of STATED that a log of vLLM says."""
    found = {name: [float(seconds) for seconds in re.findall(pattern, log)] for name, pattern in STATED.items()}
    return {name: sum(seconds) for name, seconds in found.items() if seconds}
