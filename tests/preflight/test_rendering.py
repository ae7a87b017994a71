"""What a chat template leaves out of the rows is named: texts, differences of pairs, marks of the loss."""

import dataclasses
from datetime import datetime

import pytest
import transformers

from rlexp.backend import template_clock
from rlexp.backend.prompts import prompt_of
from rlexp.preflight import checks, labels, lengths, rendering, tokenizer
from rlexp.preflight.tokenizer_context import TokenizerContext
from rlexp.verdict import Level

TURN = "{{ '<|im_start|>' + m['role'] + '\n' + %s + '<|im_end|>\n' }}"
END = "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
PLAIN = "{% for m in messages %}" + TURN % "m['content']" + "{% endfor %}" + END
NO_SYSTEM = PLAIN.replace("in messages", "in messages if m['role'] != 'system'")
NO_TOOL = PLAIN.replace("in messages", "in messages if m['role'] != 'tool'")
LAST = "{% set m = messages[-1] %}" + TURN % "m['content']" + END
NO_THOUGHTS = PLAIN.replace("m['content']", "m['content'].split('</think>')[-1]")
CALLS = "{{ tools|tojson if tools else '' }}" + PLAIN.replace(
    "m['content']", "m['content'] + (m['tool_calls']|tojson if m['tool_calls'] else '')"
)
TRIMS = PLAIN.replace("m['content']", "m['content']|trim")
SYSTEM, USER = {"role": "system", "content": "Be kind."}, {"role": "user", "content": "18 + 46?"}
ANSWER, THOUGHT = ({"role": "assistant", "content": text} for text in ("64", "<think>18 and 46</think>64"))
CALL = {"type": "function", "function": {"name": "add", "arguments": {"a": 18}}}
CALLING = {"role": "assistant", "content": "", "tool_calls": [CALL]}
RESULT = {"role": "tool", "name": "add", "content": "64"}
TOOLS = [{"type": "function", "function": {"name": "add", "description": "adds", "parameters": {}}}]
METHODS = {
    "sft": ("method=sft", "dataset=arithmetic_demonstrations"),
    "dpo": ("method=dpo", "dataset=arithmetic_preferences"),
    "kto": ("method=kto", "dataset=arithmetic_judged"),
    "orpo": ("method=orpo", "dataset=arithmetic_preferences"),
    "grpo": (),
}


@pytest.fixture
def seen(composed, root):
    """What a run of a method sees with a template over the tiny model's tokenizer."""
    own = transformers.AutoTokenizer.from_pretrained(root / "models/tiny")

    def make(method, template, rows, *overrides, **changed):
        own.chat_template = template
        run = composed("method.max_steps=1", *METHODS[method], *overrides)
        rows = [{**row, "prompt": prompt_of(row)} for row in rows]
        return dataclasses.replace(TokenizerContext(run, own, "models/tiny", 384, (2, 0), rows), **changed)

    return make


@pytest.mark.parametrize(
    ("method", "template", "row", "level", "said"),
    [
        ("sft", PLAIN, {"prompt": [SYSTEM, USER], "completion": [ANSWER]}, Level.passed, "everything"),
        ("sft", NO_SYSTEM, {"prompt": [SYSTEM, USER], "completion": [ANSWER]}, Level.warning, "system message's text"),
        ("grpo", NO_SYSTEM, {"prompt": [SYSTEM, USER]}, Level.warning, "'Be kind.'"),
        ("sft", NO_TOOL, {"prompt": [USER], "completion": [ANSWER, RESULT, ANSWER]}, Level.warning, "a tool message's"),
        ("sft", LAST, {"prompt": [USER], "completion": [ANSWER]}, Level.failed, "the user's text"),
        ("grpo", LAST, {"prompt": [USER]}, Level.passed, "everything"),
        ("sft", NO_THOUGHTS, {"prompt": [USER], "completion": [THOUGHT]}, Level.failed, "the assistant's thoughts"),
        (
            "sft",
            NO_THOUGHTS,
            {"prompt": [USER, THOUGHT, USER], "completion": [ANSWER]},
            Level.warning,
            "earlier thoughts",
        ),
        ("dpo", PLAIN, {"prompt": [USER], "chosen": [CALLING], "rejected": [ANSWER]}, Level.failed, "tool calls"),
        ("dpo", CALLS, {"prompt": [USER], "chosen": [CALLING], "rejected": [ANSWER]}, Level.passed, "everything"),
        ("sft", PLAIN, {"prompt": [USER], "completion": [ANSWER], "tools": TOOLS}, Level.warning, "the tools"),
        ("sft", CALLS, {"prompt": [USER], "completion": [ANSWER], "tools": TOOLS}, Level.passed, "everything"),
        (
            "sft",
            PLAIN,
            {"prompt": [USER], "completion": [{**ANSWER, "reasoning_content": "so"}]},
            Level.failed,
            "reasoning",
        ),
        ("sft", PLAIN, {"prompt": "a", "completion": "b"}, Level.skipped, "no row"),
    ],
)
def test_what_the_template_leaves_out_is_named(seen, method, template, row, level, said):
    found = rendering.contents(seen(method, template, [row]))
    assert (found.level, said in found.message) == (level, True), found


def test_a_text_that_stands_twice_hides_nothing(seen):
    row = {"prompt": [{**SYSTEM, "content": "64"}, USER], "completion": [ANSWER]}
    assert rendering.contents(seen("sft", NO_SYSTEM, [row])).level is Level.warning


