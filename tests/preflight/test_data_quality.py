"""Every finding on rows: planted faults are found, each with its rows, and healthy rows are left alone."""

import dataclasses
import random

import pytest

from rlexp.compose.schema import Reward, Term
from rlexp.inputs import snapshot
from rlexp.inputs.find import Inputs
from rlexp.inputs.reward_source import read
from rlexp.preflight.data_quality import duplicates, pairs, rows, texts
from rlexp.preflight.data_quality.look import look
from rlexp.preflight.data_quality.rows import Row
from tests.conftest import ROOT

WORDS = [f"{a}{b}{c}" for a in "kstmnr" for b in "aeiou" for c in "lndrs"]


def _row(prompt="Why?", split="train", number=0, replies=(), answer=None, label=None, scored=()):
    return Row(split, number, prompt, prompt, tuple(replies), answer, label, scored)


def _healthy(count=200, split="train", seed=0):
    chance = random.Random(seed)
    return [
        _row(" ".join(chance.choices(WORDS, k=30)), split, number, answer=f"answer{number}") for number in range(count)
    ]


def _by_name(findings):
    return {finding.verdict.name: finding for finding in findings}


def _numbers(finding):
    return [row.number for row in finding.rows]


def test_healthy_rows_are_left_alone():
    train, held_out = _healthy(), _healthy(20, "test", seed=1)
    found = [*duplicates.look(train, held_out), texts.answer_in_prompt(train), texts.odd_characters(train)]
    assert {finding.verdict.level.value for finding in found} == {"ok"}
    assert texts.strangest(train) == []


def test_a_row_that_stands_twice_is_named_also_with_other_capitals_and_spaces():
    train = _healthy()
    train[17] = _row(train[3].prompt.upper() + "  ", number=17, answer="answer3")
    found = _by_name(duplicates.look(train, []))
    assert _numbers(found["data.duplicates"]) == [17] and "train 17" in found["data.duplicates"].verdict.message
    assert found["data.leak"].verdict.level.value == "skipped"
    assert found["data.answers_disagree"].verdict.level.value == "ok"


def test_the_same_prompt_with_another_answer_is_named():
    train = _healthy()
    train[17] = _row(train[3].prompt, number=17, answer="another")
    found = _by_name(duplicates.look(train, []))
    assert _numbers(found["data.answers_disagree"]) == [3, 17] and not found["data.duplicates"].rows


@pytest.mark.parametrize("other", [{"label": False}, {"scored": ("assert f(2) == 3",)}, {"replies": ["5"]}])
def test_a_row_that_is_scored_by_something_else_is_no_duplicate(other):
    one = {"label": True, "scored": ("assert f(1) == 2",), "replies": ["4"]}
    twice = [_row(**one), _row(number=1, **one), _row(number=2, **(one | other))]
    assert _numbers(_by_name(duplicates.look(twice, []))["data.duplicates"]) == [1]


@pytest.mark.parametrize(("leaked", "level"), [(1, "warning"), (4, "failed")])
def test_held_out_prompts_that_are_trained_on_are_a_leak(leaked, level):
    train, held_out = _healthy(), _healthy(40, "test", seed=1)
    for number in range(leaked):
        held_out[number] = _row(train[number].prompt, "test", number)
    words = train[9].prompt.split()
    held_out[30] = _row(" ".join([*words[:-1], "other"]), "test", 30)
    found = _by_name(duplicates.look(train, held_out))["data.leak"]
    assert found.verdict.level.value == level and _numbers(found) == [*range(leaked), 30]


def test_near_duplicates_are_found_and_numbers_of_one_template_are_none():
    chance = random.Random(3)
    train = _healthy(100)
    for number in range(100, 130):
        words = train[number - 100].prompt.split()
        words[-1] = "changed"
        train.append(_row(" ".join(words), number=number))
    found = _by_name(duplicates.look(train, []))["data.near_duplicates"]
    assert found.verdict.level.value == "warning" and set(_numbers(found)) >= set(range(105, 130))
    sums = [_row(f"What is {chance.randint(0, 10**6)} + {chance.randint(0, 10**6)}?", number=n) for n in range(200)]
    assert _by_name(duplicates.look(sums, []))["data.near_duplicates"].verdict.level.value == "ok"


@pytest.mark.parametrize(
    ("prompt", "answer", "given"),
    [
        ("What is 12 + 30? (It is 42.)", "42", True),
        ("What is 12 + 30?", "42", False),
        ("Add 142 and 1.42", "42", False),
        ("Which is right: A) one B) two", "B", False),  # a letter of a choice
        ("Name the capital, Paris or Rome", "paris", True),
    ],
)
def test_a_prompt_that_holds_its_answer(prompt, answer, given):
    found = texts.answer_in_prompt([_row(prompt, answer=answer)] * 20)
    assert (found.verdict.level.value == "warning") is given


