"""A hint is a promise: every message has one, and what it says to type works, or leads to another message."""

from __future__ import annotations

import ast
import re
import shlex
from pathlib import Path

import pytest

from rlexp.compose.points import CommandLine
from rlexp.errors import RunError
from rlexp.inputs.find import find_inputs
from tests.compose.test_mistakes import MISTAKES
from tests.conftest import ROOT

SRC = ROOT / "src/rlexp"
PLACES = re.compile(r"\b[A-Z]{3,}\b|=\.\.\.|[<>]")
"""What stands for something of the user's own in a hint: VALUE, FOLDER, KEY."""
STEPS = 3
"""Hints that are followed one after another; behind them a command line is a plan, or says something else."""


def lacks_hint(node: ast.expr | None) -> bool:
    if isinstance(node, ast.IfExp):
        return lacks_hint(node.body) or lacks_hint(node.orelse)
    return node is None or (isinstance(node, ast.Constant) and node.value is None)


def test_every_mistake_says_what_to_do():
    without = []
    for path in sorted(SRC.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "RunError":
                hint = next(
                    (k.value for k in node.keywords if k.arg == "hint"), node.args[2] if node.args[2:] else None
                )
                if lacks_hint(hint):
                    without.append(f"{path.relative_to(SRC)}:{node.lineno}")
    assert without == []


def answers(hint: str) -> list[list[str]]:
    """What a hint says to type: each a list of overrides, ``-m`` among them; none where a name of one's own is asked.

    ``type A=1``, ``type A=1 B=2``, ``did you mean A=1?``, ``X, or type A=1``, with the shell's quotes.
    """
    found = []
    for _, text in re.findall(r"\b(type|did you mean) (.+?)(?=; |, or |\? |\?$| \(|: |$| or (?=type)|, and )", hint):
        try:
            words = [word.rstrip(",") for word in shlex.split(text)]
        except ValueError:
            continue
        words = words[: next((n for n, word in enumerate(words) if word != "-m" and "=" not in word), len(words))]
        if words and not PLACES.search(" ".join(words)):
            found.append(words)
    return found


def left_out(hint: str) -> set[str]:
    """The keys that a hint says to leave out: ``leave out a.b, c.d``, ``leave out a and b``."""
    named = re.search(r"leave out ([^;:(]+)", hint)
    return {word.strip(",") for word in named[1].split()} if named else set()


def said(words: list[str], root: Path) -> RunError | None:
    """The message to a command line; None where it is a plan."""
    overrides = [word for word in words if word != "-m"]
    try:
        for point in CommandLine(root, overrides, "-m" in words).points():
            find_inputs(point.run, root)
    except RunError as error:
        return error
    return None


def key(word: str) -> str:
    return word.partition("=")[0].lstrip("+~")


def with_answer(words: list[str], answer: list[str], left: set[str]) -> list[str]:
    """The command line with what a hint says instead of what it answers, less what it says to leave out."""
    replaced = {key(word) for word in answer} | left
    return [word for word in words if key(word) not in replaced and word != "-m"] + answer


TYPED = [
    *MISTAKES,
    *(
        ["method.beta=0,0.04"],
        ["reward=format,correct"],
        ["method.beta=range(1,3)"],
        ["method=dpo"],
        ["method=dpo", "dataset=local"],
        ["method=kto"],
        ["method=sft"],
        ["-m", "method=grpo,dpo"],
        ["hardware=gpu"],
        ["dataset=arithmetik"],
        ["tracking=wandbb"],
        ["tracking=wandb+tensorbord"],
        ["tracking=wandb+wandb"],
        ["experiment=sums_ppo"],
        ["method.optim=adamw"],
        ["method.lr_scheduler_type=linea"],
        ["method.seed=3"],
        ["method.num_generations=1", "method.loss_type=dapoo"],
        ["health.rules=3"],
        ["dataset.type=prefrence"],
        ["hydra.mode=FOO"],
        ["rewards=format"],
        ["modell.path=x"],
        ["dataset.path=nowhere"],
        ["model.path=nowhere"],
        ["+model=tiny"],
        ["reward.combine=gate", "reward.gate=foo"],
        ["model.lora.target_module=[q_proj]"],
        *([f"{group}=null"] for group in ("model", "method", "dataset", "reward")),
        *([f"{group}=null"] for group in ("hardware", "rollout", "tracking", "health")),
    ),
]


@pytest.mark.parametrize("words", TYPED, ids=" ".join)
def test_what_a_hint_says_to_type_works_or_leads_on(words, root):
    seen = []
    for _ in range(STEPS):
        error = said(words, root)
        if error is None:
            return
        assert error.hint, error.what
        assert error.what not in seen, f"a circle: {error}"
        seen.append(error.what)
        typed, left = answers(error.hint), left_out(error.hint) & {key(word) for word in words}
        if not typed and not left:
            return
        words = with_answer(words, typed[0] if typed else [], left)


@pytest.mark.parametrize(
    ("hint", "typed"),
    [
        ("type method=grpo, or reward.combine=sum", [["method=grpo"]]),
        ("did you mean reward=format+correct? (one of: a, b)", [["reward=format+correct"]]),
        ("to sweep, add -m: type -m a.b=0,1; a list: type a.b=[0,1]", [["-m", "a.b=0,1"], ["a.b=[0,1]"]]),
        ("type 'method.beta=\"a b\"'", [['method.beta="a b"']]),
        ("type method.beta=VALUE", []),
        ("at least 1", []),
    ],
)
def test_hints_are_read(hint, typed):
    assert answers(hint) == typed
