"""A project's reward as a function, and completions scored with it."""

from __future__ import annotations

import asyncio
import gc
import math

import pandas
import pytest

from rlexp import api

GOOD, BAD = "<think>2 + 2 = 4</think><answer>4</answer>", "4"


def said(text):
    return [{"role": "assistant", "content": text}]


def test_a_reward_takes_what_trl_hands_over(root):
    with api.reward("format+correct", "reward.terms.format.weight=0.5", root=root) as reward:
        assert reward.__name__ == "format+correct"
        more = {"trainer_state": object(), "log_extra": print, "log_metric": print, "completion_ids": [[1], [2]]}
        plain = reward(prompts=["a", "b"], completions=[GOOD, BAD], answer=["4", "4"], **more)
        turns = reward(prompts=[said("a")] * 2, completions=[said(GOOD), said(BAD)], answer=["4", "4"], **more)
    assert plain == turns == [1.5, 0.0] and all(type(score) is float for score in plain)


def test_a_term_that_does_not_apply_is_none(root):
    with api.reward("correct", root=root) as reward:
        assert reward(["", ""], [GOOD, GOOD], answer=["4", ""]) == [1.0, None]


def test_terms_apart_have_names_and_weights_for_trl(root):
    terms = api.reward("format+correct", "reward.terms.format.weight=0.5", apart=True, root=root)
    assert [(one.__name__, one.weight) for one in terms] == [("correct", 1.0), ("format", 0.5)]
    assert [one([""], [BAD], answer=["4"]) for one in terms] == [[0.0], [0.0]]
    gated = api.reward("format+correct", "reward.combine=gate", apart=True, root=root)
    assert [(one.__name__, one.weight) for one in gated] == [("correct", 0.0), ("format", 0.0), ("gated", 1.0)]
    terms[0].close(), gated[0].close()


def test_the_workers_end_with_the_function(root):
    reward = api.reward("format", root=root)
    assert reward([""], [GOOD]) == [1.0]
    workers = reward._scorer.workers
    del reward
    gc.collect()
    assert workers._closed


def test_an_asynchronous_reward_scores_in_a_process_whose_loop_runs(project):
    (project / "rewards/slow.py").write_text(
        "import asyncio\nversion = 1\n\n\nasync def score(completions):\n    await asyncio.sleep(0)\n"
        "    return [1.0 for _ in completions]\n\n\ncases = [{'completion': 'a', 'score': 1.0}]\n"
    )
    (project / "conf/reward/slow.yaml").write_text("terms: {slow: {file: rewards/slow.py}}\n")
    reward = api.reward("slow", "hardware.reward_workers=0", root=project)

    async def cell():
        return reward([""], ["a"])

    assert asyncio.run(cell()) == [1.0]


def test_a_reward_of_whole_groups_needs_their_size(project):
    (project / "rewards/first.py").write_text(
        "version = 1\n\n\ndef score_group(completions):\n"
        "    return [float(text == max(completions)) for text in completions]\n"
    )
    (project / "conf/reward/first.yaml").write_text("terms: {first: {file: rewards/first.py}}\n")
    with pytest.raises(api.RunError, match="how many they are is not said") as caught:
        api.reward("first", root=project)
    assert "num_generations=8" in caught.value.hint
    table = api.score("first", completions=["a", "b", "d", "c"], num_generations=2, root=project)
    assert table["reward"].tolist() == [0.0, 1.0, 1.0, 0.0]
    with pytest.raises(api.RunError, match="3 completions are no whole groups of 2"):
        api.score("first", completions=["a", "b", "c"], num_generations=2, root=project)


def test_a_table_of_scores_has_a_column_a_term_and_says_why(root):
    rows = pandas.DataFrame({"text": [GOOD, BAD], "answer": ["4", ""]})
    table = api.score(
        "format+correct",
        "reward.terms.format.weight=0.5",
        completions=rows["text"],
        prompts=["2 + 2?", "3 + 1?"],
        answer=rows["answer"],
        root=root,
    )
    columns = ["prompt", "completion", "correct", "format", "reward", "why.correct", "why.format"]
    assert list(table.columns) == columns
    assert table.loc[0].tolist()[2:5] == [1.0, 1.0, 1.5]
    assert math.isnan(table.loc[1, "correct"]) and table.loc[1, "reward"] == 0.0
    assert table.loc[1, "why.format"] == "none of the tags" and table.loc[0, "why.format"] == ""


@pytest.mark.parametrize(
    ("arguments", "given", "what", "hint"),
    [
        (["formt"], {}, "there is no reward named 'formt'", "did you mean reward=format?"),
        (["reward=format"], {}, "the first argument names the reward", 'api.reward("format+correct"'),
        (["format+format"], {}, "names format twice", "type reward=format"),
        ([3], {}, "the first argument names the reward", "api.reward("),
        (["format", "reward.terms.formt.weight=2"], {}, "formt", ""),
        (["format", "reward.combine=median"], {}, "median", ""),
        (["correct"], {}, "reads the column answer, which is not there", "give answer=[...]"),
        (["correct"], {"answr": ["4"]}, "reads the column answer", "did you mean answer by answr?"),
        (["correct"], {"answer": ["4", "5"]}, "answer has 2 entries for 1 completions", "one entry for each"),
        (["correct"], {"answer": "4"}, "answer is one text", "answer=[...]"),
        (["language"], {}, "reads prompts, which is not there", "give prompts=[...]"),
        (["length"], {}, "reads completion_ids, which is not there", "give completion_ids=[...]"),
        (["format"], {"completions": GOOD}, "completions is one text", "completions=[...]"),
        (["format"], {"num_generations": 0}, "num_generations is 0", "num_generations=8"),
    ],
)
def test_a_mistake_is_an_exception_with_what_to_do(root, arguments, given, what, hint):
    with pytest.raises(api.RunError) as caught:
        api.score(*arguments, root=root, **{"completions": ["4"], **given})
    assert what in caught.value.what and caught.value.hint and hint in caught.value.hint


def test_terms_that_the_trainer_standardises_are_taken_apart(root):
    with pytest.raises(api.RunError, match="one function cannot do it") as caught:
        api.reward("format+correct", "reward.combine=normalize", root=root)
    assert "apart=True" in caught.value.hint
    assert len(api.reward("format+correct", "reward.combine=normalize", apart=True, root=root)) == 2


def test_a_reward_that_fails_too_often_is_named(project):
    (project / "rewards/planted.py").write_text("version = 1\n\n\ndef score(completions):\n    raise ValueError('x')\n")
    (project / "conf/reward/planted.yaml").write_text("terms: {planted: {file: rewards/planted.py}}\n")
    with pytest.raises(api.RunError, match="the reward planted raised ValueError: x") as caught:
        api.score("planted", completions=["a"], root=project)
    assert caught.value.where.startswith("rewards/planted.py:5") and "run folder" not in caught.value.hint


def test_no_completions_are_no_rows(root):
    assert len(api.score("format+correct", completions=[], answer=[], root=root)) == 0
