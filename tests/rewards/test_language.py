"""Telling languages apart: short sentences in twenty of them, and what is no language."""

from pathlib import Path

import pytest

from rlexp.inputs.script import load_script

ROOT = Path(__file__).parents[2]
reward = load_script(ROOT / "rewards/language.py")
SENTENCES = {
    "en": [
        "The total is therefore twelve apples.",
        "What is the capital of France?",
        "How many legs does a spider have?",
        "I am not sure about that.",
    ],
    "de": [
        "Die Summe ist also zwölf Äpfel.",
        "Was ist die Hauptstadt von Frankreich?",
        "Wie viele Beine hat eine Spinne?",
        "Ich bin mir nicht sicher.",
    ],
    "fr": [
        "Le total est donc de douze pommes.",
        "Quelle est la capitale de la France ?",
        "Combien de pattes a une araignée ?",
        "Je ne suis pas certain.",
    ],
    "es": [
        "El total es entonces doce manzanas.",
        "¿Cuál es la capital de Francia?",
        "¿Cuántas patas tiene una araña?",
        "No estoy seguro de eso.",
    ],
    "it": [
        "Il totale è quindi dodici mele.",
        "Qual è la capitale della Francia?",
        "Quante zampe ha un ragno?",
        "Non ne sono sicuro.",
    ],
    "pt": [
        "O total é, portanto, doze maçãs.",
        "Qual é a capital da França?",
        "Quantas patas tem uma aranha?",
        "Não tenho certeza disso.",
    ],
    "nl": [
        "Het totaal is dus twaalf appels.",
        "Wat is de hoofdstad van Frankrijk?",
        "Hoeveel poten heeft een spin?",
        "Daar ben ik niet zeker van.",
    ],
    "pl": [
        "Suma wynosi więc dwanaście jabłek.",
        "Jaka jest stolica Francji?",
        "Ile nóg ma pająk?",
        "Nie jestem tego pewien.",
    ],
    "tr": [
        "Toplam o halde on iki elma.",
        "Fransa'nın başkenti neresidir?",
        "Bir örümceğin kaç bacağı var?",
        "Bundan emin değilim.",
    ],
    "vi": [
        "Vậy tổng là mười hai quả táo.",
        "Thủ đô của Pháp là gì?",
        "Con nhện có mấy chân?",
        "Tôi không chắc về điều đó.",
    ],
    "id": [
        "Jadi jumlahnya dua belas apel.",
        "Apa ibu kota Prancis?",
        "Berapa kaki laba-laba?",
        "Saya tidak yakin tentang itu.",
    ],
    "ru": [
        "Значит, всего двенадцать яблок.",
        "Какая столица Франции?",
        "Сколько ног у паука?",
        "Я в этом не уверен.",
    ],
    "uk": [
        "Отже, всього дванадцять яблук.",
        "Яка столиця Франції?",
        "Скільки ніг у павука?",
        "Я в цьому не впевнений.",
    ],
    "ar": [
        "إذن المجموع اثنتا عشرة تفاحة.",
        "ما هي عاصمة فرنسا؟",
        "كم رجلا للعنكبوت؟",
        "لست متأكدا من ذلك.",
    ],
    "zh": [
        "所以一共是十二个苹果。",
        "法国的首都是哪里？",
        "蜘蛛有几条腿？",
        "我对此不太确定。",
    ],
    "ja": [
        "合計は十二個のリンゴです。",
        "フランスの首都はどこですか。",
        "クモの足は何本ですか。",
        "それについては確信がありません。",
    ],
    "ko": [
        "그래서 모두 사과 열두 개입니다.",
        "프랑스의 수도는 어디입니까?",
        "거미의 다리는 몇 개인가요?",
        "그것에 대해 확신이 없습니다.",
    ],
    "hi": [
        "तो कुल बारह सेब हैं।",
        "फ्रांस की राजधानी क्या है?",
        "मकड़ी के कितने पैर होते हैं?",
        "मुझे इस पर यकीन नहीं है।",
    ],
    "sv": [
        "Summan är alltså tolv äpplen.",
        "Vad är Frankrikes huvudstad?",
        "Hur många ben har en spindel?",
        "Jag är inte säker på det.",
    ],
    "cs": [
        "Součet je tedy dvanáct jablek.",
        "Jaké je hlavní město Francie?",
        "Kolik nohou má pavouk?",
        "Nejsem si tím jistý.",
    ],
}
EVERY = [(language, sentence) for language, sentences in SENTENCES.items() for sentence in sentences]


def score(completion, prompt="", **params):
    return reward.score([completion], [prompt], **params)[0]


def test_short_sentences_are_never_taken_for_another_language_and_mostly_told():
    scores = [score(sentence, language=language) for language, sentence in EVERY]
    assert 0.0 not in scores
    assert scores.count(None) <= 0.1 * len(scores)


def test_a_sentence_is_told_from_every_other_language():
    for language, sentence in EVERY:
        for other in SENTENCES:
            assert other == language or score(sentence, language=other) != 1.0, (sentence, other)


def test_the_prompt_settles_the_language_as_well():
    for language, (first, *others) in SENTENCES.items():
        prompt = " ".join(others)
        assert score(first, prompt) in (1.0, None), language
        assert score(" ".join(SENTENCES["de" if language != "de" else "en"]), prompt) == 0.0, language


@pytest.mark.parametrize(
    ("completion", "expected"),
    [
        (" ".join(SENTENCES["en"]), 1.0),
        (" ".join([*SENTENCES["en"], *SENTENCES["de"]]), 0.0),  # half
        (" ".join([*SENTENCES["en"] * 4, SENTENCES["de"][0]]), 1.0),  # a sentence quoted
    ],
)
def test_so_much_of_a_completion_must_be_in_the_language(completion, expected):
    assert score(completion, language="en") == expected


def test_sentences_that_are_too_short_tell_together():
    assert score("You see? I do. So we go. Why not? It is so.", language="en") == 1.0
    assert score("I do.", language="en") is None


@pytest.mark.parametrize(
    "text",
    [
        "12 + 4 = 16; 16 / 2 = 8",
        "\\frac{1}{2} \\cdot \\sqrt{x_1} = y_2",
        "Paris, London, Berlin, Tokyo",
        "```python\nreturn the_number_of_apples - the_number_given_away\n```",
        "```\nan unclosed block of code that says something in plain English",
        "see https://example.com/the/number/of/apples/that/are/left",
        "<think></think><answer></answer>",
    ],
)
def test_what_is_no_prose_is_not_told(text):
    assert score(text, language="en") is None


@pytest.mark.parametrize(
    "params", [{"language": "xx"}, {"language": "de", "languages": "en fr"}, {"languages": "en qq"}]
)
def test_an_unknown_language_is_named(params):
    with pytest.raises(ValueError, match=r"xx|de|qq"):
        score("Hello", "Hello", **params)
