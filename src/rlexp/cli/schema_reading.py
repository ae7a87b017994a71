"""The shapes of the answers that read what is there: ``inspect``, ``runs``, ``diff``, ``doctor``."""

from __future__ import annotations

from rlexp.cli.schema import anything, count, flag, items, mapping, maybe, number, record, text, texts
from rlexp.cli.schema_best import BEST

STEPS = record({"done": count("optimizer steps that were trained"), "asked": count("of the whole run")}, "its steps")
RUNS = items(
    record(
        {
            "folder": text("the run folder, from the project folder"),
            "started": maybe(text("date and time, ISO 8601")),
            "status": text("as in the manifest, or `killed`, `unreadable`"),
            "method": maybe(text("its name")),
            "model": maybe(text("its name")),
            "dataset": maybe(text("its name")),
            "reward": maybe(text("its terms, joined with +")),
            "typed": texts("the overrides that the columns do not show"),
            "metric": maybe(
                record(
                    {"name": text("its name"), "before": maybe(number("before")), "after": maybe(number("after"))},
                    "the main held-out metric",
                )
            ),
            "duration": maybe(number("seconds"), "where nobody saw its end"),
            "identity": maybe(text("sixteen hex digits that name the optimisation problem")),
        },
        optional={
            "reason": text("why it did not finish"),
            "reward_md5s": mapping(text("hash"), "of each term's file", "TERM"),
            "steps": STEPS,
            "fork": anything("of a fork: the `run`, `step` and `identity` that it began from"),
            "start": anything("the run whose weights it begins with, as in the manifest"),
            "tags": texts("of `runs tag`"),
            "owner": text("of `runs tag`"),
            "note": text("of `runs tag`"),
        },
    ),
    "the runs",
)
CHANGE = record(
    {
        "area": text("what it is part of"),
        "key": text("the key, as it is typed where it can be"),
        "a": anything("the value of A; null where it has none"),
        "b": anything("the value of B; null where it has none"),
        "risk": text("how likely it changes the results", "high", "medium", "low"),
        "big": flag("it could change what is learned"),
    },
    optional={
        "variable": text("the variable it belongs to"),
        "follows": text("the other difference that brought it along"),
        "note": text("a remark"),
    },
)
MAIN = record(
    {"name": text("its name"), "before": maybe(number("before")), "after": maybe(number("after"))},
    "",
    {"standard_error": items(maybe(number("")), "of both"), **BEST},
)
DIFF = record(
    {
        "a": text("the run A"),
        "b": text("the run B"),
        "same_identity": flag("both are the same optimisation problem"),
        "changes": items(CHANGE, "every difference, the riskiest first"),
        "big_variables": texts("what could change what is learned"),
        "verdict": text("what the differences mean for reading the results"),
        "held_out": items(maybe(MAIN), "the main held-out metric of A and of B; null where nothing was measured"),
        "steps": items(maybe(STEPS), "those of A and of B; null where that is not known"),
    }
)
DOCTOR = items(
    record(
        {
            "name": text("the check"),
            "level": text("its outcome: one that failed is exit code 1", "skipped", "ok", "warning", "failed"),
            "said": text("what was seen"),
            "where": maybe(text("what to look at")),
            "hint": maybe(text("what to do")),
        }
    ),
    "the checks",
)
SAMPLE = record(
    {
        "number": count("its place in the group, from 1"),
        "text": text("the completion"),
        "as_seen": text("the completion with the special tokens"),
        "tokens": maybe(count("its length with the end token")),
        "cut": maybe(flag("the limit ended it")),
        "scores": mapping(maybe(number("score")), "of each term", "TERM"),
        "reward": maybe(number("the reward")),
        "advantage": maybe(number("the advantage"), "where completions are not compared"),
        "disagreement": maybe(number("largest difference between two terms, 0 to 1")),
        "reasons": mapping(text("why"), "of each term that says it", "TERM"),
    }
)
TARGET = record(
    {
        "name": text("its column"),
        "text": text("what an offline method trains on"),
        "tokens": count("its length"),
        "cut": count("tokens that the trainer cuts off"),
    }
)
GROUP = record(
    {
        "name": text("the row of the data, or the group of the step"),
        "prompt": text("as the model sees it"),
        "prompt_tokens": maybe(count("its length")),
        "columns": anything("the other columns that the terms read"),
        "targets": items(TARGET, "of an offline method"),
        "samples": items(SAMPLE, "the completions that are shown"),
        "size": count("the completions that there are"),
        "mean": maybe(number("mean reward of the group")),
        "std": maybe(number("its standard deviation")),
        "equal": flag("it teaches nothing"),
    }
)
VERDICT = record(
    {
        "name": text("the check"),
        "level": text("its outcome", "skipped", "ok", "warning", "failed"),
        "message": text("what was seen"),
        "where": maybe(text("what to look at")),
        "hint": maybe(text("what to do")),
    }
)
SUMMARY = record(
    {
        "prompts": count("prompts that were drawn"),
        "completions": count("completions that were drawn"),
        "means": mapping(maybe(number("mean")), "by term, and `reward`", "TERM"),
        "stds": mapping(maybe(number("standard deviation")), "by term, and `reward`", "TERM"),
        "tokens": maybe(number("mean length")),
        "cut": maybe(number("share that the limit ended")),
        "empty": maybe(number("share without text")),
        "equal": maybe(number("share of the groups that teach nothing")),
    },
    "everything that was drawn",
)
INSPECT = record(
    {
        "head": mapping(text("value"), "what is shown: model, data, reward, sampling", "KEY"),
        "verdicts": items(VERDICT, "the checks of template and tokenizer"),
        "groups": items(GROUP, "a prompt each"),
        "summary": SUMMARY,
    }
)
