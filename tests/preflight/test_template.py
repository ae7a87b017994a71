"""The template and tokenizer checks: healthy templates of many models raise nothing, each fault is named."""

import dataclasses
from pathlib import Path

import pytest
import transformers
import trl

from rlexp.backend.prompts import prefill, prompt_ids
from rlexp.inputs.reward_tags import looked_for
from rlexp.preflight import checks, template, tokenizer
from rlexp.preflight import prefill as prefill_check
from rlexp.preflight.tokenizer_context import TokenizerContext
from rlexp.verdict import Level

TEMPLATES = Path(trl.__file__).parent / "chat_templates"
ROWS = [{"prompt": [{"role": "user", "content": f"What is {n} + 2?"}]} for n in range(12)]
PAIRS = [
    {
        **row,
        "chosen": [{"role": "assistant", "content": "<think>2 + 2 = 4</think><answer>4</answer>"}],
        "rejected": [{"role": "assistant", "content": "The answer is 5."}],
    }
    for row in ROWS
]
TAGS = ("<answer>", "</answer>", "<think>", "</think>")
NO_THOUGHTS = ("deepseekv3", "deepseek_r1_distill")
"""Templates that leave out the thoughts of every answer, also of one that is trained on."""
# A turn ends with one of these in the models that TRL keeps a template of.
TURN_ENDS = {
    "gemma": "<end_of_turn>",
    "phi3": "<|end|>",
    "llama3": "<|eot_id|>",
    "glm4moe": "<|user|>",
    "cohere": "<|END_OF_TURN_TOKEN|>",
    "deepseek": "<｜end▁of▁sentence｜>",
    "gptoss": "<|return|>",
}


@pytest.fixture
def own(root):
    """A fresh tokenizer of the tiny model."""
    return transformers.AutoTokenizer.from_pretrained(root / "models/tiny")


@pytest.fixture
def seen(composed, own):
    """What a healthy run with the tiny model sees, with something in it changed."""

    def make(*overrides, rows=ROWS, chat_template=None, **changed):
        if chat_template is not None:
            own.chat_template = chat_template
        run = composed("method.max_steps=1", *overrides)
        healthy = TokenizerContext(run, own, "models/tiny", 384, (2, 0), rows, tags=TAGS)
        return dataclasses.replace(healthy, **changed)

    return make


def levels(verdicts):
    return {verdict.name: verdict.level for verdict in verdicts}


def test_the_tiny_model_passes_every_check(seen):
    assert not {Level.failed, Level.warning} & set(levels(checks.before_load(seen())).values())


@pytest.mark.parametrize("method", ["dpo", "orpo", "kto", "sft", "grpo", "rloo"])
def test_pairs_and_demonstrations_pass_every_check(seen, method):
    data = {"kto": "arithmetic_judged", "sft": "arithmetic_demonstrations"}.get(method, "arithmetic_preferences")
    data = "arithmetic" if method in ("grpo", "rloo") else data
    said = checks.before_load(seen(f"method={method}", f"dataset={data}", rows=PAIRS))
    assert not {Level.failed, Level.warning} & set(levels(said).values()), said


# Templates that differ between a prompt alone and with an answer are mended by TRL before it trains on them.
@pytest.mark.parametrize(
    "file",
    [
        *("qwen2_5", "qwen3", "qwen3_instruct_2507", "llama3", "llama3_1", "llama3_2", "gemma", "gemma3"),
        *("phi3", "phi3_5", "lfm2", "cohere", "deepseekv3", "deepseek_r1_distill", "glm4moe"),
    ],
)
@pytest.mark.parametrize("method", ["grpo", "sft"])
def test_healthy_templates_of_other_models_raise_no_failure(seen, own, file, method):
    ends = next((end for name, end in TURN_ENDS.items() if file.startswith(name)), None)
    if ends:
        own.add_special_tokens({"eos_token": ends})
    own.add_special_tokens({"bos_token": "<|begin|>"})
    arguments = [f"method={method}"] + (["dataset=arithmetic_demonstrations"] if method == "sft" else [])
    rows = [{"prompt": row["prompt"], "completion": row["chosen"]} for row in PAIRS] if method == "sft" else ROWS
    text = (TEMPLATES / f"{file}.jinja").read_text()
    said = checks.before_load(
        seen(*arguments, "model.max_seq_length=512", rows=rows, chat_template=text, vocab_size=len(own), ends=())
    )
    failed = [v for v in said if v.level is Level.failed]
    if method == "sft" and file in NO_THOUGHTS:
        (left_out,) = failed
        assert left_out.name == "template.content" and "thoughts" in left_out.message
    else:
        assert not failed
    if method == "grpo":
        assert Level.warning not in levels(said).values(), [v for v in said if v.level is Level.warning]


