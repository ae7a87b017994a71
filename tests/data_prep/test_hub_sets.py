"""GSM8K and UltraFeedback, with a hub that answers from memory."""

from pathlib import Path
from typing import Any

import datasets
import pytest
import yaml

from rlexp.compose.schema import DatasetType
from rlexp.errors import RunError
from rlexp.inputs.contract import faults
from rlexp.inputs.script import load_script

ROOT = Path(__file__).parents[2]
gsm8k = load_script(ROOT / "data_prep/gsm8k.py")
ultrafeedback = load_script(ROOT / "data_prep/ultrafeedback.py")
SPLITS = {gsm8k: ("train", "test"), ultrafeedback: ("train_prefs", "test_prefs")}
OPTIONS = {s: yaml.safe_load((ROOT / f"conf/dataset/{Path(s.__file__).stem}.yaml").read_text()) for s in SPLITS}

every_script = pytest.mark.parametrize("script", SPLITS, ids=["gsm8k", "ultrafeedback"])


@pytest.fixture
def fill(monkeypatch):
    """Puts both splits of a set on the hub, at the commit of its shipped option; all else is out of reach."""
    held: dict[Any, Any] = {}

    def load_dataset(path, name=None, *, split, revision):
        if (revision, split) not in held:
            raise ConnectionError("no route")
        return held[revision, split]

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    commits = {script: option["params"]["revision"] for script, option in OPTIONS.items()}
    return lambda script, train, test: held.update(
        {(commits[script], split): rows for split, rows in zip(SPLITS[script], (train, test), strict=True)}
    )


def solved(question, answer="1 + 1 = 2\n#### 2"):
    return {"question": question, "answer": answer}


def judged(question, chosen="Yes.", rejected="No.", scores=(8, 4)):
    ask = {"role": "user", "content": question}
    chosen, rejected = ([ask, {"role": "assistant", "content": text}] for text in (chosen, rejected))
    return {"chosen": chosen, "rejected": rejected, "score_chosen": scores[0], "score_rejected": scores[1]}


def asked(split):
    return [row["prompt"][-1]["content"] for row in split]


@pytest.mark.parametrize(
    ("solution", "answer"),
    [
        ("500*2=<<500*2=1000>>1000\n#### 1,000", "1000"),  # thousands
        ("####-0.5", "-0.5"),  # no space
        ("The end.\n#### 42.", "42"),  # a full stop is no part of the number
        ("####3/4", "3/4"),
        ("#### $1,250.50", "1250.50"),
    ],
)
def test_the_final_number_of_a_solution_is_read(solution, answer):
    row = gsm8k.parse(solved(" How many? \n", solution))
    assert row == {"prompt": [{"role": "user", "content": "How many?"}], "answer": answer, "solution": solution}


def test_a_dialogue_is_cut_where_its_last_answer_starts():
    turns = [{"role": role, "content": "Hm."} for role in ("user", "assistant", "user", "assistant")]
    row = ultrafeedback.parse(judged("?") | {"chosen": turns, "rejected": [*turns[:3], {**turns[3], "content": "No."}]})
    assert (row["prompt"], row["chosen"], row["rejected"][0]["content"]) == (turns[:3], turns[3:], "No.")


def test_gsm8k_trains_on_no_question_that_is_held_out(fill):
    fill(gsm8k, train=[solved(q) for q in "abcd"], test=[solved(q) for q in "xby"])
    made = gsm8k.rows(train=2, test=1, system="Be brief.")
    assert (asked(made["train"]), asked(made["test"])) == (["a", "c"], ["x"])
    assert made["train"][0]["prompt"][0] == {"role": "system", "content": "Be brief."}


def test_ultrafeedback_keeps_preferences_only_and_trains_on_no_prompt_that_is_held_out(fill):
    train = [
        judged("a", rejected="Yes. "),  # the same answer twice
        judged("b"),  # held out
        judged("c", rejected=" "),  # an empty answer
        judged("d", scores=(6, 5)),  # too close
        *map(judged, "efg"),
    ]
    fill(ultrafeedback, train, test=[judged(q) for q in "bxy"])
    made = ultrafeedback.rows(train=2, test=2, min_margin=2)
    assert (asked(made["train"]), asked(made["test"])) == (["e", "f"], ["b", "x"])


@every_script
def test_the_shipped_option_makes_rows_of_its_type_at_its_commit(fill, script):
    row = solved if script is gsm8k else judged
    option = OPTIONS[script]
    fill(script, train=[row("a"), row("b")], test=[row("c")])
    made = script.rows(**option["params"])
    assert (asked(made["train"]), asked(made["test"])) == (["a", "b"], ["c"])
    assert not [fault for one in made["train"] + made["test"] for fault in faults(one, DatasetType[option["type"]])]


@pytest.mark.parametrize(
    ("script", "bad", "what", "where"),
    [
        (gsm8k, solved("b", "no number"), "no '#### number'", "openai/gsm8k, train row 1"),
        (ultrafeedback, judged("a") | {"rejected": judged("b")["rejected"]}, "do not share", "train_prefs row 1"),
        (ultrafeedback, judged("a") | {"chosen": judged("a")["chosen"][:1] * 2}, "not end with", "train_prefs row 1"),
    ],
)
def test_a_row_that_does_not_parse_is_named(fill, script, bad, what, where):
    good = solved("a") if script is gsm8k else judged("a")
    fill(script, train=[good, bad], test=[good])
    with pytest.raises(RunError, match=what) as caught:
        script.rows()
    assert caught.value.where.endswith(where)


@every_script
@pytest.mark.parametrize(
    ("revision", "what", "hint"),
    [
        ("main", "'main' is not a commit", "40 hex digits"),  # a branch moves
        ("0" * 40, "cannot be read at 000000000000: no route", "dataset=local"),
    ],
)
def test_a_commit_that_cannot_be_had_is_explained(fill, script, revision, what, hint):
    with pytest.raises(RunError, match=what) as caught:
        script.rows(revision=revision)
    assert hint in caught.value.hint
