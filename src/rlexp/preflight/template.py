"""Checks of the chat template: what the model reads is what it was made for, everywhere and to the last token.

Each is a small function over ``Seen``. A template is judged by what it renders of the run's own rows, never by its
text: healthy ones differ too much. Plain-text rows meet no template, and every check is skipped.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from jinja2.exceptions import TemplateError, TemplateSyntaxError

from rlexp.backend.prompts import Messages, joined
from rlexp.preflight.tokenizer_context import TokenizerContext, trainer_ids
from rlexp.verdict import Level, Verdict

LOADED = 4
"""Prompts that are read before and after loading."""
SHOWN = 60
"""Characters of a rendering that a message shows."""
INSTRUCT = "choose an instruct model, or put a chat_template.jinja into the model's folder (model.path=FOLDER)"


def missing(seen: TokenizerContext) -> Verdict:
    """There is a chat template."""
    name = "template.missing"
    if not seen.tokenizer.chat_template:
        return Verdict(name, Level.failed, "the tokenizer has no chat template", seen.where, INSTRUCT)
    return Verdict(name, Level.passed, "the tokenizer has a chat template")


def renders(seen: TokenizerContext) -> Verdict:
    """It takes the rows as they are: their roles, their system message."""
    name = "template.renders"
    if skipped := skipped_of(seen, name):
        return skipped
    for prompt, _ in seen.conversations:
        try:
            seen.text(prompt, generation_prompt=True)
        except TemplateSyntaxError as error:
            message = f"the chat template is no Jinja that can be read: {error.message} (line {error.lineno})"
            return Verdict(name, Level.failed, message, seen.where, "mend that line of chat_template.jinja")
        except (TemplateError, TypeError, KeyError, IndexError) as error:
            roles = ", ".join(str(turn["role"]) for turn in prompt)
            hint = "type model.system_prompt=null" if "system" in roles and seen.run.model.system_prompt else None
            message = f"the chat template refuses a prompt with the turns {roles}: {error}"
            return Verdict(name, Level.failed, message, seen.where, hint or "give the rows the roles that it knows")
    return Verdict(name, Level.passed, f"{len(seen.conversations)} prompts rendered")


def generation_prompt(seen: TokenizerContext) -> Verdict:
    """A prompt ends where the assistant's words begin.

    Some templates (Mistral's) open an answer without a header of its own, so an empty generation prompt alone is no
    fault: it is one where the template writes a header in front of an answer and not at the end of a prompt.
    """
    name = "template.generation_prompt"
    if skipped := skipped_of(seen, name):
        return skipped
    prompt, reply = seen.conversations[0]
    closed, opened = seen.text(prompt), seen.text(prompt, generation_prompt=True)
    if opened != closed:
        return Verdict(name, Level.passed, f"a prompt ends with {short(_after(closed, opened))}")
    whole = _whole(seen, prompt, reply)
    header = whole[len(closed) :].partition(_words(reply))[0] if whole and whole.startswith(closed) else ""
    if header.strip():
        message = (
            f"the chat template writes {short(header)} in front of an answer, and no such thing at the end of a "
            "prompt: the model would have to write it itself"
        )
        hint = "end the template with {% if add_generation_prompt %}" + short(header, quoted=False) + "{% endif %}"
        return Verdict(name, Level.failed, message, seen.where, hint)
    return Verdict(name, Level.passed, "an answer follows a prompt at once")


def doubled_bos(seen: TokenizerContext) -> Verdict:
    """The first token (BOS) stands once at the beginning, for the trainer and for the evaluation."""
    name = "template.doubled_bos"
    bos, prompts = seen.tokenizer.bos_token_id, [row["prompt"] for row in seen.rows[:8]]
    if bos is None or not prompts:
        return Verdict(name, Level.skipped, "the tokenizer has no BOS")
    for whose, tokenize in (("the trainer", trainer_ids), ("the evaluation", seen.evaluation)):
        doubled = [ids for ids in tokenize(seen.run, seen.tokenizer, prompts) if ids[:2] == [bos, bos]]
        if doubled:
            message = f"prompts begin with {seen.tokenizer.bos_token} twice as {whose} tokenizes them"
            plain = isinstance(prompts[0], str)
            hint = (
                f"take {seen.tokenizer.bos_token} out of the {'rows' if plain else 'chat template'}: it is there once"
            )
            return Verdict(name, Level.failed, message, seen.where, hint)
    return Verdict(name, Level.passed, f"{seen.tokenizer.bos_token} stands at most once")


def eos(seen: TokenizerContext) -> Verdict:
    """An answer ends with a token that ends a completion.

    It fails where such answers are imitated: the model would learn never to stop. Elsewhere it warns; base models are
    trained online with a template whose end they do not use.
    """
    name = "template.eos"
    if skipped := skipped_of(seen, name):
        return skipped
    prompt, reply = seen.conversations[0]
    whole = _whole(seen, prompt, reply)
    if whole is None or _words(reply) not in whole:
        return Verdict(name, Level.skipped, "the chat template renders no answer of the assistant")
    tail = whole.rpartition(_words(reply))[2]
    ids = seen.tokenizer(tail, add_special_tokens=False)["input_ids"]
    ends = [token for token in seen.tokenizer.convert_ids_to_tokens(sorted(seen.all_ends)) if token]
    if seen.all_ends & set(ids):
        return Verdict(name, Level.passed, f"an answer ends with {short(tail)}")
    added = {token.content for token in seen.tokenizer.added_tokens_decoder.values()}
    turn_end = next((token for token in seen.tokenizer.convert_ids_to_tokens(ids) if token in added), None)
    if turn_end:
        message = f"the chat template ends an answer with {turn_end}, and a completion ends with {' or '.join(ends)}"
        hint = f"set eos_token_id of generation_config.json and eos_token of tokenizer_config.json to {turn_end}"
        if seen.run.method.takes_eos_token:
            return Verdict(name, Level.failed, message, seen.where, f"type 'method.eos_token={turn_end}', or {hint}")
        return Verdict(name, Level.warning, message, seen.where, hint)
    message = (
        f"the chat template ends an answer with {short(tail) if tail else 'nothing'}, not with {' or '.join(ends)}"
    )
    imitated = seen.run.method.imitates
    if _ends_at_the_next_turn(seen, prompt, reply):
        level = Level.warning if imitated else Level.passed
        return Verdict(name, level, f"{message}; only a next turn brings it", seen.where)
    hint = "put {{ eos_token }} behind the assistant's content in the chat template"
    return Verdict(name, Level.failed if imitated else Level.warning, message, seen.where, hint)


def prefix(seen: TokenizerContext) -> Verdict:
    """A prompt is rendered alone as it is with its answer behind it.

    The trainers of pairs and demonstrations keep what the two have in common and train on the rest. What differs before
    the generation prompt is lost context, and fails for them; where completions are sampled it only warns. Source:
    ``tokenize_fn`` of TRL's DPO, KTO and SFT trainers. Earlier answers may be rendered otherwise (Qwen3 drops their
    thoughts): that is no fault.
    """
    name = "template.prefix"
    if skipped := skipped_of(seen, name):
        return skipped
    for prompt, reply in seen.conversations:
        whole = _whole(seen, prompt, reply)
        opened, closed = seen.text(prompt, generation_prompt=True), seen.text(prompt)
        if whole is None or whole.startswith(opened):
            continue
        common = next(
            (n for n, (a, b) in enumerate(zip(opened, whole, strict=False)) if a != b), min(len(opened), len(whole))
        )
        if common >= len(closed.rstrip()):
            message = (
                f"a prompt ends with {short(opened[common:])} alone, and goes on otherwise where an answer follows"
            )
            level = Level.passed if seen.run.method.online else Level.warning
        else:
            message = (
                f"a prompt alone and the same prompt with its answer differ from character {common} on: "
                f"{short(opened[common:])} and {short(whole[common:])}"
            )
            level = Level.warning if seen.run.method.online else Level.failed
        hint = None if level is Level.passed else "a chat template that writes each turn without looking at later ones"
        return Verdict(name, level, message, seen.where, hint)
    return Verdict(name, Level.passed, "a prompt is rendered alone as it is with its answer")


def same_everywhere(seen: TokenizerContext) -> Verdict:
    """The trainer and the evaluation read the same tokens of the same prompts."""
    prompts = [row["prompt"] for row in seen.rows[:8]]
    rendered = {
        "the trainer": trainer_ids(seen.run, seen.tokenizer, prompts),
        "the evaluation": seen.evaluation(seen.run, seen.tokenizer, prompts),
    }
    return agreement(rendered, seen)


def agreement(rendered: Mapping[str, Sequence[list[int]]], seen: TokenizerContext) -> Verdict:
    """Checks whether all of these read the same tokens of the same prompts.

    Args:
        rendered: who reads (the trainer, the evaluation, an export) -> the tokens of every prompt; the first is right.
    """
    name = "template.same_everywhere"
    (first, right), *others = rendered.items()
    for whose, ids in others:
        for number, (a, b) in enumerate(zip(right, ids, strict=True)):
            if list(a) != list(b):
                shown = [short(seen.tokenizer.decode(tokens)) for tokens in (a, b)]
                message = (
                    f"row {number} is {shown[0]} for {first} and {shown[1]} for {whose} ({len(a)} and {len(b)} tokens)"
                )
                return Verdict(
                    name, Level.failed, message, seen.where, "report this with the model's name: it is our fault"
                )
    return Verdict(name, Level.passed, f"{' and '.join(rendered)} read the same tokens")


def loading(before: TokenizerContext, after: TokenizerContext) -> Verdict:
    """Loading the model left the template alone: Unsloth mends some, and what is trained must be what is known."""
    name = "template.loading"
    prompts = [row["prompt"] for row in before.rows[:LOADED]]
    read = [trainer_ids(seen.run, seen.tokenizer, prompts) for seen in (before, after)]
    if read[0] != read[1]:
        a, b = next((a, b) for a, b in zip(*read, strict=True) if a != b)
        message = (
            f"loading the model changed how a prompt is read: {short(before.tokenizer.decode(a))} became "
            f"{short(after.tokenizer.decode(b))}"
        )
        return Verdict(
            name, Level.warning, message, before.where, "the adapter's folder holds the template that was used"
        )
    same = before.tokenizer.chat_template == after.tokenizer.chat_template
    message = "the template is the model's own" if same else "loading changed the template's text, not what is read"
    return Verdict(name, Level.passed, message)


def skipped_of(seen: TokenizerContext, name: str) -> Verdict | None:
    if not seen.conversations:
        return Verdict(name, Level.skipped, "the rows are plain text: no template is used")
    return None if seen.tokenizer.chat_template else Verdict(name, Level.skipped, "there is no template")


def _whole(seen: TokenizerContext, prompt: Messages, reply: Messages) -> str | None:
    """Prompt and reply rendered together; None where the template refuses that."""
    try:
        return seen.text(joined(prompt, reply))
    except (TemplateError, TypeError, KeyError, IndexError):
        return None


def _ends_at_the_next_turn(seen: TokenizerContext, prompt: Messages, reply: Messages) -> bool:
    """Some templates (GLM's) end an answer with the header of the user's next turn, which ends a completion too."""
    longer = _whole(seen, prompt, [*reply, {"role": "user", "content": "Next."}])
    following = (longer or "").rpartition(_words(reply))[2].partition("Next.")[0]
    return bool(seen.all_ends & set(seen.tokenizer(following, add_special_tokens=False)["input_ids"]))


def _words(reply: Messages) -> str:
    """The end of the reply's text: templates move thoughts before it, and strip blanks; of a call its function."""
    text = str(reply[-1]["content"]).strip()[-20:].strip()
    return text or str(reply[-1]["tool_calls"][-1]["function"]["name"])


def _after(start: str, text: str) -> str:
    return text[len(start) :] if text.startswith(start) else text[-SHOWN:]


def short(text: str, quoted: bool = True) -> str:
    kept = text if len(text) <= SHOWN else f"{text[: SHOWN - 23]}...{text[-20:]}"
    return repr(kept) if quoted else kept.replace("\n", "\\n")
