"""``--help``: what the verbs do, without importing any of them."""

from __future__ import annotations

import ast
import contextlib
import importlib.util
import io
from collections.abc import Callable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from rlexp.cli import schemas
from rlexp.cli.answer import FORMAT, Answer

HELP = ("-h", "--help")
HYDRA = ("train", "plan", "prepare", "data", "difficulty", "smoke", "ladder", "score")
"""Verbs whose command line is Hydra's; the others have options of their own, and parsers that print them."""

ONE_POINT = ("data", "difficulty", "ladder", "score")
"""Those of them that do not sweep."""


def version() -> Answer:
    """The answer of ``--version``."""
    number = metadata.version("rlexp")
    return Answer(lambda: {"format": FORMAT, "version": number}, lambda: print(f"rlexp {number}"))


def overview(verbs: Mapping[str, str]) -> Answer:
    """The answer of ``--help``: one line for each verb, and where Hydra's own help is.

    Args:
        verbs: verb -> its module.
    """
    about = {verb: _sentence(module) for verb, module in verbs.items()}
    width = max(map(len, verbs))
    text = "\n".join(
        [
            "usage: python -m rlexp [VERB] [OVERRIDES]",
            "",
            "verbs (without one: train)",
            *(f"  {verb:<{width}}  {sentence}" for verb, sentence in about.items()),
            "",
            "Overrides are Hydra's: GROUP=OPTION (method=grpo reward=format+correct) and KEY=VALUE (method.beta=0.04).",
            "  VERB --help         the options of a verb       --version  the version of rlexp",
            "  --cfg job           the composed config         -m KEY=1,2  a sweep",
            "  --hydra-help        Hydra's own options         --json     the answer as one JSON document",
        ]
    )
    return Answer(lambda: {"format": FORMAT, "verbs": about, "exit_codes": schemas.EXIT_CODES}, lambda: print(text))


def of_verb(verb: str, module: str) -> Answer:
    """The answer of ``VERB --help`` for a verb whose command line is Hydra's: its docstrings, and the grammar."""
    tree = ast.parse(_source(module).read_text())
    command = next(n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == "command")
    usage = (ast.get_docstring(command) or "").partition(":")[0].strip("`").partition("`")[0]
    words = usage if usage.startswith(verb) else f"{verb} [OVERRIDES]"
    about = (ast.get_docstring(tree) or "").replace("``", "")
    sweep = "" if verb in ONE_POINT else " [-m]"
    text = f"usage: python -m rlexp {words}{sweep} [--json]\n\n{about}\n\n"
    text += "python -m rlexp --help shows the grammar of overrides."
    return Answer(lambda: _help(verb, text), lambda: print(text))


def of_parser(verb: str, command: Callable[[], Any]) -> Answer:
    """The answer of ``VERB --help`` for a verb whose parser prints it.

    Args:
        command: prints the help, and exits.
    """

    def content() -> dict[str, Any]:
        with contextlib.redirect_stdout(io.StringIO()) as text, contextlib.suppress(SystemExit):
            command()
        return _help(verb, text.getvalue())

    def show() -> None:
        command()

    return Answer(content, show)


def _help(verb: str, text: str) -> dict[str, Any]:
    return {"format": FORMAT, "verb": verb, "help": text, "schema": schemas.SCHEMAS[verb]}


def _sentence(module: str) -> str:
    """The first sentence of a module's docstring, without the name of the verb in front."""
    text = " ".join((ast.get_docstring(ast.parse(_source(module).read_text())) or "").split())
    sentence = text.partition(": ")[2] or text
    return sentence.partition(". ")[0].rstrip(".").replace("``", "")


def _source(module: str) -> Path:
    spec = importlib.util.find_spec(module)
    assert spec and spec.origin
    return Path(spec.origin)
