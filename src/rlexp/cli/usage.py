"""``--help``: what the verbs do, without importing any of them."""

from __future__ import annotations

import ast
import importlib.util
from collections.abc import Mapping
from pathlib import Path

HELP = ("-h", "--help")
HYDRA = ("train", "plan", "prepare", "smoke", "ladder", "score")
"""Verbs whose command line is Hydra's; the others have options of their own, and parsers that print them."""

ONE_POINT = ("ladder", "score")
"""Those of them that do not sweep."""


def overview(verbs: Mapping[str, str]) -> str:
    """The text of ``python -m rlexp --help``: one line for each verb, and where Hydra's own help is.

    Args:
        verbs: verb -> its module.
    """
    width = max(map(len, verbs))
    lines = [f"  {verb:<{width}}  {_sentence(module)}" for verb, module in verbs.items()]
    return "\n".join(
        [
            "usage: python -m rlexp [VERB] [OVERRIDES]",
            "",
            "verbs (without one: train)",
            *lines,
            "",
            "Overrides are Hydra's: GROUP=OPTION (method=grpo reward=format+correct) and KEY=VALUE (method.beta=0.04).",
            "  VERB --help         the options of a verb       --version  the version of rlexp",
            "  --cfg job           the composed config         -m KEY=1,2  a sweep",
            "  --hydra-help        Hydra's own options",
        ]
    )


def of_verb(verb: str, module: str) -> str:
    """The text of ``VERB --help`` for a verb whose command line is Hydra's: its docstrings, and the grammar."""
    tree = ast.parse(_source(module).read_text())
    command = next(n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == "command")
    usage = (ast.get_docstring(command) or "").partition(":")[0].strip("`").partition("`")[0]
    words = usage if usage.startswith(verb) else f"{verb} [OVERRIDES]"
    about = (ast.get_docstring(tree) or "").replace("``", "")
    sweep = "" if verb in ONE_POINT else " [-m]"
    return f"usage: python -m rlexp {words}{sweep}\n\n{about}\n\npython -m rlexp --help shows the grammar of overrides."


def _sentence(module: str) -> str:
    """The first sentence of a module's docstring, without the name of the verb in front."""
    text = " ".join((ast.get_docstring(ast.parse(_source(module).read_text())) or "").split())
    sentence = text.partition(": ")[2] or text
    return sentence.partition(". ")[0].rstrip(".").replace("``", "")


def _source(module: str) -> Path:
    spec = importlib.util.find_spec(module)
    assert spec and spec.origin
    return Path(spec.origin)
