"""Failure patterns by rule and by cluster."""

from rlexp.card import failures


def sample(completion, truncated=False, correct=0.0):
    return {"prompt": "What is 1 + 1?", "completion": completion, "truncated": truncated, "score.correct": correct}


def test_rules_count_and_show_a_real_one():
    some = [sample("2", correct=1.0), sample("ab12 " * 9), sample(" "), sample("so on", truncated=True), sample("3")]
    found = {one.name: one for one in failures.by_rule(some)}
    assert found["the reward correct is at most 0"].count == 4 and found["empty"].count == 1
    assert found["it repeats itself"].completion == "ab12 " * 9 and found["the limit of tokens cut it"].count == 1


def test_answers_that_fail_alike_are_one_pattern():
    digits = [sample(f"<answer>{number}</answer>") for number in range(7)]
    excuses = [sample(f"I am sorry, I cannot add {number}.") for number in range(3)]
    found = failures.by_cluster([*digits, *excuses, sample("2", correct=1.0)], [True] * 10 + [False])
    assert [one.count for one in found] == [7, 3] and found[0].of == 11
    assert found[0].name == "<answer>#</answer>" and "sorry" in found[1].completion


def test_one_wrong_answer_is_no_pattern():
    assert failures.by_cluster([sample("x")], [True]) == []
