"""Checks of the tokenizer against the model's config, and of the tags that the reward looks for."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rlexp.preflight.tokenizer_context import TokenizerContext
from rlexp.verdict import Level, Verdict


def eos(seen: TokenizerContext) -> Verdict:
    """There is a token that ends a completion, it exists, and tokenizer and generation config name the same one."""
    name, known = "tokenizer.eos", len(seen.tokenizer)
    own = seen.tokenizer.eos_token_id
    unknown = [number for number in seen.ends if not 0 <= number < max(known, seen.vocab_size or 0)]
    if unknown:
        message = (
            f"generation_config.json ends a completion with token {unknown[0]}, and the tokenizer has {known} tokens"
        )
        hint = f"set its eos_token_id to {own} ({seen.tokenizer.eos_token})"
        return Verdict(name, Level.failed, message, f"{seen.where}: generation_config.json", hint)
    if not seen.all_ends:
        message = "neither the tokenizer nor the generation config names a token that ends a completion"
        return Verdict(name, Level.failed, message, seen.where, "set eos_token in tokenizer_config.json")
    shown = ", ".join(map(str, seen.tokenizer.convert_ids_to_tokens(sorted(seen.all_ends))))
    if own is not None and seen.ends and own not in seen.ends:
        others = ", ".join(map(str, seen.tokenizer.convert_ids_to_tokens(list(seen.ends))))
        message = (
            f"the tokenizer ends a completion with {seen.tokenizer.eos_token} ({own}), generation_config.json with "
            f"{others} only: training stops at both, whoever serves the model does not"
        )
        hint = f"add {own} to eos_token_id of generation_config.json"
        return Verdict(name, Level.warning, message, f"{seen.where}: generation_config.json", hint)
    return Verdict(name, Level.passed, f"a completion ends with {shown}")


def pad_is_eos(seen: TokenizerContext) -> Verdict:
    """Padding is told apart from the end of a completion; whoever masks padding by its id hides the end as well."""
    name, pad = "tokenizer.pad_is_eos", seen.tokenizer.pad_token_id
    if pad is not None and pad == seen.tokenizer.eos_token_id:
        message = (
            f"the pad token is the EOS token, {seen.tokenizer.eos_token}: where padding is masked, the end is as well"
        )
        hint = "set another pad_token in tokenizer_config.json, such as one that is never used"
        return Verdict(name, Level.warning, message, seen.where, hint)
    return Verdict(name, Level.passed, f"padding is {seen.tokenizer.pad_token}")


def vocabulary(seen: TokenizerContext) -> Verdict:
    """Every token that can occur has a row in the embedding."""
    tokens = seen.tokenizer.get_vocab()
    named = {str(token) for token in seen.tokenizer.special_tokens_map.values() if isinstance(token, str)}
    written = _in_rows([token for token, number in tokens.items() if number >= (seen.vocab_size or number + 1)], seen)
    template = str(seen.tokenizer.chat_template or "")
    return beyond(tokens, seen.vocab_size, template, {*named, *seen.tags, *written}, seen.where)


def _in_rows(tokens: list[str], seen: TokenizerContext) -> set[str]:
    """Those of some tokens that stand in the rows."""
    if not tokens:
        return set()
    columns = [name for name in seen.run.dataset.type.columns if name != "label"]
    text = "\n".join(_texts(row[name]) for row in seen.rows for name in columns)
    return {token for token in tokens if token in text}


def _texts(value: Any) -> str:
    return value if isinstance(value, str) else "\n".join(str(turn) for turn in value)


def beyond(tokens: dict[str, int], rows: int | None, template: str, used: Iterable[str], where: str) -> Verdict:
    """The tokens whose id has no row in the embedding.

    A token that nothing writes (Gemma's text models have one for images) only warns.

    Args:
        tokens: token -> id.
        rows: of the embedding; None where nobody says.
        template: the chat template.
        used: tokens that will be written: BOS, EOS, padding, the reward's tags.
    """
    name = "tokenizer.vocabulary"
    if rows is None:
        return Verdict(name, Level.skipped, "the model's config does not say how many tokens it knows")
    outside = sorted((number, token) for token, number in tokens.items() if number >= rows)
    if not outside:
        return Verdict(name, Level.passed, f"{len(tokens)} tokens, {rows} rows in the embedding")
    written = [token for _, token in outside if token in set(used) or token in template]
    shown = written or [token for _, token in outside]
    message = (
        f"{len(outside)} of {len(tokens)} tokens have no row in the embedding of {rows} rows: {', '.join(shown[:5])}"
        f"{' ...' if len(shown) > 5 else ''}"
    )
    hint = "the tokenizer of another model? take the model's own, or resize its embedding: resize_token_embeddings()"
    level = Level.failed if written or len(outside) > 64 else Level.warning
    return Verdict(name, level, message, where, hint)


def tags(seen: TokenizerContext) -> Verdict:
    """The tags that the reward looks for are still there when a completion is decoded as it is scored: without special
    tokens."""
    name = "tokenizer.tags"
    if not seen.tags:
        return Verdict(name, Level.skipped, "the reward looks for no tags")
    own = {str(token) for token in seen.tokenizer.special_tokens_map.values() if isinstance(token, str)}
    lost = []
    for tag in seen.tags:
        ids = seen.tokenizer(f"a {tag} b", add_special_tokens=False)["input_ids"]
        if tag not in own and tag not in seen.tokenizer.decode(ids, skip_special_tokens=True):
            lost.append(tag)
    if lost:
        message = (
            f"the reward looks for {', '.join(lost)}, and the tokenizer takes it for a special token: it is never seen"
        )
        hint = f'mark it "special": false in tokenizer.json, or look for another tag than {lost[0]}'
        return Verdict(name, Level.failed, message, seen.where, hint)
    return Verdict(name, Level.passed, f"{', '.join(seen.tags)} come back as they were")
