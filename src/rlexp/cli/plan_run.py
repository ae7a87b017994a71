"""What ``plan`` says of a run: its parts, in the order of the design's pipeline."""

from __future__ import annotations

from pathlib import Path

from rlexp.cli import plan_data
from rlexp.cli.plan_json import changed_arguments
from rlexp.compose import memory
from rlexp.compose.methods import METHODS, Reference
from rlexp.compose.run import Run
from rlexp.compose.schema import DatasetType, Device, VllmMode
from rlexp.compose.workload import GIB, UNKNOWN_GIB, Workload
from rlexp.inputs import start
from rlexp.inputs.digest import file_md5
from rlexp.inputs.find import Inputs
from rlexp.inputs.reward_source import RewardSource
from rlexp.preflight import files
from rlexp.preflight.memory import describe as describe_memory
from rlexp.preflight.memory import describe_largest, fits
from rlexp.preflight.smoke import passes as smoke_passes
from rlexp.project import shipped
from rlexp.record.lock import identity
from rlexp.reward import gold
from rlexp.train.devices import tried
from rlexp.verdict import Level, require


def refuse(run: Run, inputs: Inputs) -> None:
    """Makes those checks of ``train`` that read little: the template of gold completions, the layers with an adapter.

    Raises:
        RunError: one failed.
    """
    if run.method.online and inputs.description:
        for template in run.dataset.golds:
            gold.require_columns(template, list(inputs.description["columns"]))
    if inputs.model and not inputs.model_prepare and not run.model.full_finetuning:
        require([files.adapted_layers(inputs.model, run.model.lora.target_modules)])


def describe(run: Run, inputs: Inputs, root: Path) -> list[tuple[str, str]]:
    """The resolved run as (name, value) rows, in the order of the design's pipeline."""
    geometry = run.geometry
    model = run.model.path or f"{run.model.hub_id} at {run.model.revision or 'its newest revision'}"
    if inputs.model_prepare:
        model += f" (missing; data_prep/{inputs.model_prepare.name} builds it first)"
    tuned = "every weight" if run.model.full_finetuning else f"LoRA r={run.model.lora.r}"
    rows = [
        ("identity", identity(run)),
        ("model", f"{run.model.name}: {model}, {tuned}, {run.model.max_seq_length} tokens"),
        *((("start", words) for words in start.words(inputs.start.digest)) if inputs.start else ()),
        ("method", f"{run.method.name}, {_steps(run, smoke_passes.rows(run, inputs))}"),
        *plan_data.rows(run, inputs),
    ]
    for name, source in inputs.rewards.items():
        text = f"{source.file} v{source.version}{_origin(run, source)}, weight {run.reward.terms[name].weight:g}"
        rows.append((f"reward {name}", f"{text}, reads {', '.join(source.reads)}{_measures(run, inputs, source)}"))
    passes = f"{geometry.devices} x {geometry.per_device_train_batch_size} x {geometry.gradient_accumulation_steps}"
    a_prompt = f"{run.prompts_per_step} prompts x {run.num_generations} completions"
    rows += [
        ("hardware", f"{run.hardware.name}: {_devices(run)}, {run.hardware.dtype.name}, rollout {_rollout(run)}"),
        ("a step", f"{a_prompt} = {geometry.sequences_per_step} sequences = {passes} (devices x micro-batch x passes)"),
        *_compiled(run),
        *(("warning", str(seen)) for seen in [tried.verdict(run)] if seen.level is Level.warning),
        *_off_policy(run),
        *_memory(run),
        *_preference(run),
        ("seed", str(run.seed)),
        ("smoke", smoke_passes.describe(run, inputs, root)),
    ]
    rows += [(f"method.{name}", str(value)) for name, value in changed_arguments(run).items()]
    return rows


def _origin(run: Run, source: RewardSource) -> str:
    """Where a reward comes from, where that may surprise: a shared folder, or in the place of rlexp's own."""
    origin, own = run.places.origin(source.path), shipped() / source.file
    if origin and origin.startswith("shared "):
        return f" ({origin})"
    other = origin == "project" and own.is_file() and file_md5(own) != source.md5
    return " (in the place of rlexp's own)" if other else ""


def _measures(run: Run, inputs: Inputs, source: RewardSource) -> str:
    """What a reward is for where nothing learns from it; nothing for a method that samples."""
    if run.method.online:
        return ""
    lacking = sorted(set(source.columns) - set((inputs.description or {}).get("columns", source.columns)))
    if lacking:
        return f": not used ({run.method.name} learns from its pairs or answers; the rows have no {', '.join(lacking)})"
    return f": measures held-out answers; {run.method.name} does not learn from it"


