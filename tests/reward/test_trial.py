"""Trying rewards: what is tried, what is refused, and what gold and cheats must come to. Planted bugs are in
test_planted_rewards."""

from __future__ import annotations

import dataclasses
import time
from types import SimpleNamespace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rlexp.compose.schema import Dataset, Reward, Term
from rlexp.errors import RunError
from rlexp.inputs.reward_source import read
from rlexp.reward import gold, trial
from rlexp.reward.cases import Outcome
from rlexp.reward.rubric import Rubric, workers_for
from rlexp.reward.trial import Trial, data_rows, require, try_rewards, try_rows

RIGHT = """
version = 1
bounds = (0.0, 1.0)
def score(completions, answer):
    tagged = [f"<answer>{a}</answer>" for a in answer]
    return [float(c.endswith(t) and c.count("<answer>") == 1) for c, t in zip(completions, tagged)]
cases = [{"completion": "<answer>4</answer>", "answer": "4", "score": 1.0}]
"""


@pytest.fixture
def write(tmp_path):
    def make(body, name="mine"):
        (tmp_path / "rewards").mkdir(exist_ok=True)
        (tmp_path / f"rewards/{name}.py").write_text(body)
        return read(tmp_path, f"rewards/{name}.py")

    return make


# --- one file --------------------------------------------------------------------------------------------------------


def test_problems_are_the_failed_cases_by_number_and_the_faults():
    found = Trial([Outcome("'a'", None), Outcome("'b'", "expected 1, got 2")], ["hangs"], True)
    assert found.problems == ["case 2: 'b' expected 1, got 2", "hangs"]
    assert Trial([Outcome("'a'", None)], [], True).problems == [] and found.not_here == ""


def test_a_good_file_passes_its_cases_and_conforms(write):
    found = trial._try(write(RIGHT), {}, [{"prompt": "2 + 2?", "answer": "4"}])
    assert (found.outcomes, found.faults, found.conformed) == ([Outcome("'<answer>4</answer>'", None)], [], True)


@pytest.mark.parametrize(
    ("body", "params", "rows", "conformed"),
    [
        ("version = 1\ndef score(completions, answer): return [1.0 for _ in completions]\n", {}, [], False),
        (
            "version = 1\ndef score(completions, answer): return [1.0 for _ in completions]\n",
            {},
            [{"prompt": "p", "answer": "a"}],
            True,
        ),
        # a parameter that must be given comes from the run, or from the first case
        (
            "version = 1\ndef score(completions, *, k): return [k for _ in completions]\n",
            {},
            [{"prompt": "p"}],
            False,
        ),
        (
            "version = 1\ndef score(completions, *, k): return [k for _ in completions]\n",
            {"k": 1.0},
            [{"prompt": "p"}],
            True,
        ),
        (
            "version = 1\ndef score(completions, *, k): return [k for _ in completions]\n"
            "cases = [{'completion': 'x', 'k': 2.0, 'score': 2.0}]\n",
            {},
            [],
            True,
        ),
        (
            "version = 1\ndef score_group(completions): return [1.0 for _ in completions]\n",
            {},
            [{"prompt": "p"}],
            True,
        ),
    ],
)
def test_the_suite_runs_where_there_is_all_that_the_reward_reads(write, body, params, rows, conformed):
    found = trial._try(write(body), params, rows)
    assert found.conformed is conformed and found.faults == []


def test_a_fault_of_the_suite_is_kept(write):
    found = trial._try(write("version = 1\ndef score(completions): return []\n"), {}, [{"prompt": "p"}])
    assert found.conformed and "answered 0 scores" in found.faults[0]


@pytest.mark.parametrize(
    ("box", "here", "tried"), [("bubblewrap", False, False), ("none", False, True), (None, True, True)]
)
def test_untrusted_code_is_tried_in_a_sandbox_or_where_none_is_asked_for(write, monkeypatch, box, here, tried):
    monkeypatch.setattr(trial.sandbox, "available", lambda: here)
    source = write("version = 1\ndef score(completions, *, sandbox='x'): return [1.0 for _ in completions]\n")
    found = trial._try(source, {"sandbox": box}, [{"prompt": "p"}])
    assert found.conformed is tried and (found.not_here == "") is tried
    assert tried or "install bubblewrap" in found.not_here


def test_rewards_are_tried_in_processes_of_their_own(write):
    hello = "import os\n" + RIGHT.replace("return [", "return os.environ.update(CHANGED='1') or [")
    one, other = try_rewards([(write(hello), {}), (write(RIGHT, "other"), {})], [])
    assert one.problems == other.problems == [] and one.conformed
    import os

    assert "CHANGED" not in os.environ


