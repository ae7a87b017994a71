"""Texts as tokens: numbers, letters, words, commands, marks."""

from __future__ import annotations

import re
from typing import NamedTuple

from rlexp.reward.mathematics.forms import UnreadError, names
from rlexp.reward.mathematics.spelling import MARK, ROW

REPEATING = re.compile(r"(\d*)\.(\d*)\\(?:overline|bar) *\{(\d+)\}|(\d*)\.(\d*)\\(?:overline|bar) *(\d)")
MONEY = re.compile(r"(?<![^\s(+-])\$(?=-? ?\.?\d)")
TOKEN = re.compile(
    rf"(?P<blank>\s+)|(?P<number>\d{{1,3}}(?:{MARK}\d{{3}})+(?!\d)(?:\.\d+)?|\d+(?:\.\d*)?(?:[eE][+-]?\d+(?![\w.]))?"
    rf"|\.\d+)|\\text *\{{(?P<text>[^{{}}]*)\}}|(?P<command>\\[A-Za-z]+)|(?P<letters>[A-Za-z]+)"
    rf"|(?P<mark>{ROW}|\\[{{}}$&|]|\*\*|<=|>=|[-+*/^_=<>(){{}}\[\]|!,;:%$'&€£])"
)
FUNCTIONS = names("sin cos tan cot sec csc arcsin arccos arctan sinh cosh tanh log ln exp sqrt cbrt abs floor ceil")
GREEK = names(
    "alpha beta gamma delta epsilon varepsilon zeta eta theta vartheta kappa lambda mu nu xi rho sigma tau phi "
    "varphi chi psi omega Gamma Delta Theta Lambda Xi Sigma Phi Psi Omega ell hbar"
)
SHORT_UNITS = names("cm mm km kg mg ml ft mi in yd hr min sec lb oz mph kmh rad deg gm cc gb mb kb kw hz")


class Token(NamedTuple):
    """A token with its kind, and whether a blank stands before it."""

    kind: str
    text: str
    spaced: bool


END = Token("end", "", True)


def tokens(text: str) -> list[Token]:
    text = REPEATING.sub(_repeating, text)
    text = _without_dollars(text)
    found: list[Token] = []
    place, spaced = 0, False
    while place < len(text):
        token = TOKEN.match(text, place)
        if not token:
            raise UnreadError(text[place:])
        place = token.end()
        kind = str(token.lastgroup)
        if kind == "text":
            found += _of_words(token["text"], not found)
        elif kind == "letters":
            found += _of_letters(token[0], spaced, found, text[place:])
        elif kind != "blank":
            found.append(Token(kind, token[0].replace(MARK, ""), spaced))
        spaced = kind == "blank"
    return found


def _repeating(read: re.Match[str]) -> str:
    """0.1\\overline{6} as a fraction in braces."""
    whole, first, again = (read[1], read[2], read[3]) if read[3] else (read[4], read[5], read[6])
    below = (10 ** len(again) - 1) * 10 ** len(first)
    above = int(whole + first + again) - int(whole + first or "0")
    return rf"{{\frac{{{above}}}{{{below}}}}}"


def _without_dollars(text: str) -> str:
    """Formulas out of their dollar signs; two of them with nothing between are no formula. Money keeps its sign."""
    text = text.replace("\\$", "$") if text.count("$") == text.count("\\$") else text.replace("\\$", "\\text{dollars}")
    if text.count("$") == len(MONEY.findall(text)):
        return text
    parts = text.split("$")
    if len(parts) % 2 == 0 or any(not part.strip() for part in parts[2:-1:2]):
        raise UnreadError(text)
    return " ".join(parts)


def _of_words(text: str, first: bool) -> list[Token]:
    """The tokens of \\text{...}: a number, letters of choice and lists of them are read as if it were not there."""
    words = text.strip()
    if re.fullmatch(r"[ei]", words):
        return [Token("letters", words, False)]
    if re.search(r"\d", words) or (re.fullmatch(r"[A-Z\W]*", words) and first) or not words:
        return tokens(words)
    return [Token("words", " ".join(words.split()), True)]


def _of_letters(letters: str, spaced: bool, before: list[Token], behind: str) -> list[Token]:
    """A run of letters: a known name, a word, or a product of variables."""
    if letters in FUNCTIONS or letters.lower() in ("pi", "infinity", "inf", "oo"):
        return [Token("command", "\\" + letters.lower(), spaced)]
    follows = bool(before) and (before[-1].kind in ("number", "words") or before[-1].text in (")", "}", r"\pi"))
    alone = not re.match(r" *[-+*^_(\\=]|\d", behind) or re.match(r"\^ *\{?[23]\}?(?![\w^])", behind)
    if letters in ("and", "or") or len(letters) > 3 or (follows and letters.lower() in SHORT_UNITS and alone):
        return [Token("words", letters, True)]
    if follows and spaced and alone and (len(letters) > 1 or letters in "mgshL"):
        return [Token("words", letters, True)]
    if before and before[-1].kind == "words" and before[-1].text not in ("and", "or"):
        return [Token("words", letters, True)]
    if letters.isupper():  # a name, whose letters have an order
        return [Token("letters", letters, spaced)]
    return [Token("letters", letter, spaced and not n) for n, letter in enumerate(letters)]