def _devices(run: Run) -> str:
    more = run.hardware.rollout_devices
    if not more:
        return f"{run.geometry.devices} device(s)"
    used = run.rollout.vllm_mode is VllmMode.server
    idle = " (idle)" if run.rollout.why else " (idle: rollout=server)"  # auto says what would use it
    return f"{run.geometry.devices} device(s), {more} more for a vLLM server{'' if used else idle}"


def _compiled(run: Run) -> list[tuple[str, str]]:
    """Whether the vLLM that starts with the run compiles the model; nothing where none starts."""
    found = {True: "compiles the model: starts later, samples faster", False: "compiles nothing: starts sooner"}
    return [("vLLM", found[run.rollout.compiled])] if run.rollout.compiled is not None else []


def _memory(run: Run) -> list[tuple[str, str]]:
    """The memory it takes of the device, and a warning where that is too much; nothing on a CPU."""
    if run.hardware.device is Device.cpu:
        return []
    verdict, found = fits(run), run.memory
    rows = [("memory", describe_memory(found, run.hardware) if found else verdict.message)]
    if run.rollout.gpu_memory_utilization is not None:
        rows[0] = ("memory", f"{rows[0][1]}; vLLM's share {run.rollout.gpu_memory_utilization:g}")
    if found:
        rows.append(("largest that fits", describe_largest(run)))
    return rows + [("warning", str(verdict))] * (verdict.level is Level.warning)


def _preference(run: Run) -> list[tuple[str, str]]:
    """Which method the pairs of a preference data set and the memory suggest; nothing for any other data set."""
    if run.dataset.type is not DatasetType.preference:
        return []
    return [("dpo or orpo", preference_note(run))]


def preference_note(run: Run) -> str:
    """One line on what memory and data suggest between the method with a reference model (DPO) and that without (ORPO).

    The memory of each is the least it can take of one device: one pair a pass, with recomputation.
    """
    pairs = [method for method in METHODS.values() if method.dataset_type is DatasetType.preference]
    referring = next(method for method in pairs if method.reference is Reference.always)
    lean = next(method for method in pairs if method.reference is Reference.never)
    default, no_sft = f"{referring.name} is the well-trodden default", "no SFT stage before it"
    asked_before = bool(run.arguments.get("precompute_ref_log_probs"))
    if not run.model.full_finetuning or asked_before:
        answers = "is asked before training" if asked_before else "is the base with the adapter off"
        free = f"its reference {answers} and takes no memory"
        return f"{default}: {free}; {lean.name} learns without a reference, and needs {no_sft}"
    copy = "holds one more copy of the weights, its reference"
    size, hardware = run.model.size, run.hardware
    if size is None or hardware.device is Device.cpu:
        return f"{default}, and {copy}; {lean.name} holds none, and needs {no_sft}"
    sequences = run.geometry.sequences_per_step // run.geometry.devices
    whole, without = (
        memory.estimate(
            Workload(size, run.model, hardware, run.rollout, method, run.arguments, sequences), 1, True
        ).total
        / GIB
        for method in (referring, lean)
    )
    capacity = hardware.memory_gib or UNKNOWN_GIB
    needs = f"{whole:.1f} GiB at least, {lean.name} {without:.1f}, of {capacity:g}"
    if whole <= capacity:
        return f"{default}, and fits: it {copy} ({needs}); {lean.name} needs {no_sft}"
    if without <= capacity:
        ways = f"{lean.name} needs {no_sft}; to stay with {referring.name}: method.precompute_ref_log_probs=true"
        return f"{lean.name}: {referring.name} {copy}, and does not fit ({needs}); {ways}"
    return f"neither fits ({referring.name} {needs}): with model.full_finetuning=false the reference takes no memory"


def _off_policy(run: Run) -> list[tuple[str, str]]:
    """From which policy a step's completions are, where it is not the one that learns from them."""
    if not run.off_policy_steps:
        return []
    server = run.rollout.vllm_mode is VllmMode.server
    gain = "while that one trains" if server else "no time is gained: only rollout=server samples while a step trains"
    return [("off-policy", f"completions of a step are sampled before the update of the step before it, {gain}")]


def _rollout(run: Run) -> str:
    return f"{run.rollout.name} (auto: {run.rollout.why})" if run.rollout.why else run.rollout.name


def _steps(run: Run, rows: int) -> str:
    """How long the run is; in steps too where it is said in epochs, once there are rows to count."""
    steps, epochs = run.arguments["max_steps"], run.arguments["num_train_epochs"]
    if steps > 0:
        return f"{steps} steps"
    passes = f"{epochs:g} epoch{'' if epochs == 1 else 's'}"
    counted = f" = {smoke_passes.steps_of(run, rows)} steps" if rows else " of rows that are not there yet"
    return f"{passes}{counted}"


def render(rows: list[tuple[str, str]]) -> str:
    """The rows as two aligned columns of text."""
    width = max(len(name) for name, _ in rows)
    return "\n".join(f"{name:<{width}}  {value}" for name, value in rows)