TURN = "{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>\n' }}"
OPEN = "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
LOOP = "{% for m in messages %}" + TURN + "{% endfor %}"


@pytest.mark.parametrize(
    ("check", "text", "level", "says"),
    [
        pytest.param(template.missing, "", "failed", "no chat template", id="absent"),
        pytest.param(template.renders, "{{ raise_exception('no such role') }}", "failed", "no such role", id="refuses"),
        pytest.param(template.generation_prompt, LOOP, "failed", "write it itself", id="no generation prompt"),
        pytest.param(
            template.generation_prompt,  # as Mistral's, which needs none
            "{% for m in messages %}{% if m['role'] == 'user' %}[INST] {{ m['content'] }} [/INST]{% else %} "
            "{{ m['content'] }}<|im_end|>{% endif %}{% endfor %}",
            "ok",
            "at once",
            id="needs no generation prompt",
        ),
        pytest.param(template.prefix, "{{ messages | length }} turns " + LOOP + OPEN, "warning", "differ", id="counts"),
        pytest.param(
            template.eos, LOOP.replace("<|im_end|>", "") + OPEN, "warning", "ends an answer with", id="no end"
        ),
        pytest.param(template.eos, LOOP + OPEN, "ok", "<|im_end|>", id="an end"),
    ],
)
def test_a_template_is_judged_by_what_it_renders(seen, check, text, level, says):
    verdict = check(seen(chat_template=text))
    assert (verdict.level.value, says in verdict.message) == (level, True), verdict


@pytest.mark.parametrize(
    ("check", "text"),
    [
        (template.eos, LOOP.replace("<|im_end|>", "") + OPEN),
        (template.prefix, "{{ messages | length }} turns " + LOOP + OPEN),
    ],
)
def test_what_warns_where_completions_are_sampled_fails_where_answers_are_imitated(seen, check, text):
    rows = [{"prompt": row["prompt"], "completion": row["chosen"]} for row in PAIRS]
    arguments = ("method=sft", "dataset=arithmetic_demonstrations")
    assert check(seen(*arguments, rows=rows, chat_template=text)).level is Level.failed


def test_a_bos_that_stands_twice_is_found_and_one_that_stands_once_is_not(seen, own):
    own.bos_token = "<|im_start|>"
    assert template.doubled_bos(seen()).level is Level.passed
    assert template.doubled_bos(seen(chat_template="{{ bos_token }}" + own.chat_template)).level is Level.failed


def test_plain_text_is_read_alike_by_trainer_and_evaluation_also_behind_a_bos(seen, own):
    from tokenizers.processors import TemplateProcessing

    own.bos_token = "<|im_start|>"
    own.backend_tokenizer.post_processor = TemplateProcessing(
        single="<|im_start|> $A", pair="<|im_start|> $A $B", special_tokens=[("<|im_start|>", 1)]
    )
    rows = [{"prompt": "2 + 2 ="}, {"prompt": "3 + 3 ="}]
    assert prompt_ids(own, ["2"], {})[0][0] == 1
    assert template.same_everywhere(seen(rows=rows)).level is Level.passed
    assert template.doubled_bos(seen(rows=rows)).level is Level.passed
    doubled = [{"prompt": "<|im_start|>2 + 2 ="}]
    assert template.doubled_bos(seen(rows=doubled)).level is Level.failed


def test_another_rendering_is_named_with_both_texts(seen):
    verdict = template.agreement({"the trainer": [[5, 6]], "the export": [[5, 7]]}, seen())
    assert verdict.level is Level.failed and "the export" in verdict.message


