"""The form of completions that a reward function of TRL's takes: conversations, or plain texts.

TRL's own rule is that the form follows the data: where prompts are conversations, completions are
``[[{"role": "assistant", "content": text}], ...]``. The source of the function says more only where it is certain:
a function may have been written for data of the other form. Source: ``GRPOTrainer._generate`` of TRL.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from typing import Literal

from rlexp.errors import RunError

DECLARED = "conversational"
"""The line that goes before everything: ``conversational = True``."""
TEXT_METHODS = frozenset(name for name in dir(str) if not name.startswith("_")) - set(dir(list)) - set(dir(dict))
SEARCHES = frozenset({"search", "match", "fullmatch", "findall", "finditer", "sub", "subn", "split"})
PARSERS = frozenset({"float", "int", "json.loads"})
"""Functions that take a text."""
TURN_METHODS = frozenset({"get", "keys", "items", "values"})

Kind = Literal["batch", "item", "turn"]
"""What a name holds: all completions (or prompts), one of them, or a part of one: a turn, or a letter."""
INNER: Mapping[str, Kind] = {"batch": "item", "item": "turn"}
Function = ast.FunctionDef | ast.AsyncFunctionDef


def form_of(tree: ast.Module, function: Function, declared: object, file: str) -> tuple[bool | None, str]:
    """(whether completions are conversations to the function, why); None where it follows the rows.

    Raises:
        RunError: the line that declares it says neither True nor False.
    """
    if declared is not None:
        if not isinstance(declared, bool):
            raise RunError(
                f"{DECLARED} is {declared!r}, neither True nor False",
                where=file,
                hint=f"write {DECLARED} = True where completions are lists of turns, {DECLARED} = False for texts",
            )
        return declared, f"the file says {DECLARED} = {declared}"
    looks = Looks(tree)
    looks.follow(function, {"completions": "batch", "prompts": "batch"})
    if bool(looks.texts) == bool(looks.turns):
        return None, ""
    if looks.texts:
        return False, f"line {min(looks.texts)} takes one as a text"
    return True, f"line {min(looks.turns)} takes a turn of one"


class Looks(ast.NodeVisitor):
    """The lines of a file where a completion is taken for a text, and for a list of turns; statements in their order.

    Helpers of the same file are followed.
    """

    def __init__(self, tree: ast.Module) -> None:
        self.texts: set[int] = set()
        self.turns: set[int] = set()
        self._defined = {n.name: n for n in tree.body if isinstance(n, Function)}
        self._words: set[str] = set()
        """Names of the module that hold a text."""
        self._patterns = {"re", "regex"}
        for node in tree.body:
            if (
                isinstance(node, ast.Assign)
                and len(node.targets) == 1
                and isinstance(name := node.targets[0], ast.Name)
            ):
                if isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
                    self._words.add(name.id)
                elif _is_compiled(node.value):
                    self._patterns.add(name.id)
        self._held: dict[str, Kind] = {}
        self._seen: set[tuple[str, tuple[tuple[str, Kind], ...]]] = set()

    def follow(self, function: Function, held: Mapping[str, Kind]) -> None:
        """Looks at a function whose parameters hold these."""
        key = (function.name, tuple(sorted(held.items())))
        if key in self._seen:
            return
        self._seen.add(key)
        outer, self._held = self._held, dict(held)
        for statement in function.body:
            self.visit(statement)
        self._held = outer

    def visit_Assign(self, node: ast.Assign) -> None:
        self.visit(node.value)
        for target in node.targets:
            self.visit(target)
            self._bind(target, node.value)
            if isinstance(target, ast.Name) and _is_compiled(node.value):
                self._patterns.add(target.id)

    def visit_For(self, node: ast.For) -> None:
        self.visit(node.iter)
        self._bind_each(node.target, node.iter)
        for statement in (*node.body, *node.orelse):
            self.visit(statement)

    def visit_ListComp(self, node: ast.ListComp | ast.GeneratorExp | ast.SetComp | ast.DictComp) -> None:
        outer = dict(self._held)
        for part in node.generators:
            self.visit(part.iter)
            self._bind_each(part.target, part.iter)
            for condition in part.ifs:
                self.visit(condition)
        for value in (node.key, node.value) if isinstance(node, ast.DictComp) else (node.elt,):
            self.visit(value)
        self._held = outer

    visit_GeneratorExp = visit_SetComp = visit_DictComp = visit_ListComp

    def visit_Subscript(self, node: ast.Subscript) -> None:
        key = node.slice
        text = isinstance(key, ast.Constant) and isinstance(key.value, str)
        if self._kind(node.value) == "turn" and (text or (isinstance(key, ast.Name) and key.id in self._words)):
            self.turns.add(node.lineno)
        self.generic_visit(node)

    def visit_Compare(self, node: ast.Compare) -> None:
        values = [node.left, *node.comparators]
        kinds = [self._kind(value) for value in values]
        for number, operator in enumerate(node.ops):
            left, right = kinds[number], kinds[number + 1]
            other = values[number] if right == "item" else values[number + 1]
            plain = not isinstance(other, ast.List | ast.Dict)
            if isinstance(operator, ast.In | ast.NotIn) and right == "item" and left is None and plain:
                self.texts.add(node.lineno)
            if isinstance(operator, ast.Eq | ast.NotEq) and {left, right} == {"item", None} and plain:
                self.texts.add(node.lineno)
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        function, kinds = node.func, [self._kind(one) for one in node.args]
        if isinstance(function, ast.Attribute):
            self._method(node, function, kinds)
        if _dotted(function) in PARSERS and kinds[:1] == ["item"]:
            self.texts.add(node.lineno)
        if isinstance(function, ast.Name) and function.id == "isinstance" and len(node.args) == 2:
            self._checked(node, kinds[0])
        if isinstance(function, ast.Name) and function.id in self._defined:
            self._helper(self._defined[function.id], [*zip(kinds)], node)
        if isinstance(function, ast.Name) and function.id == "map" and len(node.args) > 1:
            self._mapped(node.args[0], [INNER.get(kind or "") for kind in kinds[1:]])
        self.generic_visit(node)

    def _method(self, node: ast.Call, function: ast.Attribute, kinds: Sequence[Kind | None]) -> None:
        kind = self._kind(function.value)
        if kind in ("item", "turn") and function.attr in TEXT_METHODS:
            self.texts.add(node.lineno)
        if kind == "turn" and function.attr in TURN_METHODS:
            self.turns.add(node.lineno)
        searches = _is_compiled(function.value) or _dotted(function.value) in self._patterns
        if searches and function.attr in SEARCHES and "item" in kinds:
            self.texts.add(node.lineno)

    def _checked(self, node: ast.Call, kind: Kind | None) -> None:
        """isinstance(completion, str), isinstance(completion, list): it can do with that."""
        asked = {one.id for one in ast.walk(node.args[1]) if isinstance(one, ast.Name)}
        if kind == "item" and "str" in asked:
            self.texts.add(node.lineno)
        if (kind == "item" and "list" in asked) or (kind == "turn" and "dict" in asked):
            self.turns.add(node.lineno)

    def _helper(self, helper: Function, kinds: Sequence[tuple[Kind | None]], node: ast.Call | None = None) -> None:
        parameters = [arg.arg for arg in (*helper.args.posonlyargs, *helper.args.args)]
        held = {name: kind for name, (kind,) in zip(parameters, kinds, strict=False) if kind}
        for keyword in node.keywords if node else ():
            if keyword.arg and (kind := self._kind(keyword.value)):
                held[keyword.arg] = kind
        if held:
            self.follow(helper, held)

    def _mapped(self, function: ast.expr, kinds: Sequence[Kind | None]) -> None:
        if isinstance(function, ast.Name) and function.id in self._defined:
            self._helper(self._defined[function.id], [*zip(kinds)])
        elif isinstance(function, ast.Lambda):
            outer = dict(self._held)
            self._held |= {a.arg: kind for a, kind in zip(function.args.args, kinds, strict=False) if kind}
            self.visit(function.body)
            self._held = outer

    def _kind(self, node: ast.expr) -> Kind | None:
        if isinstance(node, ast.Name):
            return self._held.get(node.id)
        if isinstance(node, ast.Subscript) and (kind := self._kind(node.value)):
            return kind if isinstance(node.slice, ast.Slice) else INNER.get(kind)
        if isinstance(node, ast.Call) and _dotted(node.func) in ("list", "reversed", "tuple") and node.args:
            return self._kind(node.args[0])
        return None

    def _bind(self, target: ast.expr, value: ast.expr | None) -> None:
        """What a name holds from here on; a name that holds something else is forgotten."""
        if isinstance(target, ast.Tuple | ast.List):
            values = value.elts if isinstance(value, ast.Tuple | ast.List) else [None] * len(target.elts)
            for one, other in zip(target.elts, values, strict=False):
                self._bind(one, other)
        elif isinstance(target, ast.Name):
            self._hold(target.id, self._kind(value) if value else None)

    def _bind_each(self, target: ast.expr, over: ast.expr) -> None:
        """What a name holds that goes over something: a loop's."""
        called = _dotted(over.func) if isinstance(over, ast.Call) else ""
        arguments = over.args if isinstance(over, ast.Call) else []
        if called == "enumerate" and arguments and isinstance(target, ast.Tuple) and len(target.elts) == 2:
            self._bind(target.elts[0], None)
            self._bind_each(target.elts[1], arguments[0])
        elif called in ("zip", "itertools.zip_longest", "zip_longest") and isinstance(target, ast.Tuple):
            for one, part in zip(target.elts, arguments, strict=False):
                self._bind_each(one, part)
        elif isinstance(target, ast.Name):
            self._hold(target.id, INNER.get(self._kind(over) or ""))
        else:
            self._bind(target, None)

    def _hold(self, name: str, kind: Kind | None) -> None:
        if kind:
            self._held[name] = kind
        else:
            self._held.pop(name, None)


def _dotted(node: ast.expr) -> str:
    """``json.loads`` as it is written; empty for what is no such name."""
    if isinstance(node, ast.Name):
        return node.id
    return (
        f"{node.value.id}.{node.attr}" if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) else ""
    )


def _is_compiled(node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and _dotted(node.func) in ("re.compile", "regex.compile")
