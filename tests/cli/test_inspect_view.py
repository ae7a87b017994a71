"""How inspect looks where it is piped."""

import io

import pytest

from rlexp.cli import inspect_json, inspect_view
from rlexp.evaluate.samples import SampledGroups, Target, TextSpan, grouped, summary
from rlexp.verdict import Level, Verdict

ODD = "[red]no markup[/] :smile: \x1b[31m\tred‮ 漢字 \ud800\nnext"
PROMPT = (TextSpan("<s>", "bos"), TextSpan("What is 4 + 4?"), TextSpan("<|end|>", "eos"), TextSpan("\n"))


@pytest.fixture(scope="module")
def run(composed):
    return composed("method.num_generations=4")


def printed(run, width, monkeypatch, terms=("correct", "format")):
    texts = [ODD, "word " * 60, "x" * 300, ""]
    groups = grouped(
        run,
        SampledGroups(
            groups=["train row 0"],
            prompts=[PROMPT],
            prompt_tokens=[9],
            columns=[{"answer": "8"}],
            targets=[(Target("chosen", (TextSpan("eight"),), 30, 12),)],
            completions=texts,
            pieces=[(TextSpan(text),) for text in texts],
            tokens=[9, 60, 300, 0],
            truncated=[False, False, True, True],
            scores={name: [0.0, 0.5, None, 1.0] for name in terms},
            rewards=[0.0, 1.0, None, 2.0],
            reasons=[{"format": "none of the [b]tags[/b]"}, {}, {}, {}],
        ),
        {"correct": (0.0, 1.0)},
        compared=all(name in run.reward.terms for name in terms),
    )
    monkeypatch.setenv("COLUMNS", str(width))
    out = io.StringIO()
    console = inspect_view.console_for(out)
    with inspect_view.tidy(console):
        inspect_view.show_head(
            console, [("model", "tiny"), ("eos", "<|end|>")], [Verdict("t.x", Level.warning, "[x] odd")]
        )
        inspect_view.show_group(console, groups[0], "prompt 1 of 1", {"correct": (0.0, 1.0)})
        inspect_view.show_summary(console, summary(groups, True), {"correct": 1.0, "format": 1.0}, "shown: 1 of 1")
    return out.getvalue()


@pytest.mark.parametrize("width", [60, 80, 120])
def test_the_view_is_plain_text_at_any_width_and_shows_odd_characters(run, width, monkeypatch):
    said = printed(run, width, monkeypatch)
    lines = said.split("\n")
    assert max(len(line) for line in lines) <= width and all(line == line.rstrip() for line in lines)
    assert not any("─" <= character <= "╿" for character in said) and "\x1b" not in said
    assert "[red]no markup[/] :smile: \\x1b[31m\\tred\\u202e 漢字 \\ud800\\n" in " ".join(said.split()) or width == 60
    assert "<s>[BOS]What is 4 + 4?<|end|>[EOS]\\n" in said
    assert "300 cut" in said and "(empty)" in said and "none of the [b]tags[/b]" in " ".join(said.split())
    assert "the last 12 are cut off" in " ".join(said.split()) and "[x] odd" in said
    assert "x" * 300 in "".join(said.split())  # folded, and nothing of it lost
    assert "group of 4: reward 1.000, std 1.000" in said


def test_many_terms_on_a_narrow_terminal_are_named_at_every_completion(run, monkeypatch):
    said = printed(run, 60, monkeypatch, terms=[f"a_long_term_{n}" for n in range(6)])
    assert said.count("a_long_term_5") >= 4 and max(len(line) for line in said.split("\n")) <= 60


def test_equal_completions_become_one_line(run, monkeypatch):
    groups = grouped(
        run,
        SampledGroups(["g"], [(TextSpan("p"),)], [1], [{}], [()], ["a"] * 3 + ["b"],
              [(TextSpan("a"),)] * 3 + [(TextSpan("b"),)],
              [1] * 4, [False] * 4, {"correct": [0.0] * 4, "format": [0.0] * 4}, [0.0] * 4, [{}] * 4),
        {}, compared=True,
    )  # fmt: skip
    out = io.StringIO()
    inspect_view.show_group(inspect_view.console_for(out), groups[0], "prompt", {})
    assert "1 x3" in out.getvalue() and "it teaches nothing" in out.getvalue()
    assert inspect_json.to_json(groups[0])["samples"][3]["as_seen"] == "b"
