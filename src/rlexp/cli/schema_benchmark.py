"""The shape of the answer of ``benchmark``: its record, and where it is."""

from __future__ import annotations

from rlexp.cli.schema import Fields, Schema, anything, count, items, mapping, maybe, number, record, text, texts

ENDS: Fields = {
    "mean": maybe(number("over prompts"), "where nothing was scored"),
    "low": maybe(number("the lower end of its 95% interval")),
    "high": maybe(number("the upper end")),
}


def spread(about: str) -> Schema:
    """Percentiles: ``p50``, ``p95``, ``p99``; empty where nothing was timed."""
    return mapping(number("seconds"), f"{about}, as p50, p95 and p99", "PERCENTILE")


LEVEL = record(
    {
        "together": count("requests at once"),
        "requests": count("requests in all"),
        "tokens": count("tokens of the answers"),
        "first_token_s": spread("until the first token"),
        "token_s": spread("from token to token of an answer"),
        "answer_s": spread("whole answers"),
        "tokens_per_s": maybe(number("of all requests together")),
        "answers_per_s": maybe(number("likewise")),
    }
)
RATE = record(
    {
        "limit_s": number("what the 99th percentile of an answer may take"),
        "per_s": maybe(number("the highest rate that kept it"), "where none did"),
        "p99_s": maybe(number("the percentile at that rate")),
        "above_per_s": maybe(number("the lowest rate that did not keep it"), "where every one did"),
        "bound": text("what ended the search: where it is time, the rate might be higher", "runtime", "time"),
        "trials": items(
            record(
                {
                    "per_s": number("a rate, in requests a second"),
                    "p99_s": maybe(number("the percentile"), "where answers were given up as too late"),
                }
            ),
            "the rates that were tried",
        ),
    },
    "requests that arrive by chance",
)
ARTIFACT = record(
    {
        "kind": text("its format"),
        "type": text("its type"),
        "runtime": text("what loads it"),
        "bytes": count("of its files"),
        "tools": mapping(text("the version"), "what made it", "PACKAGE"),
        "died": {
            **record({"part": text("where"), "why": text("what its process said")}),
            "type": ["object", "null"],
            "description": "where and why it could not be measured further; null where it could",
        },
        "score": {
            **record(
                {
                    "task": text("the task"),
                    "metric": text("what speaks for it"),
                    "samples": count("completions a prompt"),
                    "prompts": count("prompts with a score"),
                    **ENDS,
                    "pass_hat": mapping(record(ENDS, "whether all k are right"), "pass^k", "K"),
                    "run": record(ENDS, "the run itself"),
                    "file": text("the record of the evaluation"),
                }
            ),
            "type": ["object", "null"],
            "description": "the task's score; null where it died before",
        },
    },
    optional={
        "loaded": text("the runtime and its version, as it says them"),
        "load": record({"seconds": number("until it is ready"), "imports_s": number("of them for imports")}),
        "levels": items(LEVEL, "by requests at once"),
        "peak_gib": number("the most memory that it held, before the odd prompts"),
        "rate": RATE,
        "repeated": record(
            {
                "repeats": count("times that the same prompt was asked greedily"),
                "together": count("requests of the crowd"),
                "alone": number("the share of answers that are the most frequent one, alone"),
                "crowd": number("the share that are this one, in a crowd"),
            }
        ),
        "odd": mapping(
            record(
                {
                    "outcome": text("what became of it", "ended", "cut", "refused", "died"),
                    "why": maybe(text("the rule that makes the answer garbage, or what the runtime said")),
                }
            ),
            "odd prompts",
            "PROMPT",
        ),
        "quality": record(
            {
                "answers": count("answers that were looked at"),
                "ended": maybe(number("the share that the model ended")),
                "garbage": maybe(number("the share that a rule calls garbage")),
                "by_rule": mapping(count("answers"), "by rule", "RULE"),
            }
        ),
    },
)
BENCHMARK: Fields = {
    "folder": text("of the export, which holds `benchmark.json`"),
    "of": anything("the run, its step and its hashes"),
    "machine": anything("the machine: processor, cores, threads, GPUs"),
    "settings": record(
        {
            "requests": count("of every level"),
            "seconds": number("for the search of the rate"),
            "p99": maybe(number("what was typed"), "for twice the 95th percentile of an answer alone"),
            "max_new_tokens": count("of an answer"),
        }
    ),
    "artifacts": mapping(ARTIFACT, "what was measured", "ARTIFACT"),
    "slow": texts("what is slower than the merged model on this machine"),
    "plots": texts("the pictures; none without matplotlib"),
}
