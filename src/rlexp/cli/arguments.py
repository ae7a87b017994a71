"""The verbs read a command line here: a command line, Hydra's or our own, with one plain message for a mistake."""

from __future__ import annotations

import contextlib
import functools
import io
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from rlexp import project
from rlexp.cli import flags
from rlexp.cli.answer import FORMAT, Answer
from rlexp.errors import RunError, nearest

if TYPE_CHECKING:  # Hydra takes a third of a second to import, and half of the verbs do without
    from rlexp.compose.points import CommandLine


class Parser(ArgumentParser):
    """An argument parser whose mistakes are RunErrors, for the verbs with options of their own."""

    def __init__(self, verb: str, description: str) -> None:
        super().__init__(prog=f"python -m rlexp {verb}", description=description, allow_abbrev=False)
        # Shown in the help only: it has left the line before a parser reads it.
        self.add_argument(flags.JSON, action="store_true", help=flags.JSON_HELP)

    def error(self, message: str) -> NoReturn:
        raise RunError(message, where=self.prog, hint=f"{self.prog} --help; {self.format_usage().strip()}")


def hydra_options(arguments: list[str], verb: str = "train", **own: str) -> Namespace:
    """The command line in Hydra's own grammar: ``overrides``, ``multirun`` (-m), ``cfg`` and the rest.

    Args:
        verb: the one that reads it; only those of ``PRINTING`` hand Hydra's printing modes on.
        own: options of the verb's own beside Hydra's, name -> help; each is True where it was typed.

    Raises:
        RunError: an option that Hydra does not know, that the verb does not take, or that does not go with another.
    """
    from hydra._internal.utils import get_args_parser

    parser = get_args_parser()
    parser.error = functools.partial(_refuse, parser)  # type: ignore[method-assign]
    parser.allow_abbrev = False
    for name, description in own.items():
        parser.add_argument(f"--{name}", action="store_true", help=description)
    options = parser.parse_intermixed_args(arguments)
    flags.refuse_bare(options.overrides)
    if verb not in GOING_ON:
        refuse_going_on(verb, options.overrides)
        refuse_eval(verb, options.overrides)
    typed = [flag for name, flag in MODES.items() if getattr(options, name)]
    printing = [flag for flag in typed if flag not in ("--run", "-m")]
    if printing and verb not in PRINTING:
        hint = f"leave out {verb}: python -m rlexp {printing[0]}{' job' if printing[0] == '--cfg' else ''}"
        raise RunError(f"{verb} does not take {printing[0]}", where=f"{verb} {printing[0]}", hint=hint)
    if len(typed) > 1:
        raise RunError(
            f"{' and '.join(typed)} do not go together", where=" ".join(typed), hint=f"type {typed[-1]} alone"
        )
    for name in ("resolve", "package"):
        if getattr(options, name) and not options.cfg:
            raise RunError(f"--{name} belongs to --cfg", where=f"--{name}", hint=f"type --cfg job --{name}")
    if options.experimental_rerun:
        raise RunError(
            "a pickled config would run code of whoever made it",
            where="--experimental-rerun",
            hint="type replay RUN, which reads a lock",
        )
    return options


def refuse_going_on(verb: str, overrides: list[str]) -> None:
    """Refuses resume= and fork= with a verb that trains nothing.

    Raises:
        RunError: one was typed.
    """
    for one in overrides:
        key = one.partition("=")[0].lstrip("+~")
        if key in ("resume", "fork"):
            what = f"{key}= goes with training, and {verb} trains nothing"
            raise RunError(what, where=one, hint=f"type plan {one} for what it would do, or leave out {verb}")


def refuse_eval(verb: str, overrides: list[str]) -> None:
    """Refuses eval= with a verb that evaluates nothing.

    Raises:
        RunError: it was typed.
    """
    for one in overrides:
        if one.partition("=")[0].lstrip("+~").partition(".")[0] == "eval":
            what = f"eval= goes with training and evaluate, and {verb} evaluates nothing"
            raise RunError(what, where=one, hint=f"leave it out, or type evaluate RUN {one}")


GOING_ON = ("train", "plan")
"""Verbs that take resume=, fork= and eval=."""
PRINTING = ("train", "smoke")
"""Verbs that hand Hydra's printing modes on."""
MODES = {
    "run": "--run",
    "multirun": "-m",
    "cfg": "--cfg",
    "info": "--info",
    "hydra_help": "--hydra-help",
    "shell_completion": "--shell-completion",
}
"""Hydra's options of which one at most is typed: the last four print something instead of running."""


