"""Reads forms: lists, relations, sets, matrices, formulas with units; the whole text or nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fractions import Fraction

from rlexp.reward.mathematics.forms import Form, Items, Joined, Quantity, Relation, Tree, UnreadError
from rlexp.reward.mathematics.formula import RELATIONS, Formula
from rlexp.reward.mathematics.spelling import ROW, spelled, variants
from rlexp.reward.mathematics.tokens import END, FUNCTIONS
from rlexp.reward.mathematics.units import NO_UNITS, TIMES, unit_name
from rlexp.reward.mathematics.values import require_rounds

PROSE = re.compile(r"[A-Za-z]+(?: [A-Za-z]+)+")
FORMULAS = re.compile(rf"\b(?:and|or|pi|{'|'.join(FUNCTIONS)})\b")
"""Words of formulas: "sin x", "x and y"."""
WORDS = re.compile(r"yes|no|odd|all|any", re.IGNORECASE)
"""Words of as few letters as a product has."""
CLOCK = re.compile(r"\d ?(?:\\text *\{)? ?[ap]\.?m\b", re.IGNORECASE)
OPENS = {"(", "[", "{", r"\{", r"\langle"}
CLOSING = {")", "]", "}", r"\}", r"\rangle"}
CLOSES = {",", ";", ")", "]", "}", r"\}", r"\rangle", r"\cup", r"\approx", *RELATIONS}


def readings(text: str) -> Iterator[Form]:
    """What a text may mean: "1,234" is a number, or else a list."""
    plain = spelled(text)
    if (PROSE.fullmatch(plain) and not FORMULAS.search(plain)) or CLOCK.search(plain) or WORDS.fullmatch(plain):
        return
    for variant in variants(plain):
        try:
            yield Reader(variant).whole()
        except (UnreadError, ArithmeticError, ValueError, RecursionError):
            continue


class Reader(Formula):
    """Reads one text."""

    def whole(self) -> Form:
        form = self._list()
        if self.next is not END:
            raise UnreadError(self.next.text)
        return form

    def _list(self) -> Form:
        items, said = [self._item()], set()
        while word := self._separator():
            items.append(self._item())
            said.add(word)
        return items[0] if len(items) == 1 else Items("", tuple(items), " ".join(sorted(said - {","})))

    def _separator(self) -> str:
        """The sign or the word between two forms of a list; "" where the list ends."""
        found = "," if self.accept(",", ";") else ""
        if self.next.kind == "words" and self.next.text.casefold() in ("and", "or"):
            return self.take().text.casefold()
        return found

    def _item(self) -> Form:
        """A relation, or one side of it; "x in S"; "about": what stands before the sign, where the rest rounds it."""
        sides, operators = [self._side()], []
        while (token := self.next).text in RELATIONS and token.kind != "words":
            self._at += 1
            operator = RELATIONS[token.text]
            if operator in "<>" and self.accept("="):
                operator += "="
            operators.append(operator)
            sides.append(self._side())
        if self.accept(r"\in"):
            if operators:
                raise UnreadError("a relation in a set")
            return Joined("in", (sides[0], self._side()))
        if self.accept(r"\approx"):
            require_rounds(sides[-1], self._side())
        return Relation(tuple(operators), tuple(sides)) if operators else sides[0]

    def _side(self) -> Form:
        """Sets joined by unions, a ratio, or a formula with its unit."""
        if self.next.kind == "words" or self.next.text in (r"\angle", r"\triangle"):
            return self._name()
        parts = [self._term()]
        if self.next.text == ":" and isinstance(parts[0], Quantity):
            while self.accept(":"):
                parts.append(self._term())
            return Joined("ratio", tuple(parts))
        while self.accept(r"\cup"):
            parts.append(self._term())
        return Joined("union", tuple(parts)) if len(parts) > 1 else parts[0]

    def _name(self) -> Form:
        """Words that stand before an equals sign."""
        words = []
        while self.next.kind in ("words", "letters") or self.next.text in (r"\angle", r"\triangle"):
            words.append(self.take().text)
        if self.next.text != "=" or any(word.casefold() in ("and", "or") for word in words):
            raise UnreadError("words")
        return Quantity(("sym", "".join(words)))

    def _term(self) -> Form:
        form = self.back_after(self._bracketed)
        if form is not None and (self.next.kind in ("end", "words") or self.next.text in CLOSES):
            return form
        if form is not None:
            raise UnreadError("a set in a formula")
        return self._quantity()

    def _bracketed(self) -> Form:
        """A point, an interval, a set, a matrix; a formula in brackets is none of these."""
        self.deeper()
        if self.accept(r"\begin"):
            return self._matrix()
        if self.next.text in ("(", "[") and [t.text for t in self._tokens[self._at + 1 : self._at + 2]] == [r"\begin"]:
            closing = {"(": ")", "[": "]"}[self.take().text]
            self.take()
            matrix = self._matrix()
            self.expect(closing)
            return matrix
        if not self._lists():
            raise UnreadError("no list in brackets")
        opening = self.take().text
        if opening in ("{", r"\{") and self.accept("}", r"\}"):
            return Items("{}", ())
        inner = self._list()
        closing = self.take().text.removeprefix("\\")
        opening = {r"\langle": "(", r"\{": "{"}.get(opening, opening)
        closing = {"rangle": ")"}.get(closing, closing)
        items = inner.items if isinstance(inner, Items) and not inner.brackets else (inner,)
        if closing not in (")", "]", "}") or (opening == "{") != (closing == "}"):
            raise UnreadError("brackets")
        if len(items) == 1 and opening != "{":
            raise UnreadError("a formula in brackets")
        if len(items) != 2 and opening + closing not in ("()", "[]", "{}"):
            raise UnreadError("an interval")
        if self._tokens[self._at - 1].text == "}" and len(items) == 1:
            raise UnreadError("a group")
        self._nested -= 1
        return Items(opening + closing, items)

    def _lists(self) -> bool:
        """Whether the bracket that opens here holds a comma, or makes a set."""
        if self.next.text not in ("(", "[", "{", r"\{", r"\langle"):
            return False
        depth = 0
        for token in self._tokens[self._at :]:
            depth += (token.text in OPENS) - (token.text in CLOSING)
            if depth == 1 and token.text in (",", ";"):
                return True
            if not depth:
                break
        return self.next.text == r"\{"

    def _matrix(self) -> Form:
        kind = self._letters_in_braces()
        if kind == "array" and self.accept("{"):
            while not self.accept("}"):
                if self.take() is END:
                    raise UnreadError("array")
        if kind not in ("pmatrix", "bmatrix", "matrix", "array", "smallmatrix"):
            raise UnreadError(kind)
        rows: list[tuple[Form, ...]] = []
        while not self.accept(r"\end"):
            cells = [self._quantity()]
            while self.accept("&"):
                cells.append(self._quantity())
            rows.append(tuple(cells))
            if not self.accept(ROW) and self.next.text != r"\end":
                raise UnreadError("a row")
        if self._letters_in_braces() != kind:
            raise UnreadError("a matrix")
        self._nested -= 1
        return Joined("matrix", tuple(Joined("row", row) for row in rows))

    def _letters_in_braces(self) -> str:
        self.expect("{")
        letters = ""
        while not self.accept("}"):
            if self.next.kind not in ("letters", "words"):
                raise UnreadError("a name")
            letters += self.take().text
        return letters

    def _quantity(self) -> Form:
        """A formula and its unit; digits in a base."""
        unit = ""
        sign = self.back_after(self._signed_money)
        if sign is not None:
            unit, negative = sign
            tree = self.product()
            tree = ("neg", tree) if negative else tree
        else:
            tree = self.sum()
        if self.next.text == "_" and tree[0] in ("num", "neg") and not unit:
            self._at += 1
            return Joined("base", (Quantity(tree), Quantity(self.argument())))
        while tree[0] == "neg" and tree[1][0] in ("deg", "pct"):
            tree = (tree[1][0], ("neg", tree[1][1]))
        if tree[0] in ("deg", "pct") and not unit:
            unit, tree = ("degree" if tree[0] == "deg" else "%"), tree[1]
        if self.next.kind == "words" and self.next.text.casefold() not in ("and", "or"):
            tree, said = self._unit(tree)
            if unit and said and unit != said and (unit, said) != ("degree", "degree"):
                unit = f"{unit} {said}"
            unit = unit or said
        return Quantity(tree, unit)

    def _signed_money(self) -> tuple[str, bool]:
        negative = self.accept("-")
        token = self.take()
        units = {"$": "dollar", "€": "euro", "£": "pound"}
        if token.text == "dollars" and token.kind == "words":
            return "dollar", negative
        if token.text not in units or token.kind != "mark":
            raise UnreadError("no money")
        return units[token.text], negative or self.accept("-")

    def _unit(self, tree: Tree) -> tuple[Tree, str]:
        """The words behind a formula: a unit in one spelling; "million" belongs to the number."""
        words: list[str] = []
        while self.next.kind in ("words", "letters") or (words and self.next.text in ("/", "^", ".")):
            token = self.take()
            if token.text == "^":
                power = self.argument()
                if power not in (("num", Fraction(2)), ("num", Fraction(3))):
                    raise UnreadError("a unit")
                words[-1] += f"^{power[1]}"
            elif token.text.casefold() in ("and", "or"):
                self._at -= 1
                break
            else:
                words += re.findall(r"[^\W\d_]+|/|%|\^[23]", token.text.casefold().replace(".", ""))
        while words and words[0] in TIMES:
            if tree[0] != "num":
                raise UnreadError(words[0])
            tree = ("num", tree[1] * 10 ** TIMES[words.pop(0)])
        if NO_UNITS.intersection(words) or len(words) > 6:
            raise UnreadError("no unit")
        return tree, unit_name(words)
