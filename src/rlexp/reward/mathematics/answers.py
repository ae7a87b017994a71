"""Two answers, in LaTeX or plain: out of what surrounds them, and whether they agree."""

from __future__ import annotations

import re
from fractions import Fraction

from rlexp.reward.mathematics.forms import Form, UnreadError
from rlexp.reward.mathematics.reader import readings
from rlexp.reward.mathematics.sameness import named_once, same
from rlexp.reward.mathematics.sequences import sequence
from rlexp.reward.mathematics.spelling import MOST_SIGNS, as_text

BOX = re.compile(r"\\(?:beginboxed|boxed|fbox) *")
SAID = re.compile(r"(?:so |thus |hence |therefore )?,? ?(?:the )?(?:final |correct )?answer(?: is| ?[:=])+ ?:? ?", re.I)
CONNECTS = re.compile(r"(?:[\s$.,;]|and|or|\\text\{|\}|\\quad|\*\*)*", re.I)
GOES_ON = re.compile(r"[\s$)}]*(?:[,;]? *(?:or|and)\b|[,;] *[$\\\d({\[+-])", re.I)
WORD = re.compile(r"(?<![\\A-Za-z])(?!and\b|or\b)[A-Za-z]{2,}")
LEADS_ON = re.compile(r"(?:[,;]|\b(?:or|and))[\s$({]*$", re.I)
"""What stands behind a box, or before it, that is one of several."""
WRAPPED = re.compile(r"\\\((.*)\\\)|\\\[(.*)\\\]|\*\*(.*)\*\*|\$\$([^$]*)\$\$|\$([^$]*)\$", re.DOTALL)
MOST_WRAPPINGS = 6
FEWEST_WORDS = 8
"""Of a solution in words, whose only box is its answer; fewer words about a box are part of the answer."""
NUMBER = re.compile(r"([+-]?)(\d{1,3}(?:,\d{3})+|\d+)?(\.\d*)?(?: ?/ ?(\d+))?")
CHOICE = re.compile(r"(?:(?:option|choice) +)?(?:\(?([A-Za-z])[).:]?|\(?([A-Z])[).:]+ *(\S.*))", re.I)


def agree(given: str, gold: str) -> bool:
    """Whether two answers mean the same."""
    if given == gold:
        return True
    a, b = number(given), number(gold)
    if a is not None and b is not None:
        return a == b
    numbers = sequence(given), sequence(gold)
    if numbers[1] or (numbers[0] and numbers[0][0] != ":"):
        return numbers[0] == numbers[1]
    if (chosen := CHOICE.fullmatch(_out_of_text(gold))) and chosen[1]:
        return _chooses(given, chosen[1])
    wanted = list(readings(gold))
    found = list(readings(given)) if wanted else []
    if not wanted:
        return as_text(given).casefold() == as_text(gold).casefold()
    if not found:
        return as_text(given) == as_text(gold)
    return any(_means(mine, theirs) for mine in found for theirs in wanted)


def _means(given: Form, gold: Form) -> bool:
    try:
        return same(named_once(given), named_once(gold))
    except (UnreadError, ArithmeticError, ValueError, RecursionError):
        return False


def number(text: str) -> Fraction | None:
    """The exact value of a bare number: 72, -3.50, 1,234, 3/4."""
    read = NUMBER.fullmatch(text)
    if not read or len(text) > MOST_SIGNS or not (read[2] or len(read[3] or "") > 1):
        return None
    below = int(read[4] or 1)
    if not below:
        return None
    value = Fraction((read[2] or "0").replace(",", "") + (read[3] or "")) / below
    return -value if read[1] == "-" else value


def _chooses(given: str, letter: str) -> bool:
    """Whether the letter is given: "(B)", "B. 14", and no other letter beside it."""
    chosen = CHOICE.fullmatch(_out_of_text(given))
    if not chosen:
        return False
    if chosen[1]:
        return chosen[1] == letter or chosen[1] == letter.lower()
    others = re.search(r"\([A-Za-z]\)|(?<![\w\\])[A-Z](?![\w'])|\b(?:or|and)\b|[,;&=](?!\d)|^\W* *,", chosen[3])
    return chosen[2].upper() == letter.upper() and not others


def _out_of_text(text: str) -> str:
    """Without \\text{...} and \\textbf{...} around words."""
    return re.sub(r"\\(?:text(?:bf|it|rm)?|mathrm|mbox|mathbf) *\{([^{}]*)\}", r"\1", text).strip()


def final_answer(text: str) -> str:
    """The answer of a worked solution (its last box, or what stands behind ####); any other text without wrapping."""
    boxes = _boxes(text)
    if boxes:
        return plain(boxes[-1][0])
    return plain(text.rpartition("####")[2])


def only_answer(text: str) -> str:
    """The same of a completion's answer, which may have only one such place, or lists its boxes."""
    boxes = _boxes(text)
    if not boxes:
        return plain(text.partition("####")[2] if text.count("####") == 1 else text)
    contents = list(dict.fromkeys(plain(content) for content, _, _ in boxes))
    ends = [0, *(end for _, _, end in boxes)]
    starts = [*(start for _, start, _ in boxes), len(text)]
    outside = [text[end:start] for end, start in zip(ends, starts, strict=True)]
    if all(CONNECTS.fullmatch(part) for part in outside):
        return ", ".join(contents)
    if len(boxes) == 1 and not WORD.search(outside[0].replace("\\text", "")):
        return plain((outside[0] + contents[0] + outside[1]).replace("$", ""))  # x = \boxed{12} cm
    hedged = any(map(GOES_ON.match, outside[1:])) or any(map(LEADS_ON.search, outside[:-1]))
    listed = hedged and len(WORD.findall(" ".join(outside))) < FEWEST_WORDS
    return contents[0] if len(contents) == 1 and not listed else plain(text)


def _boxes(text: str) -> list[tuple[str, int, int]]:
    """(content, start, end) of every box that is closed."""
    found: list[tuple[str, int, int]] = []
    for box in BOX.finditer(text):
        if found and box.start() < found[-1][2]:  # a box in a box
            continue
        if text[box.end() : box.end() + 1] != "{":
            if bare := re.match(r"[^\s$.,]+", text[box.end() :]):
                found.append((bare[0], box.start(), box.end() + bare.end()))
            continue
        depth = 0
        for place in range(box.end(), len(text)):
            depth += {"{": 1, "}": -1}.get(text[place], 0)
            if not depth:
                found.append((text[box.end() + 1 : place], box.start(), place + 1))
                break
        else:  # never closed, and so is what opens in it
            break
    return found


def plain(text: str) -> str:
    """Without what surrounds an answer: blanks, a full stop, "The answer is", dollar signs, boxes."""
    text = " ".join(text.split())
    for _ in range(MOST_WRAPPINGS):
        text = text.strip().removesuffix(".").removesuffix("\\").strip() if not text.endswith("...") else text.strip()
        if said := SAID.match(text):
            text = text[said.end() :]
        if (wrapped := WRAPPED.fullmatch(text)) and "**" not in (inner := next(filter(None, wrapped.groups()), "")):
            text = inner
        boxes = _boxes(text)
        if len(boxes) == 1 and boxes[0][1:] == (0, len(text)):
            text = boxes[0][0]
    return text


def is_read(text: str) -> bool:
    """Whether an answer is a number, a letter of choice or a formula, and not only text."""
    return (
        number(text) is not None
        or CHOICE.fullmatch(_out_of_text(text)) is not None
        or any(True for _ in readings(text))
    )
