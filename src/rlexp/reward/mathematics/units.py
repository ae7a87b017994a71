"""The words behind a number: units in one spelling, and words that make another number of it."""

from __future__ import annotations

from rlexp.reward.mathematics.forms import UnreadError, names

TIMES = {"hundred": 2, "thousand": 3, "million": 6, "billion": 9, "trillion": 12}
NO_UNITS = names(
    "k dozen half halves third quarter squared cubed factorial less below minus plus times over under not "
    "negative is are was no none or and to if for where with than except but approximately about tenths "
    "hundredths thousandths mod modulo choose root power ago before after more all any infinity pi"
)
"""Words behind a number that are no unit: with them it is another number, or none."""
CHANGES = names(
    "north south east west northeast northwest southeast southwest up down right upward downward upwards downwards "
    "increase decrease increased decreased higher lower faster slower older younger greater smaller larger longer "
    "shorter bigger taller heavier lighter cheaper rise drop fall loss profit gain debt discount away late early short"
)
"""Words that say more of a number than what is counted."""
SPELLINGS = """
degree deg °
cm centimeter centimetre
mm millimeter millimetre
km kilometer kilometre
m meter metre
kg kilogram kilo
g gram gm
mg milligram
l liter litre
ml milliliter millilitre
foot feet ft
inch inches in
mile mi
yard yd
pound lb
ounce oz
hour hr h
minute min
second sec s
dollar usd buck
euro eur
% percent pct percentage
radian rad
year yr
child children
person people
man men
woman women
"""
"""The spellings of a unit, one unit a line; a plural with an s is another."""
UNITS = {name: line.split()[0] for line in SPELLINGS.strip().splitlines() for name in line.split()}


def unit_name(words: list[str]) -> str:
    """One spelling: "square feet" and "ft^2", "miles per hour" and "mph"."""
    text = " ".join(words).replace("mph", "mile / hour").replace("kmh", "km / hour").replace(" ^", "^")
    found: list[str] = []
    raised = ""
    for word in text.split():
        if word in ("sq", "square", "cubic", "cu"):
            raised = "^3" if word.startswith("cu") else "^2"
            continue
        name, _, power = word.partition("^")
        name = "/" if name == "per" else _singular(name)
        found.append(name + (f"^{power}" if power else raised))
        raised = ""
    if raised:
        raise UnreadError(text)
    return " ".join(found)


def _singular(name: str) -> str:
    one = name.removesuffix("s") if len(name) > 2 and not name.endswith("ss") else name
    return UNITS.get(name) or UNITS.get(one) or one


def changes_the_number(unit: str) -> bool:
    """Whether the number without these words is another answer: a share of something, a direction, a rate."""
    words = unit.split()
    shares = len(words) > 1 and "%" in words
    return shares or bool(CHANGES.intersection(words)) or words[:1] in (["/"], ["of"], ["%of"])
