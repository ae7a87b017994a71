"""Samples completions of a model on rows of the data, as training would, and scores them: what ``inspect`` shows."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any

from rlexp.backend.model import end_tokens
from rlexp.backend.prompts import completion_ids, prompt_ids, prompt_of
from rlexp.compose.run import Run
from rlexp.evaluate.sampler import Sampling
from rlexp.evaluate.samples import SampledGroups, Target, TextSpan
from rlexp.evaluate.transformers_sampler import TransformersSampler
from rlexp.reward.reasons import Reasons
from rlexp.reward.rubric import Rubric


def sampling(run: Run) -> Sampling:
    """The run's sampling parameters: its method's arguments; for an offline method those of the held-out comparison."""
    if not run.method.online:
        return Sampling(run.held_out.max_new_tokens, run.held_out.temperature)
    arguments = run.arguments
    more = {} if arguments["min_p"] is None else {"min_p": arguments["min_p"]}
    if arguments["repetition_penalty"] != 1.0:
        more["repetition_penalty"] = arguments["repetition_penalty"]
    more |= arguments["generation_kwargs"] or {}
    return Sampling(
        arguments["max_completion_length"], arguments["temperature"], arguments["top_p"], arguments["top_k"], more
    )


def draw(
    run: Run,
    model: Any,
    tokenizer: Any,
    rubric: Rubric,
    reasons: Reasons,
    rows: Any,
    names: list[str],
    generations: int,
) -> SampledGroups:
    """Samples and scores ``generations`` completions of every row.

    Args:
        rows: a ``datasets.Dataset`` with ``prompt``, the columns the rewards read and, for an offline method, those it
            trains on.
        names: of the rows, such as ``test row 0``.
    """
    prompts = [prompt_of(row) for row in rows]
    groups = TransformersSampler(run, model, tokenizer).sample(prompts, generations, sampling(run), run.seed)
    sampled = [answer for group in groups for answer in group]
    completions, ids = [answer.text for answer in sampled], [answer.token_ids for answer in sampled]
    read = {name for source in rubric.sources.values() for name in source.wanted_columns}
    columns = {name: list(rows[name]) for name in rows.column_names if name in read}
    every = {name: [value for value in values for _ in range(generations)] for name, values in columns.items()}
    every["completion_ids"] = ids
    scored = rubric.score(completions, [p for p in prompts for _ in range(generations)], every, generations)
    ends = end_tokens(model, tokenizer)
    read_ids = prompt_ids(tokenizer, prompts, run.chat_template_kwargs)
    seen = {**every, "prompt": scored.prompts, "completion": completions}
    shown = {name: values for name, values in columns.items() if name not in run.dataset.type.columns}
    if "label" in rows.column_names:
        shown["label"] = list(rows["label"])
    return SampledGroups(
        groups=names,
        prompts=[tuple(pieces(tokenizer, item, ends)) for item in read_ids],
        prompt_tokens=[len(item) for item in read_ids],
        columns=[{name: values[n] for name, values in shown.items()} for n in range(len(prompts))],
        targets=[() if run.method.online else tuple(targets(run, tokenizer, row, ends)) for row in rows],
        completions=completions,
        pieces=[tuple(pieces(tokenizer, item, ends)) for item in ids],
        tokens=[len(item) for item in ids],
        truncated=[answer.truncated for answer in sampled],
        scores=scored.scores,
        rewards=scored.rewards,
        reasons=[reasons.of({name: values[n] for name, values in seen.items()}) for n in range(len(ids))],
    )


def pieces(tokenizer: Any, ids: list[int], ends: set[int]) -> Iterable[TextSpan]:
    """The text of these ids, split where special tokens stand."""
    special = {*tokenizer.all_special_ids, *ends}
    run_of_text: list[int] = []
    for token in ids:
        if token not in special:
            run_of_text.append(token)
            continue
        if run_of_text:
            yield TextSpan(tokenizer.decode(run_of_text))
            run_of_text = []
        kind = "eos" if token in ends else "bos" if token == tokenizer.bos_token_id else "special"
        yield TextSpan(tokenizer.convert_ids_to_tokens(token) or f"<{token}>", kind)
    if run_of_text:
        yield TextSpan(tokenizer.decode(run_of_text))


def targets(run: Run, tokenizer: Any, row: dict[str, Any], ends: set[int]) -> Iterable[Target]:
    """The completions of a row that an offline method trains on, as the trainer reads them.

    Source: ``backend.prompts.completion_ids``.
    """
    prompt = prompt_of(row)
    limit = run.arguments.get("max_length")
    for name in ("chosen", "rejected", "completion"):
        if name not in row:
            continue
        (whole,), begin = completion_ids(tokenizer, prompt, [row[name]], run.chat_template_kwargs)
        own = whole[begin:]
        truncated = min(len(own), max(0, len(whole) - limit)) if limit else 0
        yield Target(name, tuple(pieces(tokenizer, own, ends)), len(own), truncated)


def tokens_in_use(run: Run, model: Any, tokenizer: Any) -> list[tuple[str, str]]:
    """The tokens that begin, end and pad a sequence, and the template, as (name, value) rows."""
    template = hashlib.sha256(str(tokenizer.chat_template).encode()).hexdigest()
    ends = ", ".join(
        f"{tokenizer.convert_ids_to_tokens(token)} ({token})" for token in sorted(end_tokens(model, tokenizer))
    )
    rows = [("template", f"sha256 {template[:12]}")]
    for name in ("bos", "pad"):
        token = getattr(tokenizer, f"{name}_token")
        rows.append((name, f"{token} ({getattr(tokenizer, f'{name}_token_id')})" if token else "none"))
    return [*rows, ("eos", ends or "none")]
