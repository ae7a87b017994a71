"""The check of what a prompt holds of an answer already."""

from __future__ import annotations

from rlexp.backend import prompts
from rlexp.preflight.template import short, skipped_of
from rlexp.preflight.tokenizer_context import TokenizerContext
from rlexp.verdict import Level, Verdict


def prefill(seen: TokenizerContext) -> Verdict:
    """What the generation prompt holds of an answer already, of the tags that the reward looks for.

    A completion goes on behind it, so it does not hold them again: a reward that counts them reads ``prefills``.
    """
    name = "template.prefill"
    if skipped := skipped_of(seen, name):
        return skipped
    begun = prompts.prefill(seen.tokenizer, seen.conversations[0][0], seen.run.chat_template_kwargs, seen.tags)
    if not begun:
        return Verdict(name, Level.passed, "a prompt holds no tag that the reward looks for")
    message = f"a prompt ends with {short(begun)} already, and completions go on behind it: rewards read it as prefills"
    return Verdict(name, Level.passed, message)
