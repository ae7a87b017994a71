"""Reads formulas by recursive descent: sums, products, powers, functions; whatever it does not know ends it."""

from __future__ import annotations

from fractions import Fraction

from rlexp.reward.mathematics.forms import Tree, UnreadError, over, times
from rlexp.reward.mathematics.stream import Stream
from rlexp.reward.mathematics.tokens import END, FUNCTIONS, GREEK, Token

CONSTANTS = {"pi": "pi", "e": "e", "i": "i", "infty": "inf", "inf": "inf", "infinity": "inf", "oo": "inf"}
RELATIONS = {"=": "=", "<": "<", ">": ">", "<=": "<=", ">=": ">=", r"\le": "<=", r"\ge": ">="}
OPERATORS = {r"\cdot", r"\times", r"\div", r"\ast", r"\pm", r"\mp", r"\cup", r"\in", r"\approx", r"\circ", r"\end"}
OPERATORS |= {r"\rangle", r"\rfloor", r"\rceil", r"\begin", r"\over"}
SIGNS_OF_A_TERM = {"+": (), "-": ("neg",), r"\pm": ("sign",), r"\mp": ("sign", "neg")}


class Formula(Stream):
    """Reads one formula."""

    def sum(self) -> Tree:
        self.deeper()
        tree: Tree | None = None
        while (signs := SIGNS_OF_A_TERM.get(self.next.text)) is not None or tree is None:
            self._at += signs is not None
            term = self.product()
            for kind in reversed(signs or ()):
                term = ("neg", term) if kind == "neg" else ("*", ("sign",), term)
            tree = term if tree is None else ("+", tree, term)
        self._nested -= 1
        return tree

    def product(self) -> Tree:
        tree = self._factor()
        while True:
            if self.accept("*", r"\cdot", r"\times", r"\ast"):
                tree = times(tree, self._signed_factor())
            elif self.accept("/", r"\div"):
                tree = over(tree, self._signed_factor())
            elif self._mixed(tree):
                tree = self._mixed_number(tree)
            elif self._starts_factor():
                tree = ("*", tree, self._factor())
            else:
                return tree

    def _signed_factor(self) -> Tree:
        return ("neg", self._factor()) if self.accept("-") else self._factor()

    def _starts_factor(self) -> bool:
        token = self.next
        if token.kind == "letters" or token.text in ("(", "{"):
            return True
        return token.kind == "command" and token.text not in OPERATORS and token.text not in RELATIONS

    def _mixed(self, tree: Tree) -> bool:
        r"""A whole number before 1/2 or \frac{1}{2}."""
        if tree[0] != "num" or self._tokens[self._at - 1].kind != "number" or tree[1].denominator != 1:
            return False
        if self.next.text == r"\frac":
            parts = self.back_after(self._fraction_parts)
            return bool(parts) and parts
        ahead = self._tokens[self._at : self._at + 3]
        return [t.kind for t in ahead] == ["number", "mark", "number"] and ahead[1].text == "/" and ahead[0].spaced

    def _fraction_parts(self) -> bool:
        place = self._at
        self.take()
        above, below = self.argument(), self.argument()
        self._at = place
        whole = above[0] == below[0] == "num" and above[1].denominator == below[1].denominator == 1
        return bool(whole and 0 < above[1] < below[1])

    def _mixed_number(self, tree: Tree) -> Tree:
        if self.accept(r"\frac"):
            above, below = self.argument()[1], self.argument()[1]
        else:
            above, _, below = Fraction(self.take().text), self.take(), Fraction(self.take().text)
            if not 0 < above < below:
                raise UnreadError("a mixed number")
        return ("num", tree[1] + above / below)

    def _factor(self) -> Tree:
        """A primary with what stands behind it: powers, factorials, per cent, degrees."""
        tree = self._primary()
        while True:
            if self.accept("!"):
                tree = ("factorial", tree)
            elif self.accept("%"):
                tree = ("pct", tree)
            elif self.next.text in ("^", "**"):
                self._at += 1
                braced = self.accept("{")
                if self.accept(r"\circ"):
                    tree = ("deg", tree)
                    if braced:
                        self.expect("}")
                    continue
                self._at -= braced
                if self.next.text == "'" or tree[0] in ("deg", "pct"):
                    raise UnreadError("a power")
                tree = ("^", tree, ("neg", self._exponent()) if self.accept("-") else self._exponent())
            else:
                return tree

    def _exponent(self) -> Tree:
        """Right to left: 2^3^2 is 2^(3^2)."""
        tree = self.argument() if self.next.text == "{" else self._primary()
        if self.next.text in ("^", "**"):
            self._at += 1
            tree = ("^", tree, self._exponent())
        return tree

    def argument(self) -> Tree:
        """What a LaTeX command takes: a group, a command, or one sign."""
        token = self.next
        if token.text == "{":
            return self._primary()
        if token.kind == "number" and len(token.text) > 1:
            if not token.text.isdigit():
                raise UnreadError(token.text)
            before = self._tokens[self._at - 1].text
            if before == "_":  # 4343_10 as it is meant
                self._at += 1
                return ("num", Fraction(token.text))
            self._tokens[self._at : self._at + 1] = [Token("number", digit, False) for digit in token.text]
        if self.next.kind == "command" and self.next.text in OPERATORS:
            raise UnreadError(self.next.text)
        return self._primary()

    def _primary(self) -> Tree:
        token = self.take()
        if token.kind == "number":
            mantissa, _, power = token.text.lower().partition("e")
            if len(power) > 4:
                raise UnreadError(token.text)
            return ("num", Fraction(mantissa) * Fraction(10) ** int(power or 0))
        if token.kind == "letters":
            return self._letter(token.text)
        if token.text in ("(", "{", "["):
            tree = self.sum()
            if token.text == "{" and self.accept(r"\over"):
                tree = over(tree, self.sum())
            self.expect({"(": ")", "{": "}", "[": "]"}[token.text])
            return tree
        if token.text == "|":
            tree = self.sum()
            self.expect("|")
            return ("abs", tree)
        if token.kind == "command":
            return self._command(token.text.removeprefix("\\"))
        raise UnreadError(token.text)

    def _letter(self, letter: str) -> Tree:
        if letter in ("e", "i"):
            return ("const", letter)
        return ("sym", letter + self._index())

    def _index(self) -> str:
        """What stands below a letter, as text."""
        if not self.accept("_"):
            return ""
        if not self.accept("{"):
            return "_" + self.take().text
        parts = ""
        while not self.accept("}"):
            token = self.take()
            if token is END or token.text == "{":
                raise UnreadError("an index")
            parts += token.text
        return "_" + parts

    def _command(self, name: str) -> Tree:
        if name in CONSTANTS:
            return ("const", CONSTANTS[name])
        if name in GREEK:
            return ("sym", "\\" + name + self._index())
        if name == "frac":
            return over(self.argument(), self.argument())
        if name == "binom":
            return ("binom", self.argument(), self.argument())
        if name == "sqrt":
            degree: Tree = ("num", Fraction(2))
            if self.accept("["):
                degree = self.sum()
                self.expect("]")
            inner = self._primary() if self.next.text == "(" else self.argument()
            return ("^", inner, ("/", ("num", Fraction(1)), degree))
        if name == "root":
            return ("^", self._primary(), ("num", Fraction(1, 2)))
        if name in ("lfloor", "lceil"):
            tree = self.sum()
            self.expect(f"\\r{name[1:]}")
            return ("floor" if name == "lfloor" else "ceil", tree)
        if name in ("mathbf", "vec", "overrightarrow"):
            self.expect("{")
            token = self.take()
            self.expect("}")
            if token.kind != "letters":
                raise UnreadError(name)
            return ("sym", f"\\vec {token.text}")
        if name in FUNCTIONS:
            return self._function(name)
        raise UnreadError(name)

    def _function(self, name: str) -> Tree:
        power: Tree | None = None
        base: Tree | None = None
        while self.next.text in ("^", "_"):
            if self.take().text == "^":
                power = self.argument()
            else:
                base = self.argument()
        if power == ("neg", ("num", Fraction(1))) and name in ("sin", "cos", "tan"):
            name, power = f"arc{name}", None
        if (power and power[0] == "neg") or (base and name != "log"):
            raise UnreadError(name)
        tree = self._function_argument()
        if name == "log":
            tree = ("/", ("ln", tree), ("ln", base or ("num", Fraction(10))))
        elif name in ("cbrt", "exp"):
            tree = ("^", tree, ("num", Fraction(1, 3))) if name == "cbrt" else ("^", ("const", "e"), tree)
        else:
            tree = (name, tree)
        return ("^", tree, power) if power else tree

    def _function_argument(self) -> Tree:
        """The group behind a function; without one the factors up to the next function or sign: sin 2x cos x."""
        if self.next.text in ("(", "{", "["):
            return self._factor() if self.next.text == "{" else self._primary()
        self.deeper()
        tree = self._factor()
        while (
            self._starts_factor()
            and self.next.text not in ("(", "[")
            and self.next.text[1:] not in FUNCTIONS - {"sqrt"}
        ):
            tree = ("*", tree, self._factor())
        if self.next.text == "/" and self.next.kind == "mark":
            raise UnreadError("where the argument ends is not said")
        self._nested -= 1
        return tree
