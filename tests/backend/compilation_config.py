"""A stand-in for the config that Unsloth gives vLLM."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class CompilationConfig:
    """As vLLM's: Unsloth gives one."""

    mode: int | None = None
    sizes: list[int] | None = None
    inductor_compile_config: dict | None = None
    cudagraph_mode: str = "FULL_AND_PIECEWISE"
    compiled: int = field(default=0, init=False)
