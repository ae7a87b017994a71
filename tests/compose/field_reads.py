"""Which fields of the config's groups the code reads: attribute access on what is certainly that group."""

from __future__ import annotations

import ast
import re
import typing
from collections.abc import Iterable
from typing import Any

Groups = dict[str, type]
"""Class name -> dataclass."""


class Reads(ast.NodeVisitor):
    """Notes every ``group.field`` of a module, as ``Group.field``.

    What an expression is follows from annotations of parameters (``rollout: Rollout``), from the fields themselves
    (``run.model.lora`` is a Lora, whatever ``run`` is), and through assignments, loops over ``.items()`` or
    ``.values()`` and ``dataclasses.replace``. ``dataclasses.asdict(group)`` reads all of it.

    Args:
        groups: the classes whose fields are looked for.
    """

    def __init__(self, groups: Groups) -> None:
        self.groups, self.found = groups, set[str]()
        self._fields = {name: typing.get_type_hints(group) for name, group in groups.items()}
        self._attributes = {"run": "RunSchema"} if "RunSchema" in groups else {}
        for fields in self._fields.values():
            self._attributes |= {field: self._single(kind) for field, kind in fields.items() if self._single(kind)}
        self._names: dict[str, str] = {}

    def _single(self, kind: Any) -> str:
        """The group that a type is, or may be (``Size | None``); empty for any other."""
        return next((one.__name__ for one in (kind, *typing.get_args(kind)) if self._is_group(one)), "")

    def _is_group(self, kind: Any) -> bool:
        return isinstance(kind, type) and kind.__name__ in self.groups

    def kind(self, node: ast.expr) -> str:
        """The group that an expression is; ``dict of GROUP`` for a dictionary of them, empty where it is not known."""
        match node:
            case ast.Name():
                return self._names.get(node.id, "")
            case ast.Attribute():
                owner = self.kind(node.value)
                if owner in self.groups:
                    hint = self._fields[owner].get(node.attr)
                    many = typing.get_origin(hint) is dict and self._single(hint)
                    return f"dict of {many}" if many else self._single(hint)
                return self._attributes.get(node.attr, "")
            case ast.Subscript():
                return self.kind(node.value).removeprefix("dict of ") if "dict" in self.kind(node.value) else ""
            case ast.BoolOp():
                return next(filter(None, map(self.kind, node.values)), "")
            case ast.IfExp():
                return self.kind(node.body) or self.kind(node.orelse)
            case ast.Call(func=ast.Attribute(attr="replace") | ast.Name(id="replace"), args=[first, *_]):
                return self.kind(first)
            case ast.Call(func=ast.Attribute(attr="get", value=whole)) if "dict" in self.kind(whole):
                return self.kind(whole).removeprefix("dict of ")
        return ""

    def annotated(self, text: str) -> str:
        """What a parameter's annotation says: a group or a mapping to groups; a Run has the groups of the tree."""
        many = re.fullmatch(r"(?:dict|Mapping)\[str, (\w+)\]", text)
        words = [many[1]] if many else re.findall(r"\w+", re.sub(r"\bRun\b", "RunSchema", text))
        group = next((word for word in words if word in self.groups and (many or text.count("[") == 0)), "")
        return f"dict of {group}" if many and group else group

    def bind(self, target: ast.expr, value: ast.expr) -> None:
        """Notes what an assignment makes of a name."""
        if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple) and len(target.elts) == len(value.elts):
            for one, other in zip(target.elts, value.elts, strict=True):
                self.bind(one, other)
        elif isinstance(target, ast.Name) and self.kind(value):
            self._names[target.id] = self.kind(value)

    def bind_loop(self, target: ast.expr, over: ast.expr) -> None:
        """Notes what a loop over a dictionary of groups makes of its variable."""
        match over:
            case ast.Call(func=ast.Attribute(attr="items" | "values", value=whole)) if "dict" in self.kind(whole):
                last = target.elts[-1] if isinstance(target, ast.Tuple) else target
                if isinstance(last, ast.Name):
                    self._names[last.id] = self.kind(whole).removeprefix("dict of ")

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        outer = dict(self._names)
        for argument in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs):
            self._names.pop(argument.arg, None)
            if argument.annotation and (kind := self.annotated(ast.unparse(argument.annotation))):
                self._names[argument.arg] = kind
        self.generic_visit(node)
        self._names = outer

    def visit_Assign(self, node: ast.Assign) -> None:
        for target in node.targets:
            self.bind(target, node.value)
        self.generic_visit(node)

    def visit_For(self, node: ast.For) -> None:
        self.bind_loop(node.target, node.iter)
        self.generic_visit(node)

    def visit_comprehension_of(self, node: Any) -> None:
        for part in node.generators:
            self.bind_loop(part.target, part.iter)
        self.generic_visit(node)

    visit_ListComp = visit_SetComp = visit_DictComp = visit_GeneratorExp = visit_comprehension_of

    def visit_Call(self, node: ast.Call) -> None:
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if name == "asdict" and (group := self.kind(node.args[0])):
            self.found |= {f"{group}.{field}" for field in self._fields[group]}
        self.generic_visit(node)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        if isinstance(node.ctx, ast.Load) and (group := self.kind(node.value)) in self.groups:
            self.found.add(f"{group}.{node.attr}")
        self.generic_visit(node)


def unread(sources: Iterable[str], groups: Groups) -> list[str]:
    """``Group.field`` of every field that none of the sources reads; one that a group inherits is that of its base."""
    found: set[str] = set()
    for source in sources:
        reads = Reads(groups)
        reads.visit(ast.parse(source))
        found |= reads.found
    bases = {
        name: [base.__name__ for base in group.__mro__ if base.__name__ not in (name, "object")]
        for name, group in groups.items()
    }
    found |= {f"{base}.{field}" for name, _, field in (one.partition(".") for one in found) for base in bases[name]}
    own = {name: group.__annotations__.keys() for name, group in groups.items()}
    named = [
        f"{name}.{field}"
        for name, fields in own.items()
        for field in fields
        if not any(field in own.get(base, ()) for base in bases[name])
    ]
    return [name for name in named if name not in found]