def command_line(options: Namespace, here: Path, overrides: list[str] | None = None) -> CommandLine:
    """What is to be composed.

    Args:
        options: as Hydra reads them.
        here: the folder in which they were typed, which relative folders of options mean.
        overrides: instead of those typed.

    Raises:
        RunError: a folder of options is not there, or ``sweep.KEY=`` is typed of one run.
    """
    from rlexp.cli import progress
    from rlexp.compose import schema_sweep, typed_ids
    from rlexp.compose.places import Places
    from rlexp.compose.points import CommandLine
    from rlexp.train import forked

    for flag, typed in (("--config-path", options.config_path), ("--config-dir", options.config_dir)):
        if typed and not (here / typed).is_dir():
            raise RunError(
                f"a folder of options is not there: {typed}",
                where=f"{flag}={typed}",
                hint=f"give {flag} one that is, or leave {flag} out",
            )
    folders = [here / typed for typed in (options.config_path, options.config_dir) if typed]
    if options.config_path and not options.config_name and not any((f / "config.yaml").is_file() for f in folders):
        raise RunError(
            f"{options.config_path} holds no config.yaml",
            where=f"--config-path={options.config_path}",
            hint="leave out --config-path for conf/; for a folder beside it: type --config-dir",
        )
    root = project.root()
    typed, sweep, of_sweep = schema_sweep.take(options.overrides if overrides is None else overrides, Places.of(root))
    line = CommandLine(
        root,
        typed_ids.from_project(typed, here, root),
        options.multirun,
        here / options.config_path if options.config_path else None,
        here / options.config_dir if options.config_dir else None,
        options.config_name or "config",
        sweep=sweep,
        typed=of_sweep,
        watch=progress.watched,
    )
    line = forked.over(line, here)
    if of_sweep and not line.sweeps:
        what = f"{of_sweep[0]} goes with a sweep, and this is one run"
        raise RunError(what, where=of_sweep[0], hint="type -m in front of the overrides, or leave it out")
    return line


def printed(options: Namespace, line: CommandLine) -> Answer | None:
    """What Hydra prints of the composed config, or of what it knows about it; None where that was not asked for.

    Raises:
        RunError: it cannot be composed, or there is no such package.
    """
    if not (options.cfg or options.info or options.hydra_help or options.shell_completion):
        return None
    return Answer(lambda: _config(options, line), lambda: _print(options, line))


def _config(options: Namespace, line: CommandLine) -> dict[str, Any]:
    """The composed config as JSON values."""
    import yaml

    if not options.cfg:
        flag = next(flag for name, flag in MODES.items() if getattr(options, name))
        what, hint = f"{flag} prints text, and has no JSON", f"leave out {flags.JSON}; --cfg job has it"
        raise RunError(what, where=f"{flag} {flags.JSON}", hint=hint)
    with contextlib.redirect_stdout(io.StringIO()) as text:
        _print(options, line)
    return {"format": FORMAT, "config": yaml.safe_load(text.getvalue())}


def _print(options: Namespace, line: CommandLine) -> None:
    from hydra._internal.hydra import Hydra
    from hydra._internal.utils import get_args_parser
    from omegaconf import OmegaConf

    from rlexp.compose.points import NAME

    hydra, name = Hydra(task_name=NAME, config_loader=line.loader), line.config_name
    if options.shell_completion:
        with line.explained():
            hydra.shell_completion(config_name=name, overrides=options.overrides)
        return
    overrides, config = line.settled(line.overrides), line.config
    if options.package not in (None, "_global_") and OmegaConf.select(config, options.package) is None:
        guess = nearest(options.package, [str(key) for key in config]) or "method"
        where = f"--package {options.package}"
        raise RunError(f"there is no package {options.package}", where=where, hint=f"type --package {guess}")
    with line.explained():
        if options.cfg:
            hydra.show_cfg(name, overrides, options.cfg, options.package, options.resolve)
        elif options.info:
            hydra.show_info(options.info, config_name=name, overrides=overrides)
        else:
            hydra.hydra_help(config_name=name, args_parser=get_args_parser(), args=options)


def _refuse(parser: ArgumentParser, message: str) -> NoReturn:
    known = [*flags.OWN, *(option for action in parser._actions for option in action.option_strings)]
    typed = [word for word in message.split() if word.startswith("-")]
    guess = nearest(typed[-1], known) if typed and typed[-1] not in known else None
    hint = f"did you mean {guess}? " if guess else ""
    raise RunError(message, where="the command line", hint=f"{hint}python -m rlexp --hydra-help lists the options")