@pytest.mark.parametrize(
    ("template", "chosen", "rejected", "level"),
    [
        (PLAIN, [ANSWER], [{**ANSWER, "content": "65"}], Level.passed),
        (NO_THOUGHTS, [THOUGHT], [ANSWER], Level.failed),
        (PLAIN, [CALLING], [{**CALLING, "tool_calls": []}], Level.failed),
        (CALLS, [CALLING], [{**CALLING, "tool_calls": [{**CALL, "id": "2"}]}], Level.passed),
        (TRIMS, [ANSWER], [{**ANSWER, "content": "64 "}], Level.failed),
        (PLAIN, [ANSWER], [{**ANSWER, "content": "64 "}], Level.passed),
    ],
)
def test_the_answers_of_a_pair_differ_as_rendered(seen, template, chosen, rejected, level):
    rows = [
        {"prompt": [USER], "chosen": [ANSWER], "rejected": [{**ANSWER, "content": "no"}]},
        {"prompt": [USER], "chosen": chosen, "rejected": rejected},
    ]
    found = rendering.pairs(seen("dpo", template, rows, every=3))
    assert found.level is level
    assert level is Level.passed or ("1 of 2 pairs" in found.message and "rows 3 " in found.where)


def test_the_assistants_words_are_marked_where_only_these_are_trained_on(seen):
    row, only = {"prompt": [USER], "completion": [ANSWER]}, "method.assistant_only_loss=true"
    found = rendering.generation_markers(seen("sft", PLAIN, [row], only))
    assert found.level is Level.failed and "assistant_only_loss=false" in found.hint
    marked = PLAIN.replace("{{ '<|im_start|>'", "{% generation %}{{ '<|im_start|>'").replace(
        "{% endfor", "{% endgeneration %}{% endfor"
    )
    assert rendering.generation_markers(seen("sft", marked, [row], only)).level is Level.passed
    assert rendering.generation_markers(seen("sft", PLAIN, [row])).level is Level.skipped


def test_a_token_of_the_rows_beyond_the_embedding_fails(seen):
    row = {"prompt": [{**USER, "content": "<sum>1</sum>"}], "completion": [ANSWER]}
    made = seen("sft", PLAIN, [row])
    made.tokenizer.add_tokens(["<sum>", "<other>"])
    known = dataclasses.replace(made, vocab_size=len(made.tokenizer) - 2)
    found = tokenizer.vocabulary(known)
    assert found.level is Level.failed and "<sum>" in found.message and "<other>" not in found.message
    unused = dataclasses.replace(known, rows=[{"prompt": [USER], "completion": [ANSWER]}])
    assert tokenizer.vocabulary(unused).level is Level.warning


@pytest.mark.parametrize(
    ("good", "bad", "level", "hint"),
    [
        (5, 5, Level.passed, None),
        (6, 5, Level.passed, None),
        (4, 0, Level.failed, "method=sft"),
        (0, 4, Level.failed, "method=sft"),
        (1, 50, Level.warning, "method.desirable_weight=50"),
        (50, 1, Level.warning, "method.undesirable_weight=50"),
    ],
)
def test_labels_weigh_about_the_same(good, bad, level, hint):
    found = labels.balance(good, bad, 1.0, 1.0)
    assert found.level is level and (hint is None or hint in found.hint)


def test_labels_are_judged_where_rows_have_some(seen):
    rows = [{"prompt": [USER], "completion": [ANSWER]}]
    assert labels.labels(seen("kto", PLAIN, rows, labels=(1, 7))).level is Level.warning
    assert labels.labels(seen("sft", PLAIN, rows)).level is Level.skipped


def test_rows_whose_prompt_fills_the_length_are_named(seen):
    rows = [
        {"prompt": [{**USER, "content": "a " * (200 if n == 7 else 1)}], "completion": [ANSWER]} for n in range(300)
    ]
    found = lengths.length(seen("sft", PLAIN, rows))
    assert found.level is Level.warning and "(rows 7 from 0)" in found.message
    found = lengths.length(seen("sft", PLAIN, rows, "method.truncation_mode=keep_end"))
    assert "dropped" not in found.message


DATED = "{{ 'Today: ' + strftime_now('%d %b %Y') + '\n' }}" + PLAIN


def test_a_time_in_the_template_is_named_and_can_be_given(seen):
    rows = [{"prompt": [USER]}]
    assert rendering.date(seen("grpo", PLAIN, rows)).message == "no time stands in a rendering"
    with template_clock.at(datetime(2024, 7, 26, 12)):
        made = seen("grpo", DATED, rows)
        assert made.text([USER]).startswith("Today: 26 Jul 2024\n")
        found = rendering.date(made)
        assert found.level is Level.passed and "Today: 26 Jul 2024" in found.message
        assert template_clock.now() == datetime(2024, 7, 26, 12)  # looking at another time leaves it
    assert template_clock.now().year >= 2026


def test_an_answer_that_only_calls_a_tool_passes_every_check(seen):
    pair = {"chosen": [CALLING], "rejected": [{**CALLING, "tool_calls": [{**CALL, "id": "2"}]}]}
    rows = [{"prompt": [USER], **pair, "tools": TOOLS}]
    found = checks.before_load(seen("dpo", CALLS, rows, "model.max_seq_length=512"))
    assert not [verdict for verdict in found if verdict.level is Level.failed], found
