"""The time of a training step by its parts: generate, score, log-probabilities, forward/backward, the rest.

TRL times the same parts for its trackers only, by decorators that Unsloth's rewritten trainers partly lose; the names
of the methods are what both keep. So the methods of the one trainer are wrapped, and the optimizer's time is taken from
transformers' callbacks. A part inside another (the scoring inside the preparation of inputs) counts for itself alone,
and what no part covers is ``other``: the parts of a step add up to it. Completions that are sampled a step ahead
(``patches.off_policy``) count for the step that samples them; from a server, what a step waits for those it trains on.

A GPU works behind the host, so the device is waited for where a part begins and ends. At most of these places the host
waits anyway (sampled tokens are read, the loss is looked at for NaN, the gradient norm is logged); added are about two
waits a step and two more a micro-batch, of microseconds each, and none on a CPU. Nothing else is touched: the values
trained on stay bit for bit the same.

Source: ``trl.extras.profiling``; ``transformers.Trainer._inner_training_loop`` for the order of the callbacks.
"""

from __future__ import annotations

import functools
import statistics
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any

from transformers import TrainerCallback

from rlexp.backend.trainers.protocol import Trainer

METHODS = {
    "vllm_generation.sync_weights": "weight_sync",
    "vllm_generation._unsloth_load_lora": "weight_sync",
    "_generate_single_turn": "generate",
    "_calculate_rewards": "score",
    "_get_per_token_logps_and_entropies": "logprobs",
    "_prepare_inputs": "other",
    "training_step": "forward_backward",
}
"""The methods that are timed: a method of the trainer (or of what it holds) -> the part its time counts for."""

WORDS = {
    "generate": "generate",
    "score": "score",
    "logprobs": "old and reference log-probabilities",
    "forward_backward": "forward/backward",
    "weight_sync": "weight sync",
    "optimizer": "optimizer",
    "other": "other",
}
"""The parts in the words of the summary."""


class StepTime(TrainerCallback):
    """Times the parts of every step of a trainer.

    Args:
        trainer: its methods are wrapped; add the callback to the same trainer.
        clock: seconds, read once the device is idle.
    """

    def __init__(self, trainer: Trainer, clock: Callable[[], float] | None = None) -> None:
        self.steps: list[dict[str, float]] = []
        """The times of each step: part -> seconds, and ``step`` for the whole."""
        self._clock = clock or device_clock()
        self.reported = 0
        """The number of steps that ``logged`` has answered for."""
        self._parts: defaultdict[str, float] | None = None
        self._open: list[str] = []
        self._since = self._began = 0.0
        for path, part in METHODS.items():
            *owner, name = path.split(".")
            holder = getattr(trainer, owner[0], None) if owner else trainer
            method = getattr(holder, name, None)
            if method is not None:
                setattr(holder, name, self._timed(method, part))

    def on_step_begin(self, *_: Any, **__: Any) -> None:
        self._parts, self._open = defaultdict(float), ["other"]
        self._since = self._began = self._clock()

    def on_optimizer_step(self, *_: Any, **__: Any) -> None:
        # Since the last backward pass: clipping and the optimizer's own step.
        self._count("optimizer")

    def on_step_end(self, *_: Any, **__: Any) -> None:
        if self._parts is not None:
            self._count("other")
            self.steps.append({"step": self._since - self._began, **self._parts})
            self._parts = None

    def logged(self) -> dict[str, float]:
        """Means over the steps since the last call, named as ``split_timing`` knows timings: ``step_time/generate``."""
        new, self.reported = self.steps[self.reported :], len(self.steps)
        names = dict.fromkeys(name for step in new for name in step)
        return {f"step_time/{name}": statistics.mean(step.get(name, 0.0) for step in new) for name in names}

    def restore(self, steps: list[dict[str, float]], reported: int) -> None:
        """Begins with the times of an earlier process, so many of which were logged."""
        self.steps, self.reported = steps, reported

    def _timed(self, method: Callable[..., Any], part: str) -> Callable[..., Any]:
        @functools.wraps(method)
        def timed(*args: Any, **kwargs: Any) -> Any:
            # Not in a step (an evaluation), or the policy's own pass, which belongs to the forward pass around it.
            if self._parts is None or (part == "logprobs" and self._open[-1] == "forward_backward"):
                return method(*args, **kwargs)
            self._count(self._open[-1])
            self._open.append(part)
            try:
                return method(*args, **kwargs)
            finally:
                self._count(self._open.pop())

        return timed

    def _count(self, part: str) -> None:
        """Adds the time since the last mark to a part."""
        now = self._clock()
        if self._parts is not None:
            self._parts[part] += now - self._since
        self._since = now


def device_clock() -> Callable[[], float]:
    """A clock that waits for the GPU first, where there is one in use."""
    import torch

    if not torch.cuda.is_available():
        return time.perf_counter

    def clock() -> float:
        torch.cuda.synchronize()
        return time.perf_counter()

    return clock


def medians(steps: list[dict[str, float]]) -> dict[str, float]:
    """The median of every part, in seconds. The first step, which compiles, is left out where there are others."""
    kept = steps[1:] or steps
    names = [name for name in ("step", *WORDS) if any(name in step for step in kept)]
    return {name: round(statistics.median(step.get(name, 0.0) for step in kept), 6) for name in names}


def line(parts: dict[str, float]) -> str:
    """``a step 0.42 s: generate 0.25 (60%), forward/backward 0.11 (26%), score 0.02, other 0.04``, largest first; the
    share is shown from a tenth of the step on. Empty where nothing was measured."""
    if not parts:
        return ""
    whole = parts["step"]
    named = sorted((name for name in parts if name not in ("step", "other")), key=lambda name: -parts[name])
    shares = []
    for name in [*named, *(["other"] if "other" in parts else [])]:
        share = parts[name] / whole if whole else 0.0
        if share >= 0.005:
            shares.append(f"{WORDS[name]} {seconds(parts[name])}" + (f" ({share:.0%})" if share >= 0.1 else ""))
    return f"a step {seconds(whole)} s: {', '.join(shares)}"


def seconds(value: float) -> str:
    """Seconds with as many decimals as tell: 12.3, 0.42, 0.004."""
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}" if value >= 0.1 else f"{value:.3f}"
