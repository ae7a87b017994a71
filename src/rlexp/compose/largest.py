"""The largest geometry of a run that fits its device by the estimate, and the words that choose it. Pure."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rlexp.compose import whole_step
from rlexp.compose.geometry import micro_batches
from rlexp.compose.memory import estimate, share
from rlexp.compose.workload import Workload

if TYPE_CHECKING:  # which offers what this finds
    from rlexp.compose.run import Run

SHORTEST = 32
"""Tokens of a sequence below which none is offered."""


@dataclass(frozen=True)
class Largest:
    """The largest that fits of what was asked for."""

    plain: int
    """Sequences (or pairs) of the micro-batch without recomputation, of the step said here; 0 where none fits."""
    recomputed: int
    """The same with recomputation."""
    prompts: int
    """Prompts (or pairs) a step: those of the run, fewer where no micro-batch of it fits; 0 where nothing does."""
    tokens: int
    """Tokens of a sequence: those of the run, fewer where not even one prompt a step fits."""
    overrides: tuple[str, ...]
    """What to type for it; nothing where nothing fits."""


def of(run: Run) -> Largest | None:
    """The largest geometry; None for a model of unknown size."""
    job = run.workload
    return find(job, run.prompts_per_step, run.num_generations, run.geometry.devices) if job else None


def find(job: Workload, prompts_per_step: int, num_generations: int, devices: int) -> Largest:
    """The largest geometry of a workload whose rollout and recomputation are settled.

    Args:
        prompts_per_step: those of the run, over all devices.
        num_generations: completions a prompt; 1 for methods that sample none.
    """
    plain, recomputed = micro(job, False), micro(job, True)
    if plain or recomputed:
        return Largest(plain, recomputed, prompts_per_step, job.tokens, _typed(plain, recomputed, job))
    # Prompts that divide by the devices, as many times as fit.
    unit = devices // math.gcd(num_generations, devices)
    fewest = max(unit, whole_step.least(job.arguments))

    def lean(prompts: int, of: Workload = job) -> tuple[int, int, tuple[str, ...]] | None:
        return _lean(of, prompts * num_generations // devices)

    prompts = unit * _most(prompts_per_step // unit, lambda units: bool(lean(units * unit)))
    if prompts >= fewest and (found := lean(prompts)):
        words = [f"method.prompts_per_step={prompts}"] if prompts < prompts_per_step else []
        return Largest(*found[:2], prompts, job.tokens, (*words, *found[2]))
    tokens = _most(job.tokens, lambda length: bool(lean(fewest, _shortened(job, length))))
    shortest = lean(fewest, _shortened(job, tokens)) if tokens >= SHORTEST else None
    if shortest is None:
        return Largest(0, 0, 0, 0, ())
    words = [f"method.prompts_per_step={fewest}"] if prompts_per_step > fewest else []
    words.append(f"model.max_seq_length={tokens}")
    if job.method.online:
        words.append(f"method.max_completion_length={_completion(job, tokens)}")
    return Largest(*shortest[:2], fewest, tokens, (*words, *shortest[2]))


def smaller(run: Run) -> tuple[str, ...]:
    """What to type after a run did not fit, whatever the estimate says: what fits by it, or else half of what was."""
    job, held = run.workload, run.memory
    recomputed, size = bool(run.hardware.gradient_checkpointing), run.geometry.per_device_train_batch_size
    if job and held and held.total > job.capacity and (found := of(run)) and found.overrides:
        return found.overrides
    if not recomputed:
        return f"hardware.sequences_per_device={size}", "hardware.gradient_checkpointing=true"
    if size > 1 and not (job and whole_step.needed(job)):
        share = run.geometry.sequences_per_step // run.geometry.devices
        return (f"hardware.sequences_per_device={next(n for n in micro_batches(share) if n <= size // 2)}",)
    halves = range(run.prompts_per_step // 2, whole_step.least(run.arguments) - 1, -1)
    if fewer := next((n for n in halves if n * run.num_generations % run.geometry.devices == 0), 0):
        return (f"method.prompts_per_step={fewer}",)
    tokens = max(run.model.max_seq_length // 2, 2)
    asked = run.arguments.get("max_completion_length") if run.method.online else None
    shorter = () if asked is None else (f"method.max_completion_length={max(asked // 2, 1)}",)
    return (f"model.max_seq_length={tokens}", *shorter)


def micro(job: Workload, checkpointing: bool) -> int:
    """The largest micro-batch that is trained and fits: a step divides by it, and it is the step where the loss needs
    that in one pass; 0 where none does."""
    sizes = micro_batches(job.sequences)[: 1 if whole_step.needed(job) else None]
    return next((size for size in sizes if estimate(job, size, checkpointing).total <= job.capacity), 0)


def _lean(job: Workload, sequences: int) -> tuple[int, int, tuple[str, ...]] | None:
    """(without recomputation, with it, words) of a step of so many sequences, where vLLM takes what is just enough."""
    less = dataclasses.replace(job, sequences=sequences)
    words: tuple[str, ...] = ()
    if job.rollout.in_process:
        taken = share(dataclasses.replace(less, rollout=dataclasses.replace(job.rollout, gpu_memory_utilization=None)))
        less = dataclasses.replace(less, rollout=dataclasses.replace(job.rollout, gpu_memory_utilization=taken))
        words = (f"rollout.gpu_memory_utilization={taken:g}",)
    plain, recomputed = micro(less, False), micro(less, True)
    return (plain, recomputed, (*_typed(plain, recomputed, less), *words)) if plain or recomputed else None


def _typed(plain: int, recomputed: int, job: Workload) -> tuple[str, ...]:
    """The words for a micro-batch: with recomputation where that saves passes."""
    passes = [job.sequences // size if size else job.sequences + 1 for size in (plain, recomputed)]
    recompute = passes[1] < passes[0]
    size = recomputed if recompute else plain
    return f"hardware.sequences_per_device={size}", f"hardware.gradient_checkpointing={str(recompute).lower()}"


def _shortened(job: Workload, tokens: int) -> Workload:
    model = dataclasses.replace(job.model, max_seq_length=tokens)
    arguments = {**job.arguments, "max_completion_length": _completion(job, tokens)}
    return dataclasses.replace(job, model=model, arguments=arguments)


def _completion(job: Workload, tokens: int) -> int:
    """Tokens of a completion in a shorter sequence: as large a part of it as before."""
    asked = job.arguments.get("max_completion_length") or job.tokens
    return max(asked * tokens // job.tokens, 1)


def _most(bound: int, fits: Callable[[int], bool]) -> int:
    """The largest number up to a bound that fits, the bound first, then by halving; 0 where 1 does not."""
    low, high = (bound, bound) if fits(bound) else (0, bound - 1)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if fits(middle) else (low, middle - 1)
    return low
