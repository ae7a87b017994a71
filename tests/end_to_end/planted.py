"""Failures to plant in a copy of the project: what a user gets wrong, the rule that names it, and where at the latest.

Each ``plant`` changes the files of a project and answers the command line that runs into it.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

BEFORE_IMPORT, BEFORE_LOAD, BEFORE_TRAINING, SMOKE = "before import", "before load", "before training", "smoke"
"""No run folder is made; a run folder, but no model was loaded; no step was taken; the smoke steps. Else: step N."""
SFT = ["method=sft", "dataset=arithmetic_demonstrations"]


@dataclass(frozen=True)
class Planted:
    """One failure."""

    name: str
    plant: Callable[[Path], list[str]]
    """Changes the project; answers the arguments of the command line."""
    rule: str
    """The name of the check or health rule that must say so."""
    where: str
    """Where it is caught: BEFORE_IMPORT, BEFORE_LOAD, BEFORE_TRAINING, SMOKE, or ``step N`` at the latest."""
    warns: bool = False
    """It is no reason to stop: the run goes on, with a warning that names the rule."""


def caught_at(folder: Path) -> str:
    """How far a run came, by what it left in its folder."""
    if not folder.exists():
        return BEFORE_IMPORT
    if "loaded" not in json.loads((folder / "manifest.json").read_text())["timings_s"]:
        return BEFORE_LOAD
    metrics = folder / "metrics.jsonl"
    if metrics.exists():
        return f"step {json.loads(metrics.read_text().splitlines()[-1])['step']}"
    return SMOKE if (folder / "smoke").exists() else BEFORE_TRAINING


def model(project: Path) -> Path:
    """A copy of the tiny model to break, for ``model.path=models/broken``."""
    return shutil.copytree(project / "models/tiny", project / "models/broken")


def edit_json(file: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    content = json.loads(file.read_text())
    change(content)
    file.write_text(json.dumps(content))


def template(change: Callable[[str], str], *arguments: str) -> Callable[[Path], list[str]]:
    """The chat template changed."""

    def plant(project: Path) -> list[str]:
        file = model(project) / "chat_template.jinja"
        before = file.read_text()
        file.write_text(change(before))
        assert file.read_text() != before
        return ["model.path=models/broken", *arguments]

    return plant


def settings(file: str, change: Callable[[dict[str, Any]], Any], *arguments: str) -> Callable[[Path], list[str]]:
    """One JSON file of the model changed."""

    def plant(project: Path) -> list[str]:
        edit_json(model(project) / file, change)
        return ["model.path=models/broken", *arguments]

    return plant


def without_template(project: Path) -> list[str]:
    (model(project) / "chat_template.jinja").unlink()
    return ["model.path=models/broken"]


def doubled_bos(project: Path) -> list[str]:
    """ChatML with {{ bos_token }} in front, for a tokenizer whose BOS is <|im_start|>."""
    arguments = template(lambda text: "{{ bos_token }}" + text)(project)
    edit_json(project / "models/broken/tokenizer_config.json", lambda c: c.update(bos_token="<|im_start|>"))
    return arguments


def special_tag(project: Path) -> list[str]:
    def change(content: dict[str, Any]) -> None:
        for token in content["added_tokens"]:
            token["special"] |= token["content"] == "<answer>"

    return settings("tokenizer.json", change)(project)


def tags_beyond_the_embedding(content: dict[str, Any]) -> None:
    """The tags were added to the tokenizer, and nobody resized the embedding."""
    content["vocab_size"] = 380


def reward(body: str, reads: str = "completions", options: str = "") -> Callable[[Path], list[str]]:
    """A reward of one's own, ``rewards/mine.py``, alone."""

    def plant(project: Path) -> list[str]:
        text = f"version = 1\n\n\ndef score({reads}):\n    return {body}\n"
        (project / "rewards/mine.py").write_text(text)
        (project / "conf/reward/mine.yaml").write_text("terms: {mine: {file: rewards/mine.py}}\n")
        return ["reward=mine", *options.split()]

    return plant


def wrong_answer_column(project: Path) -> list[str]:
    """The rows' answer is another column (the first number), and the gold completion knows the right one."""
    rows = [
        {"prompt": f"What is {a} + {b}?", "first": str(a), "total": str(a + b)} for a in range(3, 13) for b in range(9)
    ]
    (project / "sums.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return [
        *("dataset=local", "dataset.params.file=sums.jsonl", "dataset.params.columns={answer: first}"),
        "dataset.gold='<think></think><answer>{total}</answer>'",
    ]


