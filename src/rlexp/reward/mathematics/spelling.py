"""One spelling of signs, fractions and spaces, in LaTeX or plain."""

from __future__ import annotations

import calendar
import re
import unicodedata
from collections.abc import Iterator

MOST_SIGNS = 1000
MARK = "\ue000"
"""Stands between the thousands of a number where they were certainly marked as such."""
ROW = "\ue001"
"""Stands for the double backslash that ends a row of a matrix."""
SIGNS = {
    **dict.fromkeys("−–—‐‑‒﹣－", "-"),
    **dict.fromkeys("×·⋅∗", "*"),
    **dict(zip("÷⁄（）％：′", ["/", "/", "(", ")", "%", ":", "'"], strict=True)),
    **{"≤": r"\le ", "≥": r"\ge ", "≈": r"\approx ", "±": r"\pm ", "∓": r"\mp ", "∞": r"\infty ", "π": r"\pi "},
    **{"√": r"\root ", "∪": r"\cup ", "∈": r"\in ", "°": r"^\circ ", "º": r"^\circ ", "θ": r"\theta "},
    **{"∠": r"\angle ", "∅": r"\{\}", "，": ", ", "\u202f": MARK, "\u2009": MARK, "\xa0": " ", "{,}": MARK},
    **{r"\%": "%", r"\degree": r"^\circ ", r"\lt": "<", r"\gt": ">", r"\lbrace": r"\{", r"\rbrace": r"\}"},
    **dict.fromkeys([r"\tfrac", r"\dfrac", r"\cfrac"], r"\frac"),
    **dict.fromkeys([r"\tbinom", r"\dbinom"], r"\binom"),
    **dict.fromkeys([r"\left", r"\right", r"\displaystyle"], ""),
    **dict.fromkeys([r"\big", r"\Big", r"\bigl", r"\bigr", r"\Bigl", r"\Bigr"], ""),
    **dict.fromkeys([r"\leqslant", r"\leq"], r"\le "),
    **dict.fromkeys([r"\geqslant", r"\geq"], r"\ge "),
    **dict.fromkeys([r"\mbox", r"\textbf", r"\textit", r"\textrm", r"\textnormal"], r"\text"),
    **dict.fromkeys([r"\mathrm", r"\operatorname"], r"\text"),
    **dict.fromkeys([r"\emptyset", r"\varnothing"], r"\{\}"),
    **dict.fromkeys([r"\lvert", r"\rvert", r"\vert"], "|"),
}
"""Signs and commands -> how they are spelled where they are read."""


def _pattern(sign: str) -> str:
    """The sign; of a command, where it ends."""
    return re.escape(sign) + ("(?![A-Za-z])" if sign.startswith("\\") and sign[-1].isalpha() else "")