def test_what_is_well_has_its_rows_too_and_does_not_name_them():
    asked = [_row(f"What is {n}?", number=n, answer="no") for n in range(40)]
    found = texts.answer_in_prompt([*asked, _row("Say yes.", number=40, answer="yes")])
    assert found.verdict.level.value == "ok" and found.verdict.message == "1 of 41 rows (2.4%) hold their answer"
    assert found.to_json()["count"] == 1 and found.to_json()["rows"] == [{"split": "train", "row": 40}]
    train = _healthy()
    train[17] = _row(" ".join([*train[3].prompt.split()[:-1], "other"]), number=17)
    found = _by_name(duplicates.look(train, []))["data.near_duplicates"]
    assert found.verdict.level.value == "ok" and _numbers(found) == [17] and "train 17" not in found.verdict.message


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("a\x00b", "control"),
        ("caf\ufffd", "U+FFFD"),
        ("zero\u200bwidth", "without width"),
        ("\u202eright to left", "direction"),
        ("cafÃ©", "Latin-1"),
        ("itâ€™s", "Latin-1"),
        ("\ue123", "private"),
    ],
)
def test_odd_characters_are_named_with_their_rows(text, kind):
    train = _healthy(20)
    train[5] = _row("ok", number=5, replies=[text])
    found = texts.odd_characters(train)
    assert _numbers(found) == [5] and kind in found.verdict.message
    plain = [_row("Ça va? 你好, naïve — “quoted”\n\tnew line 👩\u200d🚀")]
    assert texts.odd_characters(plain).verdict.level.value == "ok"


def test_the_strangest_rows_come_with_their_reason():
    train = _healthy()
    train[50] = _row("long " * 2000, number=50, answer="x")
    train[60] = _row("你好世界" * 20, number=60, answer="x")
    found = {row.number: why for row, why in texts.strangest(train)}
    assert "characters of the prompt" in found[50] and 60 in found and len(found) <= texts.STRANGEST


def test_pairs_whose_length_alone_tells_them_apart():
    chance = random.Random(0)
    biased = [_row(replies=["x" * chance.randint(200, 300), "x" * chance.randint(20, 60)]) for _ in range(50)]
    found = pairs.length_bias(biased)
    assert found.verdict.level.value == "warning" and "50 of 50" in found.verdict.message
    fair = [_row(replies=["x" * chance.randint(20, 60), "x" * chance.randint(20, 60)]) for _ in range(50)]
    assert pairs.length_bias(fair).verdict.level.value == "ok"
    assert pairs.cohens_d([2, 4, 6], [1, 3, 5]) == pytest.approx(0.5)
    assert pairs.cohens_d([1, 1], [1, 1]) == 0 and pairs.cohens_d([2, 2], [1, 1]) == float("inf")


def test_an_empty_answer_is_named():
    found = texts.empty_answers([_row(answer="4"), _row(number=1, answer=" "), _row(number=2)])
    assert found.verdict.level.value == "warning" and _numbers(found) == [1]
    assert texts.empty_answers([_row(), _row()]).verdict.level.value == "skipped"


def test_the_checks_of_a_run_come_with_their_rows(composed, tmp_path, capfd):
    answers = ["4" if n % 2 else "" for n in range(8)]
    train = [{"prompt": [{"role": "user", "content": f"{n} " * (300 if n == 5 else 1)}]} for n in range(8)]
    reward = "version = 1\ndef score(completions, answer): return [1.0 if a else None for a in answer]\n"
    (tmp_path / "mine.py").write_text(reward)
    rows_of = {
        "train": [{**row, "answer": a} for row, a in zip(train, answers, strict=True)],
        "test": [{**train[0], "answer": "4"}],
    }
    snapshot.write(rows_of, tmp_path / "s", "x", {})
    run = composed()
    ungolden = dataclasses.replace(run.dataset, gold=None)
    run = dataclasses.replace(run, dataset=ungolden, reward=Reward(terms={"mine": Term(file="mine.py")}))
    description = {"splits": {"train": {"rows": 8}, "test": {"rows": 1}}, "columns": {}}
    inputs = Inputs(tmp_path / "s", description, None, ROOT / "models/tiny", None, {"mine": read(tmp_path, "mine.py")})
    found = _by_name(look(run, inputs).findings)
    assert _numbers(found["data.prompt_length"]) == [5]
    assert _numbers(found["reward.coverage"]) == [0, 2, 4, 6] and found["reward.coverage"].to_json()["count"] == 4
    assert "longer than the specified" not in capfd.readouterr().err


def test_rows_are_read_as_texts(tmp_path):
    turns = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "2 + 2?"}]
    reply = [{"role": "assistant", "content": "4"}]
    made = {"train": [{"prompt": turns, "chosen": reply, "rejected": [{**reply[0], "content": "5"}], "answer": 4}]}
    snapshot.write(made, tmp_path / "s", "x", {})
    (row,) = rows.read(tmp_path / "s", ["train"])["train"]
    assert (row.prompt, row.question, row.replies, row.answer) == ("Be brief.\n2 + 2?", "2 + 2?", ("4", "5"), "4")
    assert row.place == "train 0"