def test_a_reward_that_hangs_is_waited_for_in_words_and_given_up_after_a_while(write, monkeypatch, capsys):
    monkeypatch.setattr(trial, "TRIAL_SECONDS", 1.0)
    monkeypatch.setattr(trial, "QUIET_SECONDS", 0.2)
    began = time.monotonic()
    source = write("import time\nversion = 1\ntime.sleep(60)\ndef score(completions): return []\n")
    with pytest.raises(RunError, match="mine hangs: no verdict after 1 s") as caught:
        try_rewards([(source, {})], [])
    assert caught.value.where == "rewards/mine.py" and 0.9 < time.monotonic() - began < 15
    said = capsys.readouterr()
    assert said.err == "note: rewards/mine.py is still busy with its own cases; given up after 1 s\n" and not said.out


# --- before a run ----------------------------------------------------------------------------------------------------


@pytest.fixture
def asked(monkeypatch, tmp_path):
    """``require`` for a run with one reward, whose trial is at hand; what was tried."""
    tried = []
    known: dict[str, bool] = {}
    monkeypatch.setattr(trial, "data_rows", lambda folder, count: [{"prompt": "p"}] * count)
    monkeypatch.setattr(
        trial, "remembered", lambda key, make: known[key] if key in known else known.setdefault(key, make())
    )

    def ask(source, answer, **params):
        monkeypatch.setattr(trial, "try_rewards", lambda wanted, rows: tried.append((wanted, rows)) or [answer])
        run = SimpleNamespace(reward=Reward(terms={"mine": Term(file=source.file, params=params)}))
        require(run, SimpleNamespace(data=tmp_path, rewards={"mine": source}))

    return ask, tried


def test_a_reward_that_passed_once_is_not_tried_again_unless_something_changed(write, asked):
    ask, tried = asked
    source, fine = write(RIGHT), Trial([], [], True)
    ask(source, fine)
    ask(source, fine)
    assert tried == [([(source, {})], [{"prompt": "p"}] * 4)]
    ask(source, fine, k=1)
    ask(dataclasses.replace(source, md5="other"), fine)
    assert len(tried) == 3


@pytest.mark.parametrize(
    ("answer", "what", "hint"),
    [
        (Trial([Outcome("'a'", "no")], [], True), "the reward mine fails: case 1: 'a' no; nothing", "score shows all"),
        (Trial([], ["x", "y", "z"], True), "the reward mine fails: x (and 2 more); nothing was started", "score"),
        (Trial([], ["x", "y"], True), "x (and 1 more)", "score"),
        (Trial([], [], False, "no sandbox"), "the reward mine cannot run on this machine", "no sandbox"),
    ],
)
def test_a_reward_that_fails_is_refused_and_tried_again_the_next_time(write, asked, answer, what, hint):
    ask, tried = asked
    for _ in range(2):
        with pytest.raises(RunError) as caught:
            ask(write(RIGHT), answer)
        assert what in caught.value.what and hint in caught.value.hint and caught.value.where == "rewards/mine.py"
    assert len(tried) == 2


def test_rows_are_the_first_of_the_test_split_or_of_the_only_one(tmp_path):
    for folder, splits in (("both", ("train", "test")), ("one", ("train",))):
        (tmp_path / folder).mkdir()
        for split in splits:
            pq.write_table(pa.table({"n": range(5), "split": [split] * 5}), tmp_path / f"{folder}/{split}.parquet")
    assert data_rows(tmp_path / "both", 2) == [{"n": 0, "split": "test"}, {"n": 1, "split": "test"}]
    assert len(data_rows(tmp_path / "one", 9)) == 5
    (tmp_path / "none").mkdir()
    pq.write_table(pa.table({"n": pa.array([], pa.int64())}), tmp_path / "none/test.parquet")
    assert data_rows(tmp_path / "none", 2) == []


# --- gold and cheats -------------------------------------------------------------------------------------------------

ROWS = [{"prompt": "Name a fruit.", "answer": "Apple"}, {"prompt": "Name a bird.", "answer": "Owl"}]


@pytest.fixture
def attempts(write):
    def run(rows=ROWS, template=None, **bodies):
        sources = {name: write(body, name) for name, body in bodies.items()}
        reward = Reward(terms={name: Term(file=source.file) for name, source in sources.items()}, max_failed=1.0)
        rubric = Rubric(reward, sources, workers_for(reward, sources, 0))
        found = try_rows(SimpleNamespace(dataset=Dataset(gold=template)), rubric, rows)
        return {attempt.kind: attempt for attempt in found}

    return run


def body(expression, head="bounds = (0.0, 1.0)"):
    """A reward of one completion c and its answer a."""
    score = f"def score(completions, answer): return [{expression} for c, a in zip(completions, answer)]"
    return f"version = 1\n{head}\n{score}\n"


def test_a_reward_that_is_right_lets_gold_pass_and_no_cheat(attempts):
    found = attempts(mine=RIGHT)
    assert next(iter(found)) == "gold" and len(found) == 12
    assert all(not attempt.failing and attempt.rows == 2 for attempt in found.values())
    assert found["gold"].means == {"mine": 1.0, "reward": 1.0} and found["nothing"].means == {
        "mine": 0.0,
        "reward": 0.0,
    }


