"""Will the run fit the device, and is the shape that this was estimated from the model's own?"""

from __future__ import annotations

from rlexp.compose import memory, size
from rlexp.compose.run import Run
from rlexp.compose.schema import Device, Size
from rlexp.preflight.verdict import Level, Verdict


def fits(run: Run) -> Verdict:
    """The estimate is no more than the device has; a warning where it is, for it is an estimate."""
    name, found = "memory.estimate", run.memory
    if run.hardware.device is Device.cpu:
        return Verdict(name, Level.skipped, "of a GPU only")
    if found is None:
        said = f"not estimated: the shape of {run.model.name} is not known before it is loaded"
        return Verdict(name, Level.skipped, said, f"conf/model/{run.model.name}.yaml", "say it under model.size")
    if not memory.too_much(found, run.hardware):
        return Verdict(name, Level.passed, memory.told(found, run.hardware))
    said = f"it may not fit: {memory.total_told(found, run.hardware)}"
    hint = memory.way_out(found, run.hardware, run.model, run.geometry.per_device_train_batch_size)
    where = "hardware.sequences_per_device, hardware.memory_gib"
    return Verdict(name, Level.warning, said, where, hint)


def shape(run: Run, found: Size | None, again: bool) -> Verdict:
    """The model has the shape that micro-batch, recomputation and vLLM's share were chosen for.

    Args:
        found: of the model itself; None where it does not say.
        again: whether the same command reads it from the model's folder the next time.
    """
    name, stated = "memory.model_size", run.model.size
    if found is None or stated is None:
        return Verdict(name, Level.skipped, "the shape of the model is not known")
    other = size.differences(stated, found)
    if not other:
        return Verdict(name, Level.passed, f"{found.num_hidden_layers} layers of {found.hidden_size}, as stated")
    said = ", ".join(f"{key} {held} (stated: {was})" for key, (was, held) in other.items())
    typed = " ".join(f"model.size.{key}={str(held).lower()}" for key, (_, held) in other.items())
    hint = "type the same again: it is read from the folder now" if again else f"type {typed}"
    return Verdict(name, Level.warning, f"the memory was estimated for another model: {said}", "model.size", hint)
