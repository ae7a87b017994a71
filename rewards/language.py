"""Keeps to the language of the prompt.

After the language consistency reward of DeepSeek-R1 (https://huggingface.co/papers/2501.12948), told sentence by
sentence with py3langid (https://github.com/adbar/py3langid): on 200 short sentences in 20 languages (80 of them are in
its test) it was never wrong where it was as sure as ``SURE`` asks, and it was on 178. Numbers, formulas, code and tags
do not count. A prompt that asks for another language than its own (a translation) needs the parameter ``language``.
"""

import re
from functools import cache
from typing import Any

version = 1
bounds = (0.0, 1.0)

LANGUAGES = "ar bg cs da de el en es fa fi fr he hi hu id it ja ko nl no pl pt ro ru sv th tr uk vi zh"
"""Few, and not of the near kin (Malay, Galician, Belarusian) that short texts are taken for."""
SURE = 0.9
"""Probability from which a sentence counts as told."""
FEWEST_BYTES = 12
"""Shorter sentences are not told; UTF-8 bytes, because a Chinese sign (3 bytes) says more than a letter."""
NO_PROSE = re.compile(
    r"```.*?(?:```|\Z)|`[^`\n]*`|\$\$.*?\$\$|\$[^$\n]*\$|\\\(.*?\\\)|\\\[.*?\\\]|\\[a-zA-Z]+|</?\w[^<>]{0,80}>|\w+://\S+",
    re.DOTALL,
)
SENTENCE_END = re.compile(r"[.!?…:;]+(?=\s|\Z)|[。！？।؟]|\n")
NO_WORD = re.compile(r"[\d=+*/^_{}\\|<>@#%&]")


def score(
    completions: list[str],
    prompts: list[str],
    *,
    language: str | None = None,
    languages: str = LANGUAGES,
    share: float = 0.8,
) -> list[float | None]:
    """1.0 a completion in the language of its prompt, 0.0 one in another; None where either cannot be told.

    Args:
        language: the language to keep instead of the prompt's, such as ``de``.
        languages: what is told apart (ISO 639-1), separated by blanks.
        share: of what could be told of the completion, by length, that must be in the language; the rest may be
            quotations.

    Raises:
        ValueError: a language that py3langid does not know, or ``language`` is not among ``languages``.
    """
    if language and language not in languages.split():
        raise ValueError(f"language={language} is not among the languages {languages}")
    identifier = _identifier(languages)
    scores: list[float | None] = []
    for completion, prompt in zip(completions, prompts, strict=True):
        asked, told = _told(prompt, identifier), _told(completion, identifier)
        wanted = language or max(asked, key=lambda name: asked[name], default=None)
        known = wanted and told
        scores.append(float(told.get(str(wanted), 0) >= share * sum(told.values())) if known else None)
    return scores


def _told(text: str, identifier: Any) -> dict[str, int]:
    """Language -> bytes of prose in it; empty where nothing can be told."""
    prose = [_words(sentence) for sentence in SENTENCE_END.split(NO_PROSE.sub(" ", text))]
    found: dict[str, int] = {}
    # Sentences that are too short alone may tell together.
    for part in prose if any(len(words.encode()) >= FEWEST_BYTES for words in prose) else [" ".join(prose)]:
        size = len(part.encode())
        name, probability = identifier.classify(part) if size >= FEWEST_BYTES else ("", 0.0)
        if probability >= SURE:
            found[name] = found.get(name, 0) + size
    return found


def _words(sentence: str) -> str:
    return " ".join(word for word in sentence.split() if not NO_WORD.search(word) and any(map(str.isalpha, word)))


@cache
def _identifier(languages: str) -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    identifier.set_languages(languages.split())
    return identifier


EN = "How many apples does Tom have left after he gives four of them away?"
DE = "Wie viele Äpfel hat Tom noch, nachdem er vier davon verschenkt hat?"
ZH = "汤姆送出四个苹果以后还剩下几个苹果？"

cases = [
    {"prompt": EN, "completion": "<think>He gives four of them away.</think><answer>3</answer>", "score": 1.0},
    {"prompt": DE, "completion": "<think>Er gibt vier davon weg.</think><answer>3</answer>", "score": 1.0},
    {"prompt": DE, "completion": "<think>He gives four of them away.</think><answer>3</answer>", "score": 0.0},
    {"prompt": ZH, "completion": "<think>他送出了四个苹果。</think>还剩三个。", "score": 1.0},
    {"prompt": ZH, "completion": "<think>He gives four of them away.</think>还剩三个。", "score": 0.0},
    {"prompt": EN, "completion": "He gives four of them away. 他送出了四个苹果。", "score": 0.0},  # mixed
    {"prompt": DE, "completion": "Er sagte es noch einmal: `he gives four of them away`.", "score": 1.0},  # quoted
    {"prompt": EN, "completion": "<think>7 - 4 = 3</think><answer>3</answer>", "score": None},  # nothing to tell
    {"prompt": EN, "completion": "```\nfor apple in apples: give(apple)\n```", "score": None},  # code only
    {"prompt": EN, "completion": "$x = \\text{le nombre de pommes qui restent}$", "score": None},  # a formula only
    {"prompt": EN, "completion": "Ja. Nein.", "score": None},  # too short
    {"prompt": EN, "completion": "", "score": None},
    {"prompt": "31 + 27 = ?", "completion": "Thirty-one and twenty-seven.", "score": None},  # the prompt has none
    {"prompt": EN, "completion": "Tom hat noch drei Äpfel.", "language": "de", "score": 1.0},  # asked to translate
    {"prompt": DE, "completion": "asdf qwer zxcv uiop hjkl", "score": None},  # cheat: no language at all
    {"prompt": DE, "completion": "Ja. " + "He gives four of them away. " * 9, "score": 0.0},  # cheat: a word of it
]