@pytest.mark.parametrize(("worth", "fails"), [("1.0", False), ("0.9", False), ("0.89", True), ("0.0", True)])
def test_gold_reaches_nearly_the_top_of_the_range(attempts, worth, fails):
    failing = attempts(mine=body(worth + " * (a in c)"))["gold"].failing
    assert bool(failing) is fails
    if fails:
        assert (
            failing[1] == f"row 1: mine gives a gold completion {float(worth):g}: {gold.completions(ROWS, None)[1]!r}"
        )


@pytest.mark.parametrize(("worth", "fails"), [("0.5", False), ("0.51", True)])
def test_no_cheat_gets_beyond_half_of_the_range(attempts, worth, fails):
    found = attempts(mine=body(f"1.0 if '<answer>' in c and c.count(a) == 2 else {worth} * (c == '')"))
    assert bool(found["nothing"].failing) is fails
    if fails:
        assert found["nothing"].failing == [f"row {n}: mine gives it 0.51: ''" for n in (0, 1)]
        assert found["nothing"].means["mine"] == pytest.approx(0.51)


def test_without_a_declared_range_it_goes_from_0_to_the_best_gold_score(attempts):
    found = attempts(mine=body("10.0 if a in c and '<answer>' in c else 4.0 * (c == '')", head=""))
    assert found["gold"].failing == [] and found["nothing"].failing == []
    worse = attempts(mine=body("10.0 if a in c and '<answer>' in c else 6.0 * (c == '')", head=""))
    assert worse["nothing"].failing != []
    nothing = attempts(mine=body("0.0", head=""))
    assert nothing["gold"].failing != []  # the best is 0: a range of 0 to 1


def test_a_range_that_does_not_begin_at_0_counts_from_its_low_end(attempts):
    found = attempts(mine=body("1.0 if a in c else -0.1 * (c == '') - 1.0 * (c != '')", head="bounds = (-1.0, 1.0)"))
    assert found["nothing"].failing == []
    found = attempts(mine=body("1.0 if a in c else 0.1 * (c == '') - 1.0 * (c != '')", head="bounds = (-1.0, 1.0)"))
    assert len(found["nothing"].failing) == 2


def test_a_cheat_is_not_rewarded_as_the_gold_completion_is(attempts):
    plus = "version = 1\nbounds = (0.0, 2.0)\ndef score(completions): return [2.0 * (c == '') for c in completions]\n"
    right = body("1.0 if '<answer>' in c and c.count(a) == 2 else 0.4 * (c == '')")
    found = attempts(mine=right, plus=plus)
    assert (
        found["nothing"].failing
        == [f"row {n}: it is rewarded 2.4, the gold completion 1: ''" for n in (0, 1)][: len(found["nothing"].failing)]
    )
    assert found["nothing"].failing


def test_what_looks_at_no_row_is_not_judged_by_cheats(attempts):
    assert list(attempts(plus="version = 1\ndef score(completions): return [1.0] * len(completions)\n")) == ["gold"]


def test_what_a_reward_ignores_is_no_cheat_to_it(attempts):
    anywhere = body("float(a in c)", head="bounds = (0.0, 1.0)\nignores = ('place',)")
    found = attempts(mine=anywhere)
    assert gold.NO_TAGS not in found and gold.WRONG_PLACE not in found and gold.OTHER_CASE in found


def test_kinds_that_no_row_offers_are_left_out_and_rows_without_one_skipped(attempts):
    numbers = [{"prompt": "p", "answer": "12"}, {"prompt": "q", "answer": "Owl"}]
    assert attempts(numbers, mine=RIGHT)[gold.OTHER_CASE].rows == 1
    assert gold.OTHER_CASE not in attempts(numbers[:1], mine=RIGHT)


def test_scores_that_do_not_apply_count_nowhere(attempts):
    found = attempts(mine=body("None"))
    assert found["gold"].means == {"mine": None, "reward": None} and found["gold"].failing == []
    assert all(attempt.failing == [] for attempt in found.values())
    some = attempts(mine=body("1.0 if a == 'Apple' and c.count(a) == 2 else None"))
    assert some["gold"].means == {"mine": 1.0, "reward": 1.0}


def test_a_reward_reads_columns_prompts_and_made_up_ids(attempts):
    reads = (
        "version = 1\nbounds = (0.0, 1.0)\ndef score(completions, prompts, completion_ids, answer):\n"
        "    ok = [list(range(len(c) // 4)) == i and p.startswith('Name') for c, p, i in\n"
        "          zip(completions, prompts, completion_ids)]\n"
        "    return [float(o and a in c) for o, a, c in zip(ok, answer, completions)]\n"
    )
    assert attempts(mine=reads)["gold"].means["mine"] == 1.0
