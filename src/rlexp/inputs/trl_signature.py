"""A reward function of TRL's, pasted as it is: what it reads, from its syntax tree.

One line of the file names it: ``trl = "accuracy_reward"``. Source: ``GRPOTrainer._calculate_rewards`` of TRL calls
``f(prompts=..., completions=..., completion_ids=..., **columns)``.
"""

from __future__ import annotations

import ast

from rlexp.errors import RunError, nearest

OURS = ("prompts", "completions", "completion_ids")
LIVE = ("trainer_state", "log_extra", "log_metric", "environments")
"""What TRL hands over that lives in the trainer's process, and rewards are scored in others."""

Function = ast.FunctionDef | ast.AsyncFunctionDef


def functions_of(tree: ast.Module) -> list[Function]:
    """The functions of a file that take completions: those that TRL could call."""
    defined = [n for n in tree.body if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]
    return [n for n in defined if any(a.arg == "completions" for a in (*n.args.args, *n.args.kwonlyargs))]


def line_for(tree: ast.Module) -> str:
    """The line that makes the file's function one of TRL's."""
    found = functions_of(tree)
    return f'trl = "{found[0].name if found else "NAME"}"'


def named(tree: ast.Module, name: str, file: str) -> Function:
    """The function that the line names.

    Raises:
        RunError: there is none.
    """
    defined = {n.name: n for n in tree.body if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)}
    if name not in defined:
        guess = nearest(name, list(defined))
        hint = f'write trl = "{guess}"' if guess else f"name a function of the file: {line_for(tree)}"
        raise RunError(f"trl names {name}, and the file defines no such function", where=file, hint=hint)
    return defined[name]


def columns_of(function: Function, file: str) -> tuple[list[str], list[str]]:
    """(what it reads, those of them that it can do without): its parameters, and what it takes out of ``**kwargs``.

    Raises:
        RunError: it reads what lives in the trainer's process.
    """
    arguments = function.args
    positional = [arg.arg for arg in (*arguments.posonlyargs, *arguments.args)]
    optional = positional[len(positional) - len(arguments.defaults) :] if arguments.defaults else []
    keyword = [a.arg for a, d in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)]
    optional += [a.arg for a, d in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True) if d is not None]
    reads = [*positional, *keyword]
    if arguments.kwarg:
        reads += [name for name in _taken(function, arguments.kwarg.arg) if name not in reads]
    _refuse_live([name for name in reads if name not in optional], function, file)
    return [name for name in reads if name not in LIVE], optional


def _refuse_live(reads: list[str], function: Function, file: str) -> None:
    if live := [name for name in reads if name in LIVE]:
        raise RunError(
            f"{function.name} reads {live[0]}, which lives in the trainer's process; rewards are scored in others",
            where=f"{file}:{function.lineno}",
            hint=f"write it without {live[0]}: def {function.name}(completions, ...)",
        )


def _taken(function: Function, kwargs: str) -> list[str]:
    """The names that a function takes out of its ``**kwargs``: kwargs["answer"], kwargs.get("answer")."""
    found: dict[str, None] = {}
    for node in ast.walk(function):
        key: ast.expr | None = None
        if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name) and node.value.id == kwargs:
            key = node.slice
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args:
            called = node.func.value
            if isinstance(called, ast.Name) and called.id == kwargs and node.func.attr in ("get", "pop"):
                key = node.args[0]
        if isinstance(key, ast.Constant) and isinstance(key.value, str):
            found[key.value] = None
    return list(found)


def reads_turns(tree: ast.AST) -> bool:
    """Whether completions are conversations to it: it takes the content of a turn."""
    return any(isinstance(node, ast.Constant) and node.value == "content" for node in ast.walk(tree))


def require_ours(tree: ast.Module, function: Function, file: str) -> None:
    """Refuses a function whose columns cannot be known.

    Raises:
        RunError: it takes ``*args`` or ``**kwargs``, or needs what lives in the trainer's process.
    """
    needed = len(function.args.args) - len(function.args.defaults)
    _refuse_live([argument.arg for argument in function.args.args[:needed]], function, file)
    if function.args.kwarg or function.args.vararg:
        star = f"**{function.args.kwarg.arg}" if function.args.kwarg else f"*{function.args.vararg.arg}"  # type: ignore[union-attr]
        raise RunError(
            f"{function.name} takes {star}, which does not say what it reads",
            where=f"{file}:{function.lineno}",
            hint=f"a function of TRL's? add the line {line_for(tree)}; else name the columns: "
            f"def {function.name}(completions, answer): ...",
        )
