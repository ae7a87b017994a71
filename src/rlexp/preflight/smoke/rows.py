"""The rows of a smoke: those with most tokens, which meet the peak of memory at once."""

from __future__ import annotations

from typing import Any

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
    given = rows.select_columns(["prompt", *columns]).to_list()
    several = [[_dialogue(row["prompt"], row[name]) for name in columns] or [row["prompt"]] for row in given]
    found = sorted(range(len(several)), key=lambda n: -max(map(_characters, several[n])))[:MEASURED]
    extra = {"add_generation_prompt": not columns, **run.chat_template_kwargs}
    counts = [max(_tokens(tokenizer, item, extra) for item in several[n]) for n in found]
    order = [n for _, n in sorted(zip(counts, found, strict=True), key=lambda pair: (-pair[0], pair[1]))]
    again = 1 + run.off_policy_steps
    return order[: run.prompts_per_step] * again + order[: (steps(run) - again) * run.prompts_per_step]


def _dialogue(prompt: Any, completion: Any) -> Any:
    if isinstance(prompt, str) or not isinstance(completion, str):
        return prompt + completion
    return [*prompt, {"role": "assistant", "content": completion}]


def _characters(item: Any) -> int:
    return len(item) if isinstance(item, str) else sum(len(str(turn["content"])) for turn in item)


def _tokens(tokenizer: Any, item: Any, extra: dict[str, Any]) -> int:
    text = item if isinstance(item, str) else tokenizer.apply_chat_template(item, tokenize=False, **extra)
    return len(tokenizer(text, add_special_tokens=False)["input_ids"])
