"""What the verbs share: reading a command line, Hydra's or our own, with one plain message for a mistake."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import NoReturn

from rlexp.errors import RunError


class Parser(ArgumentParser):
    """An argument parser whose mistakes are RunErrors, for the verbs that compose nothing."""

    def __init__(self, verb: str, description: str) -> None:
        super().__init__(prog=f"python -m rlexp {verb}", description=description, allow_abbrev=False)

    def error(self, message: str) -> NoReturn:
        raise RunError(message, where=self.prog, hint=f"{self.prog} --help; {self.format_usage().strip()}")


def hydra_options(arguments: list[str]) -> Namespace:
    """The command line in Hydra's own grammar: ``overrides``, ``multirun`` (-m), ``cfg`` and the rest."""
    from hydra._internal.utils import get_args_parser

    return get_args_parser().parse_args(arguments)
