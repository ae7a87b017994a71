"""The shapes of the answers of ``export``, ``card`` and ``ship``."""

from __future__ import annotations

from rlexp.cli.schema import Fields, anything, count, flag, items, mapping, maybe, number, record, text

REASON = record(
    {
        "name": text("what was looked at: prompt.text, ends.missing, adapter.share, divergence, task, ..."),
        "level": text("the verdict that it alone gives", "identical", "equivalent", "degraded", "broken"),
        "why": text("what was seen"),
    }
)
SNIPPET = record(
    {
        "program": text("asks the artifact in its runtime; FOLDER stands for its place"),
        "same": flag("it was run and gave the answer that the gate saw"),
        "said": text("what it printed, or the last line of its error"),
    }
)
ARTIFACT = record(
    {
        "kind": text("the format"),
        "type": text("the type within it"),
        "runtime": text("what it was held against the run in"),
        "path": text("what the runtime loads, within its folder"),
        "modelfile": maybe(text("its Ollama Modelfile"), "of another format than gguf"),
        "bytes": count("of its files"),
        "seconds": number("it took to make"),
        "files": mapping(record({"sha256": text("its hash"), "size": count("bytes")}), "its files", "FILE"),
        "tools": mapping(text("its version"), "what made it", "PACKAGE"),
        "mix": mapping(number("its share of all weights"), "the types of the weights", "TYPE"),
        "note": maybe(text("what a person should know")),
        "verdict": text("of the gate", "identical", "equivalent", "degraded", "broken"),
        "reasons": items(REASON, "why"),
        "gate": anything("everything that was measured: prompts, ends, greedy, stopped, divergence, baselines"),
        "task": anything("the paired difference of the task's metric from the run, with margin; null where unmeasured"),
        "snippet": anything("program, same, said; null where its runtime did not answer"),
    }
)
EXPORT: Fields = {
    "folder": text("exports/RUN"),
    "of": anything("the run, its step, its identity, the hashes of its weights"),
    "prompt": anything("a prompt as the model reads it; null where no artifact could be loaded"),
    "artifacts": mapping(ARTIFACT, "what was made", "ARTIFACT"),
}
SHIP = record({"name": maybe(text("the artifact"), "where none qualifies"), "why": text("why this one")})
CARD: Fields = {"file": text("the card"), "notes": text("a person's own words, which are never overwritten")}
SHIPPED: Fields = {
    "folder": text("exports/RUN"),
    "stages": items(text("a stage"), "what was done, in order"),
    "wrong": items(text("an artifact that is broken or died, and why"), "what is wrong; exit code 1"),
}
