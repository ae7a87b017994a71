"""The verbs read a command line here: a command line, Hydra's or our own, with one plain message for a mistake."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import NoReturn

from rlexp.errors import RunError


class Parser(ArgumentParser):
    """An argument parser whose mistakes are RunErrors, for the verbs with options of their own."""

    def __init__(self, verb: str, description: str) -> None:
        super().__init__(prog=f"python -m rlexp {verb}", description=description, allow_abbrev=False)

    def error(self, message: str) -> NoReturn:
        raise RunError(message, where=self.prog, hint=f"{self.prog} --help; {self.format_usage().strip()}")


HYDRA_MODES = {"cfg": "--cfg", "info": "--info", "hydra_help": "--hydra-help", "shell_completion": "--shell-completion"}
"""Options with which Hydra prints something about the composed config instead of running."""


def hydra_options(arguments: list[str], verb: str = "train", **flags: str) -> Namespace:
    """The command line in Hydra's own grammar: ``overrides``, ``multirun`` (-m), ``cfg`` and the rest.

    Args:
        verb: the one that reads it; only ``train`` and ``smoke`` hand Hydra's printing modes on.
        flags: options of the verb's own beside Hydra's, name -> help; each is True where it was typed.

    Raises:
        RunError: an option that Hydra does not know, or that the verb does not take.
    """
    from hydra._internal.utils import get_args_parser

    parser = get_args_parser()
    parser.error = _refuse  # type: ignore[method-assign]
    parser.allow_abbrev = False
    for name, description in flags.items():
        parser.add_argument(f"--{name}", action="store_true", help=description)
    options = parser.parse_args(arguments)
    printing = [flag for name, flag in HYDRA_MODES.items() if getattr(options, name)]
    if printing and verb not in ("train", "smoke"):
        hint = f"leave out {verb}: python -m rlexp {printing[0]}{' job' if printing[0] == '--cfg' else ''}"
        raise RunError(f"{verb} does not take {printing[0]}", where=f"{verb} {printing[0]}", hint=hint)
    return options


def _refuse(message: str) -> NoReturn:
    raise RunError(message, where="the command line", hint="python -m rlexp --hydra-help lists the options")
