"""Whether two forms mean the same."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

from rlexp.reward.mathematics.compute import evaluate
from rlexp.reward.mathematics.equations import interval, same_equation, same_union
from rlexp.reward.mathematics.forms import Form, Items, Joined, Quantity, Relation, UnreadError
from rlexp.reward.mathematics.values import holds, symbols, with_sign
from rlexp.reward.mathematics.worked import is_worked, same_quantity, same_value


def named_once(form: Form) -> Form:
    """n = 1, 2, 3 and a = 1 or a = 2 name the whole list."""
    if not isinstance(form, Items) or form.brackets:
        return form
    names = [_name_of(item) for item in form.items]
    if names[0] is None or len({name for name in names if name is not None}) > 1:
        return form
    values = tuple(item.sides[-1] if name is not None else item for item, name in zip(form.items, names, strict=True))
    first = form.items[0]
    return Relation(("=",), (first.sides[0], Items("", values)))


def _name_of(form: Form) -> str | None:
    """The name that an equation gives to what stands on its right: x, x_1, f(x), \\angle ABC; None of any other."""
    if not isinstance(form, Relation) or set(form.operators) != {"="}:
        return None
    if isinstance(form.sides[0], Items):  # (x, y)
        names = [i.tree[1] if isinstance(i, Quantity) and i.tree[0] == "sym" else "" for i in form.sides[0].items]
        return ",".join(names) if all(names) and len(form.sides) == 2 else None
    if not isinstance(form.sides[0], Quantity):
        return None
    tree, unit = form.sides[0]
    if unit:
        return None
    if tree[0] == "sym":
        return str(tree[1])
    if tree[0] == "*" and tree[1][0] == tree[2][0] == "sym":  # f(x), read as a product
        return f"{tree[1][1]}({tree[2][1]})"
    return None


def same(a: Form, b: Form) -> bool:
    """Whether a form, the given one, means the same as the wanted one."""
    a, b = _normal(a), _normal(b)
    if isinstance(a, Relation) or isinstance(b, Relation):
        return _same_relation(a, b)
    if isinstance(a, Joined) and isinstance(b, Joined) and "in" in (a.kind, b.kind):
        return a.kind == b.kind and all(map(same, a.items, b.items))
    if isinstance(a, Joined) and a.kind == "in":
        return same(a.items[1], b)
    if isinstance(b, Joined) and b.kind == "in":
        return same(a, b.items[1])
    if "union" in (getattr(a, "kind", ""), getattr(b, "kind", "")):
        return same_union(a, b)
    if isinstance(b, Joined) and b.kind == "ratio":
        return _same_ratio(a, b.items)
    if isinstance(a, Joined) and isinstance(b, Joined):
        return a.kind == b.kind and len(a.items) == len(b.items) and all(map(same, a.items, b.items))
    if isinstance(a, Items) and isinstance(b, Items):
        return _same_items(a, b)
    if isinstance(a, Items) and a.brackets == "{}" and len(a.items) == 1:
        return _same_item(a.items[0], b)
    if isinstance(b, Items) and b.brackets == "{}" and len(b.items) == 1:
        return _same_item(a, b.items[0])
    if isinstance(a, Quantity) and isinstance(b, Quantity):
        return same_quantity(a, b)
    return False


def _normal(form: Form) -> Form:
    """Plus-minus as its two values, equal sides of a chain as one, an inequality of one name as its interval."""
    if isinstance(form, Quantity) and holds(form.tree, ("sign",)):
        return Items("", tuple(Quantity(with_sign(form.tree, sign), form.unit) for sign in (1, -1)))
    if (
        isinstance(form, Items)
        and form.brackets == "[]"
        and all(getattr(i, "brackets", "") == "[]" for i in form.items)
    ):
        return Joined("matrix", tuple(Joined("row", row.items) for row in form.items))
    if isinstance(form, Items) and not form.brackets:
        parts = [_normal(item) for item in form.items]
        flat = [x for part in parts for x in (part.items if isinstance(part, Items) and not part.brackets else (part,))]
        return Items("", tuple(flat), form.word)
    if isinstance(form, Relation) and set(form.operators) == {"="}:
        return _chain(form)
    return form


def _chain(form: Relation) -> Form:
    """x = 4/2 = 2 as x = 2, 4/2 = 2 as 2; sides that differ are several answers."""
    first, *rest = form.sides
    named = _name_of(form) is not None
    values = rest if named else [first, *rest]
    if len(form.sides) == 2 and (named or symbols_of(form)):
        return form
    if any(not isinstance(value, Quantity) for value in values):
        raise UnreadError("a chain")
    if not all(same_value(x, y) for x, y in pairwise(values)):
        raise UnreadError("a chain of different values")
    return Relation(("=",), (first, values[-1])) if named else values[-1]


def _same_items(a: Items, b: Items) -> bool:
    if len(a.items) != len(b.items):
        return False
    named = [[_name_of(item) for item in form.items] for form in (a, b)]
    words = [_word(form, names) for form, names in zip((a, b), named, strict=True)]
    if "" not in words and words[0] != words[1]:
        return False
    if len({None in names for names in named}) > 1:  # x = 1, y = 2 beside 1, 2: in the order of the names
        known = [str(name) for names in named if None not in names for name in names]
        values = [[i.sides[-1] if isinstance(i, Relation) else i for i in form.items] for form in (a, b)]
        brackets = {a.brackets, b.brackets}
        points = "or" not in words and brackets <= {"", "()"}
        return points and known == sorted(set(known)) and all(map(same, *values))
    free = {"", "{}"}
    if a.brackets in free and b.brackets in free:
        left = list(b.items)
        for item in a.items:
            match = next((n for n, other in enumerate(left) if _same_item(item, other)), None)
            if match is None:
                return False
            del left[match]
        return True
    if not b.brackets and a.brackets == "[]":  # given as a list of Python
        return _same_items(Items("", a.items), b)
    # A bare list is a point without its brackets, never an interval with an end that belongs to it.
    brackets = {a.brackets, b.brackets}
    if len(brackets) > 1 and brackets not in ({"", "()"}, *([{"", "[]"}] if len(a.items) > 2 else [])):
        return False
    return all(map(_same_item, a.items, b.items))


def _same_ratio(a: Form, wanted: tuple[Form, ...]) -> bool:
    """The same proportions; of two numbers also their quotient, which is no whole number."""
    if isinstance(a, Quantity) and is_worked(a.tree) and evaluate(a.tree, 50).denominator > 1:
        a = Joined("ratio", (a, Quantity(("num", Fraction(1)))))
    if not isinstance(a, Joined) or a.kind != "ratio" or len(a.items) != len(wanted):
        return False
    if all(map(same, a.items, wanted)):
        return True
    trees = [part.tree for part in (*a.items, *wanted) if isinstance(part, Quantity) and not part.unit]
    if len(trees) < 2 * len(wanted) or not all(map(is_worked, trees)):
        return False
    values = [evaluate(tree, 50) for tree in trees]
    shares = [x / y if y else None for x, y in zip(values[: len(wanted)], values[len(wanted) :], strict=True)]
    return bool(shares[0]) and len(set(shares)) == 1


def _word(form: Items, names: list[str | None]) -> str:
    """The word between relations, which other names have "and" for; "" of values, where it says nothing."""
    if not any(isinstance(item, Relation) for item in form.items):
        return ""
    return form.word or ("and" if None not in names and len(set(names)) > 1 else "")


def _same_item(a: Form, b: Form) -> bool:
    """A set in a list is none of its elements."""
    sets = [isinstance(item, Items) and item.brackets == "{}" for item in (a, b)]
    return sets[0] == sets[1] and same(a, b)


def _same_relation(a: Form, b: Form) -> bool:
    if not (isinstance(a, Relation) and isinstance(b, Relation)):
        relation, other = (a, b) if isinstance(a, Relation) else (b, a)
        assert isinstance(relation, Relation)
        if isinstance(other, Items | Joined) and (found := interval(relation)):
            return same(found, other)
        name = _name_of(relation)
        if name is None or not ("(" in name or symbols_of(relation.sides[-1]) <= {name.partition("_")[2]}):
            return False
        return same(relation.sides[-1], other) if relation is a else same(other, relation.sides[-1])
    mine, wanted = interval(a), interval(b)
    if mine and wanted:
        return symbols_of(a) == symbols_of(b) and same(mine, wanted)
    if _name_of(a) is not None and _name_of(a) == _name_of(b) and same(a.sides[-1], b.sides[-1]):
        return True
    if len(a.sides) == len(b.sides) == 2 and all(isinstance(s, Quantity) and not s.unit for s in (*a.sides, *b.sides)):
        return same_equation(a, b)
    return a.operators == b.operators and all(map(same, a.sides, b.sides))


def symbols_of(form: Form) -> set[str]:
    if isinstance(form, Quantity):
        return symbols(form.tree)
    return {name for part in (form.sides if isinstance(form, Relation) else form.items) for name in symbols_of(part)}
