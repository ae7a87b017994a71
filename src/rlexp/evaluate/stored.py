"""The completions that a run stored while it trained, a file a step. Imports no torch."""

from __future__ import annotations

from typing import Any

from rlexp.compose.run import Run
from rlexp.evaluate.samples import SampledGroups, TextSpan
from rlexp.reward.reasons import Reasons
from rlexp.reward.rubric import READ


def drawn(run: Run, columns: dict[str, list[Any]], step: int, reasons: Reasons) -> SampledGroups:
    """The completions of one step.

    Args:
        columns: the answer of ``FinishedRun.completions`` for it.
    """
    num_generations, prompts, texts = run.num_generations, columns["prompt"], columns["completion"]
    first = range(0, len(texts), num_generations)
    own = {name.removeprefix(READ): values for name, values in columns.items() if name.startswith(READ)}
    shown = {name: values for name, values in own.items() if name != "completion_ids"}
    lengths: list[int | None] = [None] * len(texts)
    if "completion_ids" in own:
        lengths = [len(ids) for ids in own["completion_ids"]]
    lengths = columns.get("tokens", lengths)
    seen = {**own, "prompt": prompts, "completion": texts}
    return SampledGroups(
        groups=[f"step {step}, group {columns['group'][n]}" for n in first],
        prompts=[(TextSpan(prompts[n]),) for n in first],
        prompt_tokens=[None for _ in first],
        columns=[{name: values[n] for name, values in shown.items()} for n in first],
        targets=[() for _ in first],
        completions=texts,
        pieces=[(TextSpan(text),) for text in texts],
        tokens=lengths,
        truncated=columns.get("cut", [None] * len(texts)),
        scores={name: columns[name] for name in run.reward.terms if name in columns},
        rewards=columns["reward"],
        reasons=[reasons.of({name: values[n] for name, values in seen.items()}) for n in range(len(texts))],
    )
