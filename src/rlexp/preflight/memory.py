"""Will the run fit the device, and is the shape that this was estimated from the model's own?"""

from __future__ import annotations

from rlexp.compose import largest, model_size
from rlexp.compose.memory import Estimate
from rlexp.compose.run import Run
from rlexp.compose.schema import Device, Hardware, Size, VllmMode
from rlexp.compose.workload import GIB, UNKNOWN_GIB
from rlexp.verdict import Level, Verdict


def fits(run: Run) -> Verdict:
    """The estimate is no more than the device has; a warning where it is, for it is an estimate."""
    name, found = "memory.estimate", run.memory
    if run.hardware.device is Device.cpu:
        return Verdict(name, Level.skipped, "of a GPU only")
    if found is None:
        message = f"not estimated: the shape of {run.model.name} is not known before it is loaded"
        return Verdict(name, Level.skipped, message, f"conf/model/{run.model.name}.yaml", "say it under model.size")
    if not exceeds(found, run.hardware):
        return Verdict(name, Level.passed, describe(found, run.hardware))
    message = f"it may not fit: {describe_total(found, run.hardware)}"
    hint = advice(run, found)
    where = "hardware.sequences_per_device, hardware.memory_gib"
    return Verdict(name, Level.warning, message, where, hint)


def shape(run: Run, found: Size | None, again: bool) -> Verdict:
    """The model has the shape that micro-batch, recomputation and vLLM's share were chosen for.

    Args:
        found: of the model itself; None where it does not say.
        again: whether the same command reads it from the model's folder the next time.
    """
    name, stated = "memory.model_size", run.model.size
    if found is None or stated is None:
        return Verdict(name, Level.skipped, "the shape of the model is not known")
    other = model_size.differences(stated, found)
    if not other:
        return Verdict(name, Level.passed, f"{found.num_hidden_layers} layers of {found.hidden_size}, as stated")
    message = ", ".join(f"{key} {held} (stated: {was})" for key, (was, held) in other.items())
    typed = " ".join(f"model.size.{key}={str(held).lower()}" for key, (_, held) in other.items())
    hint = "type the same again: it is read from the folder now" if again else f"type {typed}"
    return Verdict(name, Level.warning, f"the memory was estimated for another model: {message}", "model.size", hint)


def describe_total(found: Estimate, hardware: Hardware) -> str:
    """``about 17.1 of 80 GiB``."""
    return f"about {found.total / GIB:.1f} of {hardware.memory_gib or UNKNOWN_GIB:g} GiB"


def describe(found: Estimate, hardware: Hardware) -> str:
    """The estimate in one line, with the parts that are more than a tenth of a GiB."""
    recomputed = "recomputation on" if hardware.gradient_checkpointing else "recomputation off"
    notes = {
        "engine": "vLLM beside its cache",
        "cache": "cache" if found.cache_stays else "cache (while sampling)",
        "trained": "gradients and optimizer",
        "activations": f"activations ({recomputed})",
    }
    parts = {name: value for name, value in found.gib().items() if name not in ("reserved", "total") and value >= 0.1}
    listed = ", ".join(f"{notes.get(name, name)} {value:.1f}" for name, value in parts.items())
    return f"{describe_total(found, hardware)}: {listed}"


def exceeds(found: Estimate, hardware: Hardware) -> bool:
    """Says whether the estimate is above what the device has."""
    return found.total > (hardware.memory_gib or UNKNOWN_GIB) * GIB


def describe_largest(run: Run) -> str:
    """``micro-batch 8 without recomputation, 64 (a whole step) with it``; what else fits where none does."""
    found = largest.of(run)
    if found is None:
        return "not known: the model's shape is not"
    step = f"{found.prompts} x {run.num_generations} completions of {found.tokens} tokens"
    if not run.method.online:
        step = f"{found.prompts} rows of {found.tokens} tokens"
    if not found.overrides:
        return "not one sequence: a smaller model, or model.load_in_4bit=true"
    if (found.prompts, found.tokens) != (run.prompts_per_step, run.workload.tokens if run.workload else 0):
        return f"no micro-batch of this step; a step of {step}: {' '.join(found.overrides)}"
    whole = run.geometry.sequences_per_step // run.geometry.devices
    plain, recomputed = (
        f"{size}{' (a whole step)' if size == whole else ''}" for size in (found.plain, found.recomputed)
    )
    if not found.plain:
        return f"micro-batch {recomputed} with recomputation, none without"
    return f"micro-batch {plain} without recomputation, {recomputed} with it"


def advice(run: Run, found: Estimate) -> str:
    """The words to type where a run does not fit; the last of them are an override line that does."""
    ways, fitting = [], largest.of(run)
    if found.sampling > found.training:
        ways.append("rollout=unsloth (vLLM decodes what does not fit at once in waves)")
    if not run.model.load_in_4bit and not run.model.full_finetuning:
        own = run.rollout.vllm_mode is not VllmMode.none and not run.rollout.why  # an engine with its own weights
        ways.append(f"model.load_in_4bit=true{' rollout=unsloth' if own else ''}")
    ways.append("shorter sequences (model.max_seq_length, method.max_completion_length)")
    if fitting and fitting.overrides:
        ways.append(f"what fits: {' '.join(fitting.overrides)}")
    return f"type {', or '.join(ways)}"
