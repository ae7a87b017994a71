"""The suite that every reward passes: each fault is found, and named."""

import pytest

from rlexp.inputs.reward_source import read
from rlexp.inputs.script import load_script
from rlexp.reward import conformance
from rlexp.reward.conformance import NASTY, Sample


@pytest.fixture
def faults(tmp_path):
    def run(body, tried=None, head="version = 1\n", **params):
        (tmp_path / "mine.py").write_text(head + body + "\n")
        source = read(tmp_path, "mine.py")
        module = load_script(source.path)
        function = getattr(module, "score_group" if source.whole_groups else "score")
        given = [Sample({}, "text")] if tried is None else tried
        return list(conformance.faults(source, function, params, given))

    return run


@pytest.mark.parametrize(
    "body",
    [
        "def score(completions): return [float(len(c)) for c in completions]",
        "def score(completions): return [None for c in completions]",
        "async def score(completions): return [1.0 for c in completions]",
        "def score(completion_ids): return [float(len(ids)) for ids in completion_ids]",
        "bounds = (0, 9)\ndef score(completions): return [float(len(c) % 10) for c in completions]",
        "def score(completions, *, k=1): return [1e-7 * k / len(completions) for c in completions]",  # below TOLERANCE
        "def score_group(completions): return [1.0 / len(completions)] * len(completions)",
    ],
)
def test_a_reward_that_conforms_has_no_fault(faults, body):
    assert faults(body) == []


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ("def score(completions): return [1.0] * (len(completions) - 1)", "answered 0 scores for 1 completions (an "),
        ("def score(completions): return [1 / len(c) for c in completions]", "raised ZeroDivisionError: division by"),
        (
            "n = [0]\ndef score(completions):\n    n[0] += 1\n    return [float(n[0]) for c in completions]",
            "is not deterministic: 1.0 and then 2.0 on an empty completion",
        ),
        (
            "n = []\ndef score(completions):\n    n.append(1)\n    return [None if len(n) % 2 else 0.0]",
            "is not deterministic: None and then 0.0",
        ),
        (
            "bounds = (0, 1)\ndef score(completions): return [2.0 if c == 'text' else 1.0 for c in completions]",
            "scored 2.0 on a completion of its cases, or a prompt, outside of its declared range 0 to 1",
        ),
        (
            "bounds = (0, 1)\ndef score(completions): return [-0.5 if not c else 0.0 for c in completions]",
            "scored -0.5 on an empty completion, outside of its declared range 0 to 1",
        ),
        (
            "def score(completions): return [float(len(completions)) for c in completions]",
            "scores an empty completion otherwise in a batch than alone",
        ),
        (
            "def score(completions): return [float(c == '') if c == completions[0] else 0.0 for c in completions]",
            "scores an empty completion otherwise in a batch in another order than alone",
        ),
        (
            "def score(completions):\n    if len(completions) > 1: raise ValueError('many')\n    return [1.0]",
            "raised ValueError: many on a batch (mine.py:3)",
        ),
        (
            "def score(completions): return [1.0] if len(completions) == 1 else []",
            "the reward mine answered 0 scores for 12 completions (a batch)",
        ),
        (
            "def score(completions):\n    completions.append('x')\n    return [1.0] * (len(completions) - 1)",
            "changes what it is given (an empty completion)",
        ),
        ("def score_group(completions): return []", "answered 0 scores for 1 completions (an empty completion)"),
    ],
)
def test_a_fault_is_found_and_named(faults, body, found):
    (fault,) = faults(body)
    assert found in fault


def test_an_order_that_fails_is_named(faults):
    body = "def score(completions):\n    if completions[0] == 'text' and completions[1:]: raise ValueError('x')\n"
    (fault,) = faults(body + "    return [1.0 for c in completions]")
    assert fault == "raised ValueError: x on a batch in another order (mine.py:3)"


def test_what_it_raises_names_the_line_of_the_file_or_the_file(faults):
    (fault,) = faults("import json\ndef score(completions):\n    return [json.loads(c) for c in completions]")
    assert fault.endswith("on an empty completion (mine.py:4)")


def test_every_number_out_of_range_is_named_and_none_is_no_number(faults):
    body = "bounds = (0, 1)\ndef score(completions): return [5.0 if c else None for c in completions]"
    found = faults(body)
    assert len(found) == len(NASTY)  # all but the empty one, and the sample's own
    assert all("outside of its declared range" in fault for fault in found)


def test_parameters_are_handed_over_and_samples_take_turns(faults):
    seen = "def score(completions, answer, *, k): return [float(answer[0] in k) for _ in completions]"
    tried = [Sample({"answer": "a"}, "text"), Sample({"answer": "b"}, None)]
    assert faults(seen, tried, k=["a", "b"]) == []
    (fault,) = faults("def score(completions, answer, *, k): return [1.0 / (answer[0] != k)]", tried, k="b")
    assert "ZeroDivisionError" in fault and "on blanks" in fault  # the second text meets the second sample


def test_without_samples_nothing_is_tried(faults):
    assert faults("def score(completions): return 1 / 0", []) == []


def test_ids_are_as_many_as_a_tokenizer_might_make(faults):
    body = "def score(completions, completion_ids): return [float(4 * len(i) <= len(c) < 4 * len(i) + 4 and i == "
    assert (
        faults("bounds = (0.9, 1)\n" + body + "[*range(len(i))]) for c, i in zip(completions, completion_ids)]") == []
    )


@pytest.mark.parametrize(
    ("cases", "rows", "expected"),
    [
        ([{"answer": "1", "completion": "c", "prompt": "p"}], [], [({"prompts": "p", "answer": "1"}, "c")]),
        ([{"answer": "1"}], [], [({"prompts": "", "answer": "1"}, None)]),
        ([{"completion": "c"}, "no case", 3], [], []),
        ([], [{"prompt": "q", "answer": "2"}], [({"prompts": "q", "answer": "2"}, "q")]),
        ([], [{"prompt": "q"}], []),
        (
            [],
            [{"prompt": [{"content": "a"}, {"content": "b"}], "answer": "2"}],
            [({"prompts": "b", "answer": "2"}, "b")],
        ),
    ],
)
def test_samples_are_cases_and_rows_that_have_what_it_reads(tmp_path, cases, rows, expected):
    (tmp_path / "mine.py").write_text("version = 1\ndef score(completions, prompts, answer, note=None): return []\n")
    found = conformance.samples(read(tmp_path, "mine.py"), cases, rows)
    assert [(sample.values, sample.completion) for sample in found] == expected
