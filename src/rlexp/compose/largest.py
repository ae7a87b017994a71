"""The largest geometry of a run that fits its device by the estimate, and the words that choose it. Pure."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass

from rlexp.compose.memory import estimate, share
from rlexp.compose.run import Run
from rlexp.compose.workload import Workload

SHORTEST = 32
"""Tokens of a sequence below which none is offered."""


@dataclass(frozen=True)
class Largest:
    """The largest that fits of what was asked for."""

    plain: int
    """Sequences (or pairs) of a micro-batch without recomputation; 0 where one does not fit."""
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
    if job is None:
        return None
    plain, recomputed = micro(job, False), micro(job, True)
    if plain or recomputed:
        return Largest(plain, recomputed, run.prompts_per_step, job.tokens, _typed(plain, recomputed, job))
    for prompts in range(run.prompts_per_step, 0, -1):
        sequences, odd = divmod(prompts * run.num_generations, run.geometry.devices)
        if not odd and (found := _lean(job, sequences)):
            words = [f"method.prompts_per_step={prompts}"] if prompts < run.prompts_per_step else []
            return Largest(*found[:2], prompts, job.tokens, (*words, *found[2]))
    sequences = run.num_generations  # a prompt a device
    tokens = _most(job.tokens, lambda length: bool(_lean(_shortened(job, length), sequences)))
    found = _lean(_shortened(job, tokens), sequences) if tokens >= SHORTEST else None
    if found is None:
        return Largest(0, 0, 0, 0, ())
    fewer = [f"method.prompts_per_step={run.geometry.devices}"] if run.prompts_per_step > run.geometry.devices else []
    words = [*fewer, f"model.max_seq_length={tokens}"]
    if run.method.online:
        words.append(f"method.max_completion_length={_completion(job, tokens)}")
    return Largest(*found[:2], run.geometry.devices, tokens, (*words, *found[2]))


def smaller(run: Run) -> tuple[str, ...]:
    """What to type after a run did not fit, whatever the estimate says: what fits by it, or else half of what was."""
    job, held = run.workload, run.memory
    recomputed, size = bool(run.hardware.gradient_checkpointing), run.geometry.per_device_train_batch_size
    if job and held and held.total > job.capacity and (found := of(run)):
        return found.overrides
    words = () if recomputed else ("hardware.gradient_checkpointing=true",)
    if size > 1 or not recomputed:
        return (f"hardware.sequences_per_device={size if words else size // 2}", *words)
    if run.prompts_per_step > 1:
        return (f"method.prompts_per_step={run.prompts_per_step // 2}",)
    return (f"model.max_seq_length={max(run.model.max_seq_length // 2, 2)}",)


def micro(job: Workload, checkpointing: bool) -> int:
    """The largest micro-batch with which the whole step fits, no more than a step has; 0 where none does."""
    return _most(job.sequences, lambda size: estimate(job, size, checkpointing).total <= job.capacity)


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
    passes = [-(-job.sequences // size) if size else job.sequences + 1 for size in (plain, recomputed)]
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
