"""The shape of the answer of ``evaluate``: the record of an evaluation, and where it is."""

from __future__ import annotations

from rlexp.cli.schema import Fields, anything, count, flag, items, mapping, maybe, number, record, text

NOISE: Fields = {
    "prompts": count("prompts with a score"),
    "method": text("the interval that was used; `none: ...` says why there is none"),
    "data_noise": maybe(number("standard deviation across prompts"), "where no prompt has two samples"),
    "prediction_noise": maybe(number("that of one sample around its prompt"), "likewise"),
    "error": maybe(number("the standard error, by prompts")),
}
INTERVAL: Fields = {
    "mean": maybe(number("over prompts"), "where nothing was scored"),
    "low": maybe(number("the lower end of its 95% interval")),
    "high": maybe(number("the upper end")),
}
ESTIMATE = record(
    {
        **INTERVAL,
        **NOISE,
        "samples": count("samples with a score"),
        "unscored": count("samples without one, which are left out"),
    },
    "a metric: reward, accuracy, pass@4, a term of the scorer, tokens, ...",
)
DIFFERENCE = record(
    {
        "metric": text("what is compared"),
        "one": text("a subject"),
        "other": text("the subject that it is taken from: other - one, prompt by prompt"),
        "claimed": flag("it is the metric that speaks for the task"),
        **INTERVAL,
        **NOISE,
        "p": maybe(number("two-sided, of no difference")),
        "correlation": maybe(number("of the prompts' means on both sides")),
    },
    optional={"p_holm": number("p after Holm's correction over everything that is claimed")},
)
SHARED = record(
    {
        "rows": count("rows of the task that were looked at"),
        "exact": items(count(""), "those that are trained on, by their place"),
        "near": items(count(""), "those that nearly are"),
    },
    "what the run's training rows share with the task's; a run that shares nothing is not named",
)
FORGOTTEN = record(
    {
        "task": text("of the suite general"),
        "subject": text("what is worse at it"),
        "base": text("than this"),
        "metric": text("what is compared"),
        **INTERVAL,
    },
    "a paired difference whose interval lies below 0",
)
EVALUATION: Fields = {
    "file": text("the record"),
    "key": text("the hash of what the evaluation is of"),
    "seed": count("of the sampling"),
    "engine": text("what sampled", "transformers", "vllm"),
    "tasks": mapping(anything("a task, by its hashes: data, rewards, sampling"), "what was asked", "TASK"),
    "subjects": mapping(record({"digest": anything("its hashes")}), "what was evaluated", "SUBJECT"),
    "samples": mapping(
        mapping(
            record({"file": text("from the folder of evaluations"), "sha256": text("its hash")}),
            "by subject",
            "SUBJECT",
        ),
        "every sample with its scores",
        "TASK",
    ),
    "results": mapping(
        mapping(mapping(ESTIMATE, "by metric", "METRIC"), "by subject", "SUBJECT"), "what came out", "TASK"
    ),
    "differences": mapping(items(DIFFERENCE, "of every two subjects"), "what is better, by how much", "TASK"),
    "detectable": mapping(
        maybe(number("the smallest difference that so many prompts and samples see at 80% power")), "by task", "TASK"
    ),
    "forgotten": items(FORGOTTEN, "of what was not trained; none without eval=general"),
    "general": items(text("a task"), "of the suite general: what was not trained"),
    "contamination": mapping(mapping(SHARED, "by run", "RUN"), "rows that were trained on", "TASK"),
    "measured": items(
        record({"task": text("a task"), "subject": text("a subject"), "seconds": number("what it took")}),
        "what was not there and was measured now",
    ),
}
