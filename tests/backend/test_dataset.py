"""A snapshot becomes the rows that TRL takes: nothing of a message lost, and nothing that it has not."""

import json
from types import SimpleNamespace
from typing import Any

import pytest
import transformers
from trl.data_utils import is_conversational

from rlexp.backend import dataset
from rlexp.backend.prompts import WithTools, joined, prompt_of, rendered
from rlexp.backend.trainers import orpo
from rlexp.inputs import snapshot
from rlexp.inputs.messages import restored, stored
from rlexp.preflight.smoke.rows import longest_first

USER, ANSWER = {"role": "user", "content": "18 + 46?"}, {"role": "assistant", "content": "64"}
CALLS = [
    {
        "role": "assistant",
        "content": "",
        "tool_calls": [{"type": "function", "function": {"name": name, "arguments": args}}],
    }
    for name, args in (("add", {"a": 18}), ("sub", {"x": "1"}))
]
TOOLS = [{"type": "function", "function": {"name": "add", "parameters": {}}}]
TEMPLATE = (
    "{{ tools|tojson if tools else '' }}{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}"
    "{{ m['tool_calls']|tojson if 'tool_calls' in m else '' }}{{ m['name'] if 'name' in m else '' }}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


@pytest.fixture
def tokenizer(root):
    found = transformers.AutoTokenizer.from_pretrained(root / "models/tiny")
    found.chat_template = TEMPLATE
    return found


def test_tool_calls_come_back_as_each_message_has_them(composed, tmp_path):
    rows: list[dict[str, Any]] = [
        {"prompt": [{**USER, "name": "Ada"}], "completion": stored([CALLS[0], ANSWER]), "tools": json.dumps(TOOLS)},
        {"prompt": [USER], "completion": stored([CALLS[1]]), "tools": None},
    ]
    snapshot.write({"train": rows, "test": rows}, tmp_path / "data", "rows", {})
    run = composed("method=sft", "dataset=arithmetic_demonstrations")
    read = dataset.load(run, tmp_path / "data", "train")
    assert read.column_names == ["prompt", "completion", "tools"]
    assert list(read["completion"]) == [[CALLS[0], ANSWER], [CALLS[1]]]
    assert list(read["prompt"]) == [[{**USER, "name": "Ada"}], [USER]]
    assert read.shuffle(seed=0).select([0, 1]).to_list()[0].keys() == {"prompt", "completion", "tools"}
    assert is_conversational(read[0])
    assert "tools" not in dataset.load(composed(), tmp_path / "data", "train").column_names


def test_plain_messages_are_the_same_rows_as_before(composed):
    rows = [{"prompt": [USER], "completion": [ANSWER]}]
    assert dataset.of_rows(rows).features == dataset.of_rows([*rows]).features
    assert "Json" not in str(dataset.of_rows(rows).features)
    assert restored(stored([USER, *CALLS])) == [USER, *CALLS]


def test_tools_go_to_the_template_with_the_prompt(tokenizer):
    prompt = prompt_of({"prompt": [USER], "tools": json.dumps(TOOLS)})
    assert isinstance(joined(prompt, [ANSWER]), WithTools)
    with_tools, without = rendered(tokenizer, [prompt, [USER]], {})
    assert with_tools.startswith('[{"type": "function"') and with_tools.endswith(without)


def test_rows_are_shuffled_by_the_seed_for_a_trainer_that_keeps_their_order(composed):
    rows = dataset.of_rows([{"prompt": str(n), "completion": "a", "label": n < 50} for n in range(100)])
    kto = ("method=kto", "dataset=arithmetic_judged")
    one, again, other = (
        list(dataset.in_training_order(composed(*kto, f"seed={seed}"), rows)["prompt"]) for seed in (0, 0, 1)
    )
    assert one == again != other and sorted(one) == sorted(other) == sorted(rows["prompt"])
    assert dataset.in_training_order(composed(*kto, "method.shuffle_rows=false"), rows) is rows
    assert dataset.in_training_order(composed(), rows) is rows


def test_orpo_is_given_text_where_messages_hold_more_or_call_tools(tokenizer):
    row = {"prompt": [USER], "chosen": [CALLS[0]], "rejected": [ANSWER]}
    made = orpo.as_text(dataset.of_rows([{**row, "tools": json.dumps(TOOLS)}]), tokenizer)[0]
    assert made["prompt"].startswith('[{"type"') and '"arguments": {"a": 18}' in made["chosen"]
    plain = dataset.of_rows([{**row, "chosen": [{**ANSWER, "content": "65"}]}])
    assert orpo.as_text(plain, tokenizer) is plain and orpo.as_text(None, tokenizer) is None


def test_orpo_drops_rows_whose_prompt_fills_the_length():
    rows = dataset.of_rows([{"prompt_input_ids": [1] * length} for length in (3, 8, 7, 9)])
    trainer = SimpleNamespace(max_length=8, train_dataset=rows, eval_dataset=None)
    orpo.drop_filled(trainer)
    assert [len(ids) for ids in trainer.train_dataset["prompt_input_ids"]] == [3, 7]


def test_a_smoke_takes_no_row_that_the_trainer_drops(composed, tokenizer):
    texts = ["a " * 300, "b " * 20, "c", "a " * 200]
    rows = dataset.of_rows([{"prompt": [{**USER, "content": text}], "completion": [ANSWER]} for text in texts])
    run = composed("method=sft", "dataset=arithmetic_demonstrations", "method.prompts_per_step=1")
    assert set(longest_first(run, tokenizer, rows)) == {1, 2}
