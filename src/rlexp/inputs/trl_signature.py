"""A reward function of TRL's, pasted as it is: what it reads, from its syntax tree.

One line of the file names it: ``trl = "accuracy_reward"``. Source: ``GRPOTrainer._calculate_rewards`` of TRL calls
``f(prompts=..., completions=..., completion_ids=..., **columns)``.
"""

from __future__ import annotations

import ast

from rlexp.errors import RunError, nearest
from rlexp.inputs.reward_code import assigned

OURS = ("prompts", "completions", "completion_ids")
"""What TRL hands over beside the columns."""
LIVE = ("trainer_state", "log_extra", "log_metric", "environments")
"""What TRL hands over that lives in the trainer's process, and rewards are scored in others."""

Function = ast.FunctionDef | ast.AsyncFunctionDef


def functions_of(tree: ast.Module) -> list[Function]:
    """The functions of a file that take completions: those that TRL could call, the one that calls the others first."""
    defined = [n for n in tree.body if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]
    found = [n for n in defined if any(a.arg == "completions" for a in (*n.args.args, *n.args.kwonlyargs))]
    called = {n.func.id for n in ast.walk(tree) if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)}
    return sorted(found, key=lambda function: function.name in called)


def line_for(tree: ast.Module) -> str:
    """The line that makes the file's function one of TRL's."""
    found = functions_of(tree)
    return f'trl = "{found[0].name if found else "NAME"}"'


def named(tree: ast.Module, name: str, file: str) -> Function:
    """The function that the line names.

    Raises:
        RunError: there is none, or the name is something else than a function that the file defines.
    """
    defined = {n.name: n for n in tree.body if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)}
    if name not in defined:
        if made := _made(tree, name):
            node, what = made
            wrapper = next(free for free in ("rew", "reward", "trl_reward") if free not in {*defined, name})
            raise RunError(
                f"trl names {name}, which is {what}: what it reads stands in a function that the file defines",
                where=f"{file}:{node.lineno}",
                hint=f"add def {wrapper}(completions, **kwargs): return {name}(completions, **kwargs), "
                f'and write trl = "{wrapper}"',
            )
        guess = nearest(name, list(defined))
        hint = f'write trl = "{guess}"' if guess else f"name a function of the file: {line_for(tree)}"
        raise RunError(f"trl names {name}, and the file defines no such function", where=file, hint=hint)
    return defined[name]


def _made(tree: ast.Module, name: str) -> tuple[ast.stmt, str] | None:
    """(where, what) of a name of the file that is no function of its own: the result of a call, a class, an import."""
    classes = {node.name for node in tree.body if isinstance(node, ast.ClassDef)}
    for node in reversed(tree.body):
        if isinstance(node, ast.ClassDef) and node.name == name:
            return node, "a class"
        if isinstance(node, ast.Import | ast.ImportFrom) and name in {one.asname or one.name for one in node.names}:
            return node, "imported"
        if name not in assigned(node) or (value := getattr(node, "value", None)) is None:
            continue
        if isinstance(value, ast.Call):
            called = ast.unparse(value.func)
            if called.rpartition(".")[2] == "partial":
                return node, f"a {called} of {ast.unparse(value.args[0]) if value.args else 'a function'}"
            return node, f"an object of the class {called}" if called in classes else f"the result of {called}()"
        return node, "a lambda" if isinstance(value, ast.Lambda) else f"a name for {ast.unparse(value):.60}"
    return None


def columns_of(function: Function, file: str) -> tuple[list[str], list[str], bool]:
    """(what it reads, those of them that it can do without, whether it gets every column): its parameters, and what it
    takes out of ``**kwargs``; every column, where it does something else with them, such as to hand them on.

    Raises:
        RunError: it reads what lives in the trainer's process.
    """
    arguments = function.args
    positional = [arg.arg for arg in (*arguments.posonlyargs, *arguments.args)]
    optional = positional[len(positional) - len(arguments.defaults) :] if arguments.defaults else []
    keyword = [a.arg for a, d in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)]
    optional += [a.arg for a, d in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True) if d is not None]
    reads = [*positional, *keyword]
    everything = False
    if arguments.kwarg:
        taken, everything = _taken(function, arguments.kwarg.arg)
        reads += [name for name in taken if name not in reads]
        more = [name for name in OURS[:2] if everything and name not in reads]
        reads, optional = reads + more, optional + more
    _refuse_live([name for name in reads if name not in optional], function, file)
    return [name for name in reads if name not in LIVE], optional, everything


def _refuse_live(reads: list[str], function: Function, file: str) -> None:
    if live := [name for name in reads if name in LIVE]:
        raise RunError(
            f"{function.name} reads {live[0]}, which lives in the trainer's process; rewards are scored in others",
            where=f"{file}:{function.lineno}",
            hint=f"write it without {live[0]}: def {function.name}(completions, ...)",
        )


def _taken(function: Function, kwargs: str) -> tuple[list[str], bool]:
    """(the names that a function takes out of its ``**kwargs``, whether it uses them otherwise, too): kwargs["answer"],
    kwargs.get("answer"), "answer" in kwargs."""
    found: dict[str, None] = {}
    uses = sum(isinstance(node, ast.Name) and node.id == kwargs for node in ast.walk(function))
    for node in ast.walk(function):
        key: ast.expr | None = None
        if isinstance(node, ast.Subscript) and _is(node.value, kwargs):
            key = node.slice
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args:
            if _is(node.func.value, kwargs) and node.func.attr in ("get", "pop"):
                key = node.args[0]
        elif isinstance(node, ast.Compare) and isinstance(node.ops[0], ast.In | ast.NotIn) and len(node.ops) == 1:
            key = node.left if _is(node.comparators[0], kwargs) else None
        if isinstance(key, ast.Constant) and isinstance(key.value, str):
            found[key.value] = None
            uses -= 1
    return list(found), uses > 0


def _is(node: ast.expr, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name


def require_ours(function: Function, file: str, more: str = "") -> None:
    """Refuses a function whose columns cannot be known.

    Args:
        more: what else the file lacks, for the hint.

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
            hint=f'a function of TRL\'s? add the line trl = "{function.name}"; else name the columns: '
            f"def {function.name}(completions, answer): ...{more}",
        )
