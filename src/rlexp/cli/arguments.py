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


def hydra_options(arguments: list[str], **flags: str) -> Namespace:
    """The command line in Hydra's own grammar: ``overrides``, ``multirun`` (-m), ``cfg`` and the rest.

    Args:
        flags: options of the verb's own beside Hydra's, name -> help; each is True where it was typed.

    Raises:
        RunError: an option that Hydra does not know.
    """
    from hydra._internal.utils import get_args_parser

    parser = get_args_parser()
    parser.error = _refuse  # type: ignore[method-assign]
    parser.allow_abbrev = False
    for name, description in flags.items():
        parser.add_argument(f"--{name}", action="store_true", help=description)
    return parser.parse_args(arguments)


def _refuse(message: str) -> NoReturn:
    raise RunError(message, where="the command line", hint="python -m rlexp --hydra-help lists the options")