SPELLED = re.compile("|".join(map(_pattern, sorted(SIGNS, key=len, reverse=True))))
VULGAR = {sign: unicodedata.normalize("NFKD", sign).split("⁄") for sign in "½⅓⅔¼¾⅕⅖⅗⅘⅙⅚⅛⅜⅝⅞"}
RAISED = dict(zip("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-", strict=True))
MONTHS = "|".join(calendar.month_name[1:])
MONTH_FIRST = re.compile(rf"\b({MONTHS}) (\d{{1,2}}),? (?=\d{{4}}\b)")
LOWERED = dict(zip("₀₁₂₃₄₅₆₇₈₉", "0123456789", strict=True))
SPACES = re.compile(r"\\[,;:!> ]|\\q?quad(?![A-Za-z])|~|\\(?=\s)")
ABOUT = re.compile(r"(^|[=:]) *~ *(?=[-+.\d\\$])")
"""~3 and x = ~3: about; elsewhere the sign is a blank of LaTeX."""
TOGETHER = r"hours?|hrs?|minutes?|mins?|days?|weeks?|months?|years?|feet|foot|ft|yards?|pounds?|lbs?|dollars?"
MEANT = [
    (re.compile(r"\\math(?:bf|it|sf) *\{ *(-?[\d.,]+) *\}"), r"{\1}"),
    (re.compile(r"\\mathbb *(?:R\b|\{ *R *\})|ℝ"), r"(-\\infty,\\infty)"),
    (re.compile(r"^(?:\\text *\{)? *all real(?:s| numbers?) *\}?$", re.I), r"(-\\infty,\\infty)"),
    (re.compile(r"\\frac *\{ *\\text *\{([^{}]*)\} *\} *\{ *\\text *\{([^{}]*)\} *\}"), r"\\text{\1 per \2}"),
    (re.compile(rf"(\d *(?:\\text *\{{ *)?(?:{TOGETHER})\b *\}}?) *(?=\d+ *(?:\\text *\{{ *)?[a-z])"), r"\1 and "),
    (re.compile(r"(?<=\d) ?[xX] ?(?=10 ?\^)"), "*"),
    (re.compile(r"\^ *\{? *\\circ *\}? *(?:\\text *\{ *)?([CF])\b *\}?"), r"\\text{degrees \1}"),
    (re.compile(r"(?<=\d) ?\\?\$ *$"), r" \\text{dollars}"),
    (re.compile(r"(?<=\d) ?€ *$"), r" \\text{euros}"),
]
"""Written otherwise: bold numbers, the real numbers, miles over hours, 2 hours 30 minutes, 1.5 x 10^3, 20 °C, 5 $."""
GROUPED = re.compile(r"(?<![\d.,])\d{1,3}(?:,\d{3})+(?![\d,]|\.\d*,)")


def spelled(text: str) -> str:
    """One spelling of signs, fractions and spaces, for reading and for comparing as text."""
    if not text.isascii():
        for sign in sorted(VULGAR.keys() & set(text)):
            above, below = VULGAR[sign]
            text = re.sub(rf"(?<=\d) ?{sign}", rf"\\frac{{{above}}}{{{below}}}", text)
            text = text.replace(sign, rf"{{\frac{{{above}}}{{{below}}}}}")
        text = re.sub(f"[{''.join(RAISED)}]+", lambda m: "^{" + "".join(RAISED[c] for c in m[0]) + "}", text)
        text = re.sub(f"[{''.join(LOWERED)}]+", lambda m: "_{" + "".join(LOWERED[c] for c in m[0]) + "}", text)
    text = re.sub(r"(?<=\d)(?:\\,|\\!|\\:|\\;| ?, ?\\!) ?(?=\d{3}(?!\d))", MARK, text)
    text = text.replace("\\\\", ROW)
    text = ABOUT.sub(r"\1\\sim ", text)
    text = SPACES.sub(" ", SPELLED.sub(lambda m: SIGNS[m[0]], text))
    for pattern, meant in MEANT:
        text = pattern.sub(meant, text)
    return text


def variants(text: str) -> Iterator[str]:
    """What a text may stand for: with 1,234 as a number, and else as a list; nothing where it is too long."""
    if len(text) > MOST_SIGNS:
        return
    if re.fullmatch(r"-?\d{1,3}(?: \d{3})+", text):
        text = text.replace(" ", MARK)
    grouped = GROUPED.sub(lambda m: m[0].replace(",", MARK), text)
    yield grouped
    if grouped != text and not re.search(r",0\d", text):
        yield text


def as_text(text: str) -> str:
    """What is left where no formula can be read: the same signs in one spelling, the day before the month and year."""
    text = re.sub(r"\\text *\{([^{}]*)\}", r"\1", spelled(text)).replace("$", "").replace(MARK, "")
    text = MONTH_FIRST.sub(r"\2 \1 ", text)
    text = re.sub(r"\.(?!\d|\.)", "", text) if ".." not in text else text
    text = re.sub(r"\s*([^\w\s])\s*", r"\1", " ".join(text.split()))
    return re.sub(r"(?<=\d) (?=[ap]m\b)", "", text, flags=re.I)
