"""The checks of a run in the order in which they are made, the cheapest first, and where a run stands at each.

1. **Before import** (seconds, no torch, no run folder): the reward's cases and its suite, its signature against the
   columns (``inputs.find``), finite and telling scores on a few rows; the model's files; the disk.
2. **Before load**: template and tokenizer as transformers gives them, the lengths of the data against the limits.
3. **Before training**: what loading the model changed, the embedding it really has.

Composing made the geometry sure already; the smoke steps come behind these (``cli.smoke``).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from rlexp.compose import model_size
from rlexp.compose.run import Run
from rlexp.compose.schema import Device
from rlexp.inputs import reward_tags
from rlexp.inputs.find import Inputs
from rlexp.preflight import (
    columns,
    difficulty,
    facts,
    files,
    labels,
    leak,
    lengths,
    machine,
    memory,
    prefill,
    rendering,
    rewards,
    template,
    tokenizer,
)
from rlexp.preflight.tokenizer_context import TokenizerContext
from rlexp.reward import trial
from rlexp.verdict import Level, Verdict, require

BEFORE_LOAD: tuple[Callable[[TokenizerContext], Verdict], ...] = (
    *(template.missing, template.renders, template.generation_prompt, prefill.prefill),
    *(template.doubled_bos, template.prefix, template.same_everywhere),
    *(rendering.contents, rendering.pairs, rendering.generation_markers, rendering.date, labels.labels),
    *(tokenizer.eos, template.eos, tokenizer.vocabulary, tokenizer.tags),
    lengths.length,
)
BEFORE_TRAINING: tuple[Callable[[TokenizerContext], Verdict], ...] = (tokenizer.vocabulary, tokenizer.pad_is_eos)
UNRENDERED = (template.missing, template.renders)
"""Checks of which, where one fails, the checks behind it would only repeat it."""


def before_import(run: Run, inputs: Inputs, run_dir: Path) -> list[Verdict]:
    """The verdicts that need no torch.

    Args:
        run_dir: where the run writes, or will.
    """
    model_dir = inputs.model
    found = [rewards.cases(name, source) for name, source in inputs.rewards.items()]
    found += [columns.verdict(run, inputs), columns.answer(run, inputs), difficulty.verdict(run, inputs)]
    found.append(leak.verdict(run, inputs))
    found += [*rewards.check(run, inputs), machine.optimizer(run.arguments["optim"], facts.is_installed)]
    if model_dir is not None and (model_dir / "config.json").is_file():
        found += [files.template(model_dir), files.vocabulary(model_dir, looked_for(run, inputs))]
        found.append(files.positions(model_dir, run.model.max_seq_length, run.rollout.vllm))
        if not run.model.full_finetuning:
            found.append(files.adapted_layers(model_dir, run.model.lora.target_modules))
        found.append(memory.shape(run, model_size.of_folder(model_dir), again=True))
        found.append(machine.room(facts.free(run_dir), written(run, model_dir), os.path.relpath(run_dir)))
    return found if run.hardware.device is Device.cpu else [*found, memory.fits(run)]


def refuse(run: Run, inputs: Inputs, run_dir: Path) -> None:
    """Stops before a run folder is made; the warnings are left to the run, which finds them again and prints them.

    Raises:
        RunError: a reward fails its cases or its suite, or a check failed.
    """
    trial.require(run, inputs)
    require(before_import(run, inputs, run_dir))


def before_load(seen: TokenizerContext) -> list[Verdict]:
    """The verdicts on tokenizer, configs and rows, before the model is loaded."""
    found: list[Verdict] = []
    for check in BEFORE_LOAD:
        found.append(check(seen))
        if check in UNRENDERED and found[-1].level is Level.failed:
            break
    return found


def before_training(before: TokenizerContext | None, after: TokenizerContext) -> list[Verdict]:
    """The verdicts on the loaded model and tokenizer.

    Args:
        before: as it was before loading; None where there was nothing to look at.
    """
    found = [check(after) for check in BEFORE_TRAINING]
    return [template.loading(before, after), *found] if before else found


def looked_for(run: Run, inputs: Inputs) -> tuple[str, ...]:
    """The tags that the reward of this run looks for."""
    return reward_tags.looked_for(run, inputs.rewards.values())


def written(run: Run, model_dir: Path) -> int:
    """Bytes of the checkpoints that are kept and of the weights at the end: a guess from the base model's weights.

    In a checkpoint every weight comes with two of the optimizer's, all in 32 bits, at the end alone; an adapter has a
    twentieth of the weights.
    """
    kept = 0 if run.arguments["save_strategy"] == "no" else run.arguments["save_total_limit"] or 3
    trained = 1.0 if run.model.full_finetuning else 0.05
    return int(files.size(model_dir) * trained * (2 + 6 * kept))
