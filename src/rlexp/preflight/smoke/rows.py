"""The rows of a smoke: those with most tokens, which meet the peak of memory at once."""

from __future__ import annotations

import itertools
from typing import Any

from rlexp.backend.prompts import joined, prompt_of, tools_of
from rlexp.compose.run import Run

MEASURED = 4096
"""Rows whose tokens are counted; of more, those with the most characters."""


def steps(run: Run) -> int:
    """Optimizer steps of the smoke: at least three generations, one of which is of full length."""
    return max(run.preflight.smoke_steps, 3 * run.arguments.get("num_iterations", 1))


def longest_first(run: Run, tokenizer: Any, rows: Any) -> list[int]:
    """The rows of the smoke, by number: those of the first step until the one of full length, the others by their
    tokens, most first.

    Counted is what the model is given: the prompt as rendered, with the longest completion where the row has some. Of
    more than MEASURED rows those with most characters are rendered.
    """
    columns = [name for name in ("completion", "chosen", "rejected") if name in run.dataset.type.columns]
    tools = [name for name in ("tools",) if name in rows.column_names]
    given = [{**row, "prompt": prompt_of(row)} for row in rows.select_columns(["prompt", *tools, *columns]).to_list()]
    several = [[_dialogue(row["prompt"], row[name]) for name in columns] or [row["prompt"]] for row in given]
    found = sorted(range(len(several)), key=lambda n: -max(map(_characters, several[n])))[:MEASURED]
    extra = {"add_generation_prompt": not columns, **run.chat_template_kwargs}
    counts = [max(_tokens(tokenizer, item, extra) for item in several[n]) for n in found]
    order = [n for _, n in sorted(zip(counts, found, strict=True), key=lambda pair: (-pair[0], pair[1]))]
    again = 1 + run.off_policy_steps
    limit = run.arguments.get("max_length")
    if (
        columns and limit and run.arguments.get("truncation_mode") != "keep_end"
    ):  # a prompt that fills it is dropped by the trainer
        prompts = {"add_generation_prompt": True, **run.chat_template_kwargs}
        kept = (n for n in order if _tokens(tokenizer, given[n]["prompt"], prompts) < limit)
        order = list(itertools.islice(kept, steps(run) * run.prompts_per_step)) or order
    return order[: run.prompts_per_step] * again + order[: (steps(run) - again) * run.prompts_per_step]


def _dialogue(prompt: Any, completion: Any) -> Any:
    if isinstance(prompt, str) or not isinstance(completion, str):
        return prompt + completion if isinstance(prompt, str) else joined(prompt, completion)
    return joined(prompt, [{"role": "assistant", "content": completion}])


def _characters(item: Any) -> int:
    return len(item) if isinstance(item, str) else sum(len(str(turn["content"])) for turn in item)


def _tokens(tokenizer: Any, item: Any, extra: dict[str, Any]) -> int:
    more = {} if isinstance(item, str) else {**tools_of(item), **extra}
    text = item if isinstance(item, str) else tokenizer.apply_chat_template(item, tokenize=False, **more)
    return len(tokenizer(text, add_special_tokens=False)["input_ids"])