def test_loading_that_changes_what_is_read_is_a_warning(seen, root):
    before = seen()
    other = transformers.AutoTokenizer.from_pretrained(root / "models/tiny")
    after = dataclasses.replace(before, tokenizer=other)
    assert template.loading(before, after).level is Level.passed
    other.chat_template = "Hello. " + other.chat_template
    assert template.loading(before, after).level is Level.warning


@pytest.mark.parametrize(
    ("changed", "level"),
    [
        ({}, "ok"),
        ({"ends": (2,)}, "ok"),
        ({"ends": ()}, "ok"),
        ({"ends": (0,)}, "warning"),
        ({"ends": (999,)}, "failed"),
    ],
)
def test_the_ids_that_end_a_completion_exist_and_agree(seen, changed, level):
    assert tokenizer.eos(seen(**changed)).level.value == level


def test_padding_that_is_the_end_warns(seen, own):
    assert tokenizer.pad_is_eos(seen()).level is Level.passed
    own.pad_token = own.eos_token
    assert tokenizer.pad_is_eos(seen()).level is Level.warning


@pytest.mark.parametrize(
    ("tokens", "rows", "template", "used", "level"),
    [
        ({"a": 0, "b": 1}, 2, "", (), "ok"),
        ({"a": 0, "b": 1}, 8, "", (), "ok"),  # padded embeddings are common
        ({"a": 0, "b": 1}, None, "", (), "skipped"),
        ({"a": 0, "<image>": 1}, 1, "", (), "warning"),  # Gemma's text models
        ({"a": 0, "<end>": 1}, 1, "{{ m }}<end>", (), "failed"),
        ({"a": 0, "<think>": 1}, 1, "", ("<think>",), "failed"),
        ({str(n): n for n in range(100)}, 10, "", (), "failed"),  # another model's tokenizer
    ],
)
def test_tokens_without_a_row_in_the_embedding(tokens, rows, template, used, level):
    assert tokenizer.beyond(tokens, rows, template, used, "here").level.value == level


def test_a_tag_that_is_a_special_token_is_lost_when_it_is_decoded(seen, own):
    assert tokenizer.tags(seen()).level is Level.passed
    own.add_special_tokens({"additional_special_tokens": ["<answer>"]})
    verdict = tokenizer.tags(seen())
    assert verdict.level is Level.failed and "<answer>" in verdict.message and "</answer>" not in verdict.message


def test_tags_are_taken_from_the_code_of_a_reward_and_not_from_its_docstrings(composed, root, tmp_path):
    from rlexp.inputs.reward_source import read

    (tmp_path / "mine.py").write_text(
        '"""About <a> and </a>."""\nimport re\nversion = 1\nHAS = re.compile("<sum>(.*)</sum><br>")\n\n\n'
        'def score(completions):\n    """Of <b>this</b>."""\n    return [0.0 for _ in completions]\n'
    )
    run = composed("dataset.gold='<why></why>'")
    assert looked_for(run, [read(tmp_path, "mine.py")]) == ("</sum>", "</why>", "<sum>", "<why>")


TURNS = "{% for m in messages %}{{ '<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>\\n' }}{% endfor %}"
BEGINS = "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\nHELD' }}{% endif %}"


@pytest.mark.parametrize(
    ("written", "held"),
    [
        ("<think>\n", "<think>\n"),
        ("<think>\n\n</think>\n\n", "<think>\n\n</think>\n\n"),  # thinking switched off
        ("", ""),
        ("<start_of_turn>", ""),  # no tag of the reward's
    ],
)
def test_what_the_prompt_holds_of_an_answer_is_said(seen, written, held):
    context = seen(chat_template=TURNS + BEGINS.replace("HELD", written.replace("\n", "\\n")))
    begun = prefill(context.tokenizer, ROWS[0]["prompt"], {}, TAGS)
    verdict = prefill_check.prefill(context)
    assert begun == held and verdict.level is Level.passed
    assert ("already" in verdict.message) == bool(held)
    assert prefill(context.tokenizer, "plain text", {}, TAGS) == ""
