"""Filters and order of the list of runs."""

import pytest

from rlexp.errors import RunError
from rlexp.record.listed import MISSING
from rlexp.record.select import parse, select


def chosen(runs, *filters, sort=None, reverse=False, limit=None):
    kept = select(runs, [parse(text) for text in filters], sort, reverse, limit)
    return [run.folder.rpartition("/")[2] for run in kept]


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ([], ["failed", "0", "second", "first"]),
        (["status=finished"], ["0", "second", "first"]),
        (["status!=finished"], ["failed"]),
        (["method=grpo"], ["failed", "second", "first"]),
        (["method=grpo", "status=finished"], ["second", "first"]),
        (["model=tiny", "dataset=arithmetic_preferences"], ["0"]),
        (["reward=format+correct"], ["0", "first"]),  # the terms in any order
        (["method.beta=0.04"], ["first"]),
        (["method.beta=4e-2"], ["first"]),
        (["method.beta>0.04"], ["0"]),
        (["seed=1"], ["first"]),
        (["held_out.rows>=128"], ["0", "second", "first"]),
        (["hardware=cpu"], ["0", "second", "first"]),
        (["model.full_finetuning=false"], ["0", "second", "first"]),
        (["method.epsilon_high=null"], ["second", "first"]),
        (["method.num_generations=8"], ["second", "first"]),  # dpo has no such argument
        (["metric>1.4"], ["0", "first"]),
        (["metric<=0.9"], ["second"]),
        (["duration<60"], ["0", "first"]),
        (["started>=2026-11-03"], ["failed", "0"]),
        (["day2"], ["failed", "second"]),
        (["multirun", "method=grpo"], []),
    ],
)
def test_filters_keep_the_runs_that_meet_all_of_them(runs, filters, expected):
    assert chosen(runs, *filters) == expected


@pytest.mark.parametrize(
    ("sort", "reverse", "limit", "expected"),
    [
        (None, False, 2, ["failed", "0"]),
        (None, True, 2, ["first", "second"]),
        ("started", False, None, ["first", "second", "0", "failed"]),
        ("metric", False, None, ["second", "first", "0", "failed"]),
        ("metric", True, None, ["0", "first", "second", "failed"]),  # without one: last either way
        ("method.beta", True, 1, ["0"]),
        ("folder", False, 1, ["0"]),
    ],
)
def test_sorting_is_smallest_first_and_by_default_newest_first(runs, sort, reverse, limit, expected):
    assert chosen(runs, sort=sort, reverse=reverse, limit=limit) == expected


@pytest.mark.parametrize(
    ("filters", "sort", "what", "hint"),
    [
        (["methd=grpo"], None, "no run has a key 'methd'", "did you mean method?"),
        (["method.bta=1"], None, "no run has a key 'method.bta'", "did you mean method.beta?"),
        ([], "metrik", "no run has a key 'metrik'", "did you mean metric?"),
        (["metric>good"], None, "'good' is no number", None),
        (["started>yesterday"], None, "'yesterday' is no date", None),
        (["method>1"], None, "> compares numbers", "type method="),
        (["model.lora=8"], None, "model.lora is a group", "model.lora.r"),
    ],
)
def test_a_filter_that_cannot_be_is_a_mistake(runs, filters, sort, what, hint):
    with pytest.raises(RunError) as raised:
        chosen(runs, *filters, sort=sort)
    assert what in raised.value.what
    assert hint is None or hint in raised.value.hint


def test_a_list_reads_no_lock_until_a_key_of_the_config_is_asked_for(runs):
    assert chosen(runs, "method=grpo", "metric>0") == ["second", "first"]
    assert not any("config" in vars(run) for run in runs)


@pytest.mark.parametrize(
    ("text", "value", "meets"),
    [
        *(("a=1", 1, True), ("a=1.0", 1, True), ("a=1", 1.5, False), ("a!=1", 2, True), ("a!=1", 1, False)),
        *(("a=x", 1, False), ("a=true", True, True), ("a=true", 1, False), ("a=false", True, False)),
        *(("a=null", None, True), ("a=1", None, False), ("a>1", None, False), ("a=[1, 2]", [1, 2], True)),
        *(("a>1", 2, True), ("a>2", 2, False), ("a>=2", 2, True), ("a<2", 2, False), ("a<=2", 2, True)),
        *(("a<=2", 3, False), ("a<3", 2, True), ("a=x", "x", True), ("a=x", "y", False), ("a!=x", "y", True)),
        *(("reward=b+a", "a+b", True), ("reward=a", "a+b", False), ("other=b+a", "a+b", False)),
        *(("word", "some words", True), ("word", "nothing", False), ("a=[", "[", True), ("a=[", 1, False)),
        *(("a=1", MISSING, False), ("a!=1", MISSING, False), ("started>2026-11-01", 1.9e9, True)),
        *(("started<2026-11-01", 1.9e9, False), ("a>1e3", 1001, True)),
    ],
)
def test_a_condition_is_met_or_not(text, value, meets):
    assert parse(text).meets(value, "run") is meets


@pytest.mark.parametrize(
    ("text", "value", "what", "hint"),
    [
        ("a>1", "x", "> compares numbers, and a is 'x' in run", "type a=x"),
        ("a>1", True, "> compares numbers, and a is True", "type a=True"),
        ("a>x", 1, "'x' is no number", "type 'a>1'"),
        ("started>x", 1.0, "'x' is no date, such as", "type 'started>2026-11-23'"),
        ("a=1", {"b": 1, "c": 2}, "a is a group", "one of: a.b, a.c"),
        ("a=1", {}, "a is a group", "one of: nothing, here"),
    ],
)
def test_a_condition_that_cannot_be_is_a_mistake(text, value, what, hint):
    with pytest.raises(RunError) as caught:
        parse(text).meets(value, "run")
    assert what in caught.value.what and caught.value.where == text and caught.value.hint == hint


def test_a_condition_reads_as_it_was_typed():
    for text in ("a>=1", "a!=x=y", "some/folder"):
        assert str(parse(text)) == text
    assert (parse("a!=x=y").key, parse("a!=x=y").sign, parse("a!=x=y").wanted) == ("a", "!=", "x=y")


def test_texts_are_sorted_behind_numbers_and_by_letter(runs):
    assert chosen(runs, sort="dataset") == ["first", "second", "0", "failed"]
    assert chosen(runs, sort="method.beta") == ["second", "first", "0", "failed"]
    assert chosen(runs, limit=0) == [] and select([], [parse("x=1")], None, False, None) == []


def test_a_key_of_the_config_is_known_if_any_run_has_it(runs):
    with pytest.raises(RunError, match="no run has a key 'zzzz'") as caught:
        chosen(runs, "zzzz=1")
    assert caught.value.hint.startswith("a column (folder, ") and caught.value.where == "zzzz=1"
    with pytest.raises(RunError) as caught:
        chosen(runs, "model.lora.rr=1")
    assert "did you mean model.lora.r?" in caught.value.hint