def answer_object(project: Path) -> list[str]:
    """A script of one's own that hands the answer out with its style."""
    script = (
        "import json\n\n\ndef rows():\n"
        "    made = [{'prompt': f'{n} + 1?', 'answer': json.dumps({'truth': str(n + 1)})} for n in range(80)]\n"
        "    return {'train': made[:60], 'test': made[60:]}\n"
    )
    (project / "data_prep/mine.py").write_text(script)
    (project / "conf/dataset/mine.yaml").write_text("name: mine\ntype: prompt_only\nprepare: mine\nparams: {}\n")
    return ["dataset=mine", "reward=correct", "dataset.gold=null"]


def one_label(project: Path) -> list[str]:
    rows = [{"prompt": f"{n} + 1?", "completion": str(n + 1), "label": True} for n in range(60)]
    (project / "judged.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return ["method=kto", "dataset=./judged.jsonl"]


def thoughts_apart(project: Path) -> list[str]:
    """Pairs that differ in a thought, and a template that leaves thoughts out."""
    rows = [
        {"prompt": f"{n} + 1?", "chosen": f"<think>{n} + 1</think>{n + 1}", "rejected": f"<think>?</think>{n + 1}"}
        for n in range(60)
    ]
    (project / "pairs.jsonl").write_text("\n".join(map(json.dumps, rows)))
    arguments = template(lambda text: text.replace("message['content']", "message['content'].split('</think>')[-1]"))
    return [*arguments(project), "method=dpo", "dataset=./pairs.jsonl"]


MADE = "'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'"
PLANTED = [
    Planted("model without template", without_template, "template.missing", BEFORE_IMPORT),
    Planted(
        "vocabulary larger than the embedding",
        settings("config.json", tags_beyond_the_embedding),
        "tokenizer.vocabulary",
        BEFORE_IMPORT,
    ),
    Planted("wrong answer column", wrong_answer_column, "reward.gold", BEFORE_IMPORT),
    Planted("reward always 1", reward("[1.0] * len(completions)"), "reward.constant", BEFORE_IMPORT),
    Planted(
        "reward always 0",
        reward("[float(c == str(a) + '!!') for c, a in zip(completions, answer)]", "completions, answer"),
        "reward.constant",
        BEFORE_IMPORT,
    ),
    Planted("NaN reward", reward("[float('nan')] * len(completions)"), "reward.trial", BEFORE_IMPORT),
    Planted("too few scores", reward("[1.0] * (len(completions) - 1)"), "reward.trial", BEFORE_IMPORT),
    Planted(
        "reward of a column that is not there",
        reward("[0.0] * len(completions)", "completions, solution"),
        "reward.columns",
        BEFORE_IMPORT,
    ),
    Planted(
        "template without generation prompt",
        template(lambda text: text.partition("{% if add_generation_prompt %}")[0]),
        "template.generation_prompt",
        BEFORE_LOAD,
    ),
    Planted("doubled BOS", doubled_bos, "template.doubled_bos", BEFORE_LOAD),
    Planted(
        "template without EOS",
        template(lambda text: text.replace("<|im_end|>", ""), *SFT),
        "template.eos",
        BEFORE_LOAD,
    ),
    Planted(
        "generation_config of another model",
        settings("generation_config.json", lambda c: c.update(eos_token_id=[32000])),
        "tokenizer.eos",
        BEFORE_LOAD,
    ),
    Planted(
        "template that is not prefix stable",
        template(lambda text: "{{ messages | length }} messages\n" + text, *SFT),
        "template.prefix",
        BEFORE_LOAD,
    ),
    Planted("answer in an object", answer_object, "data.answer", BEFORE_IMPORT),
    Planted("pairs equal as rendered", thoughts_apart, "template.content", BEFORE_LOAD),
    Planted(
        "template that is no Jinja",
        template(lambda text: text.replace("{% endfor %}", "{% endfor", 1)),
        "template.renders",
        BEFORE_LOAD,
    ),
    Planted("judged answers of one label", one_label, "data.labels", BEFORE_LOAD),
    Planted("tag that is a special token", special_tag, "tokenizer.tags", BEFORE_LOAD),
    Planted(
        "prompts longer than the limit",
        lambda project: ["model.max_seq_length=33"],
        "data.prompt_length",
        BEFORE_LOAD,
    ),
    Planted(
        "pad is EOS",
        settings("tokenizer_config.json", lambda c: c.update(pad_token="<|im_end|>")),
        "tokenizer.pad_is_eos",
        BEFORE_TRAINING,
        warns=True,
    ),
    Planted(
        "generation_config that stops elsewhere than the tokenizer",
        settings("generation_config.json", lambda c: c.update(eos_token_id=0)),
        "tokenizer.eos",
        BEFORE_LOAD,
        warns=True,
    ),
]
"""What the checks in front of a run say."""


PADDING = "version = 1\n\n\ndef score(completions):\n    return [min(len(text), 90) / 90 for text in completions]\n"


def typed(*arguments: str) -> Callable[[Path], list[str]]:
    """Nothing is changed in the project."""
    return lambda project: list(arguments)


def paid_for_length(project: Path) -> list[str]:
    """Length is paid for beside right answers."""
    (project / "rewards/padding.py").write_text(PADDING)
    (project / "conf/reward/padding.yaml").write_text("terms: {padding: {file: rewards/padding.py}}\n")
    return ["reward=correct+padding"]


def gamed(project: Path) -> list[str]:
    """Length is paid for, and whether the sum is right is only watched."""
    rules = "health.rules.truncated.stop=null"  # the longest completions are cut: the other thing wrong with it
    return [*paid_for_length(project), "reward.terms.correct.weight=0", rules, "health.rules.reward_hacking.stop=0.5"]


PREFERENCES = ("method=dpo", "dataset=arithmetic_preferences")
WATCHED = [
    Planted("completion limit of 8", typed("method.max_completion_length=8"), "health.truncated", "step 10"),
    Planted("learning rate of 10", typed("method.learning_rate=10"), "health.weights_jump", "step 1"),
    Planted(
        "learning rate of 10, dpo", typed(*PREFERENCES, "method.learning_rate=10"), "health.weights_jump", "step 2"
    ),
    Planted("frozen adapter", typed("method.learning_rate=1e-12"), "health.frozen_adapter", "step 5"),
    Planted("temperature of 0.01", typed("method.temperature=0.01"), "health.entropy_collapse", "step 8"),
    Planted(
        "policy runs from its reference",
        typed("method.beta=0.04", "method.learning_rate=0.05"),
        "health.kl_spike",
        "step 6",
    ),
    Planted("gamed reward", gamed, "health.reward_hacking", "step 35"),
]
"""What the health rules stop while it trains, where no smoke went before."""


def term(code: str, low: str, high: str) -> Callable[[Path], list[str]]:
    """A reward whose scores are this expression; it tells two completions of two prompts apart, as its cases say."""

    def plant(project: Path) -> list[str]:
        cases = [{"prompt": text, "completion": text, "score": n} for n, text in enumerate((low, high))]
        text = f"version = 1\n\n\ndef score(prompts, completions):\n    return {code}\n\n\ncases = {cases}\n"
        (project / "rewards/planted.py").write_text(text)
        (project / "conf/reward/planted.yaml").write_text("terms: {planted: {file: rewards/planted.py}}\n")
        return ["reward=planted"]

    return plant


BY_PROMPT = term("[float('7' in prompt) for prompt in prompts]", "1", "7")
OUT_OF_REACH = term("[float('%%' in text) for text in completions]", "1", "%%")
ENDS_AT_ONCE = "method.generation_kwargs={sequence_bias: [[[2], 100.0]]}"
SMOKED = [
    Planted("same reward within a group", BY_PROMPT, "smoke.variance", SMOKE),
    Planted("reward out of reach", OUT_OF_REACH, "smoke.all_zero", SMOKE),
    Planted("the model says nothing", typed(ENDS_AT_ONCE), "smoke.empty", SMOKE),
    Planted("completion limit of 4", typed("method.max_completion_length=4"), "smoke.truncated", SMOKE),
    Planted("frozen adapter", typed("method.learning_rate=1e-12"), "smoke.adapter_moved", SMOKE),
    Planted("learning rate of 10", typed("method.learning_rate=10"), "smoke.finite", SMOKE),
    Planted("learning rate of 10, dpo", typed(*PREFERENCES, "method.learning_rate=10"), "smoke.finite", SMOKE),
]
"""What the smoke steps see before the run takes its first."""
