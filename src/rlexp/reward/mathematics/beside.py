"""The unit beside a number of a sentence, or of an answer that is one number."""

from __future__ import annotations

import re

from rlexp.reward.mathematics.forms import UnreadError, names
from rlexp.reward.mathematics.units import UNITS, unit_name

MOST_SIGNS = 80
SPELLED = [
    (re.compile(r"°|\^? ?\{? ?\\circ"), " degree "),
    (re.compile(r"\\(?:text(?:bf|it|rm)?|mathrm|mbox) ?\{|\\[,;!:]|\\(?![A-Za-z])|[{}$*~]"), " "),
    (re.compile("²"), "^2"),
    (re.compile("³"), "^3"),
    (re.compile(r" +\^ *"), "^"),
    (re.compile(r" +"), " "),
]
UNIT = re.compile(
    r"[ -]?((?:(?:square|cubic|sq|cu)\.? )?(?:degrees? [CF]\b|%|[^\W\d_]+)(?:\^[23])?)"
    r"(?:(?: ?/ ?| per | an? )([^\W\d_]+))?"
)
"""km, square feet, m^2, miles per hour."""
IN_A_SENTENCE = re.compile(r" ?in +[a-z]", re.IGNORECASE)
COUNTED = names("child people man woman")
MONEY = {"$": "dollar", "€": "euro", "£": "pound"}


def unit_behind(text: str, *, only_known: bool = False) -> str:
    """The unit that stands first in what follows a number, in one spelling; "" of none.

    With ``only_known`` other words than the units of measure and money are none: what a sentence goes on with.
    """
    text = text[:MOST_SIGNS]
    for pattern, meant in SPELLED:
        text = pattern.sub(meant, text)
    read = UNIT.match(text)
    if not read or (only_known and IN_A_SENTENCE.match(text)):
        return ""
    words = read[1].casefold().replace(".", "").split()
    try:
        unit = unit_name([*words, "/", read[2].casefold()] if read[2] else words)
        bare = unit.split()[0].partition("^")[0] if unit else ""
    except UnreadError:
        return ""
    return "" if only_known and (bare not in UNITS.values() or bare in COUNTED) else unit
