"""GSM8K and UltraFeedback, with a hub that answers from memory."""

from pathlib import Path

import datasets
import pytest
import yaml

from rlexp.compose.schema import DatasetType
from rlexp.errors import RunError
from rlexp.inputs.contract import faults
from rlexp.inputs.prepare import load_script

ROOT = Path(__file__).parents[2]
gsm8k = load_script(ROOT / "data_prep/gsm8k.py")
ultrafeedback = load_script(ROOT / "data_prep/ultrafeedback.py")

every_script = pytest.mark.parametrize("script", [gsm8k, ultrafeedback], ids=["gsm8k", "ultrafeedback"])


@pytest.fixture
def hub(monkeypatch):
    """What the hub holds, (commit, split) -> rows, filled by the test; anything else is out of reach."""
    held = {}

    def load_dataset(path, name=None, *, split, revision):
        if (revision, split) not in held:
            raise ConnectionError("no route")
        return held[revision, split]

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    return held


def fill(hub, script, train, test):
    """Puts both splits of a set at the commit that its shipped option names."""
    option = yaml.safe_load((ROOT / f"conf/dataset/{Path(script.__file__).stem}.yaml").read_text())
    names = ("train", "test") if script is gsm8k else ("train_prefs", "test_prefs")
    hub.update({(option["params"]["revision"], name): held for name, held in zip(names, (train, test), strict=True)})
    return option


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
    ],
)
def test_the_final_number_of_a_solution_is_read(solution, answer):
    row = gsm8k.parse(solved(" How many? \n", solution))
    assert row == {"prompt": [{"role": "user", "content": "How many?"}], "answer": answer, "solution": solution}


def test_a_dialogue_is_cut_where_its_last_answer_starts():
    turns = [{"role": role, "content": "Hm."} for role in ("user", "assistant", "user", "assistant")]
    row = ultrafeedback.parse(judged("?") | {"chosen": turns, "rejected": [*turns[:3], {**turns[3], "content": "No."}]})
    assert (row["prompt"], row["chosen"], row["rejected"][0]["content"]) == (turns[:3], turns[3:], "No.")


def test_gsm8k_trains_on_no_question_that_is_held_out(hub):
    fill(hub, gsm8k, train=[solved(q) for q in "abcd"], test=[solved(q) for q in "xby"])
    made = gsm8k.rows(train=2, test=1, system="Be brief.")
    assert (asked(made["train"]), asked(made["test"])) == (["a", "c"], ["x"])
    assert made["train"][0]["prompt"][0] == {"role": "system", "content": "Be brief."}


def test_ultrafeedback_keeps_preferences_only_and_trains_on_no_prompt_that_is_held_out(hub):
    train = [
        judged("a", rejected="Yes. "),  # the same answer twice
        judged("b"),  # held out
        judged("c", rejected=" "),  # an empty answer
        judged("d", scores=(6, 5)),  # too close
        *map(judged, "efg"),
    ]
    fill(hub, ultrafeedback, train, test=[judged(q) for q in "bxy"])
    made = ultrafeedback.rows(train=2, test=2, min_margin=2)
    assert (asked(made["train"]), asked(made["test"])) == (["e", "f"], ["b", "x"])


@every_script
def test_the_shipped_option_makes_rows_of_its_type_at_its_commit(hub, script):
    row = solved if script is gsm8k else judged
    option = fill(hub, script, train=[row("a"), row("b")], test=[row("c")])
    made = script.rows(**option["params"])
    assert (asked(made["train"]), asked(made["test"])) == (["a", "b"], ["c"])
    assert not [fault for one in made["train"] + made["test"] for fault in faults(one, DatasetType[option["type"]])]


@pytest.mark.parametrize(
    ("script", "good", "bad", "what", "where"),
    [
        (gsm8k, solved("a"), solved("b", "no number"), "no '#### number'", "openai/gsm8k, train row 1"),
        (
            ultrafeedback,
            judged("a"),
            {**judged("a"), "rejected": judged("b")["rejected"]},
            "do not share",
            "train_prefs row 1",
        ),
    ],
    ids=["gsm8k", "ultrafeedback"],
)
def test_a_row_that_does_not_parse_is_named(hub, script, good, bad, what, where):
    fill(hub, script, train=[good, bad], test=[good])
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
def test_a_commit_that_cannot_be_had_is_explained(hub, script, revision, what, hint):
    with pytest.raises(RunError, match=what) as caught:
        script.rows(revision=revision)
    assert hint in caught.value.hint
