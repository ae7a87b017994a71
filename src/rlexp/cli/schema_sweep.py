"""The shape of the answer of ``sweep``."""

from __future__ import annotations

from rlexp.cli.schema import Fields, anything, count, flag, items, mapping, maybe, number, record, text, texts

VALUES: Fields = {
    "values": mapping(anything(""), "the varied keys, the seed not among them; null where nothing says it", "KEY")
}
LIMITS: Fields = {
    "low": maybe(number("the lower end of the 95% interval"), "where there is none"),
    "high": maybe(number("the upper end")),
}
METRIC = record(
    {
        "name": text("its name, TASK.METRIC of an evaluation"),
        "source": text("where it is from", "held out", "evaluation"),
        "better": text("its direction", "higher", "lower"),
        "others": texts("what `--metric` takes besides"),
    },
    "what the points are compared by",
)
POINT = record(
    {
        "run_dir": text("the run folder, from the project folder"),
        **VALUES,
        "seed": maybe(count("its seed")),
        "status": text("how it stands; `not begun` where it left no record"),
        "before": maybe(number("the metric before training")),
        "after": maybe(number("after it")),
        "change": maybe(number("after - before")),
        "steps": maybe(count("optimizer steps that were done")),
        "seconds": maybe(number("of the whole run")),
        "warm": maybe(flag("it found its model loaded")),
    },
    optional={"reason": text("why it did not finish")},
)
SETTING = record(
    {
        **VALUES,
        "runs": texts("the folders of its runs"),
        "mean": number("over seeds"),
        **LIMITS,
        "seeds": count("how many"),
        "method": text("the interval that was used; `none: ...` says why there is none"),
    }
)
EFFECT = record(
    {
        "key": text("a varied key"),
        "levels": items(
            record({"value": anything("a value of it"), "points": count("that have it"), "mean": number("over them")}),
            "its values, in order",
        ),
        "differences": items(
            record(
                {
                    "value": anything("a value"),
                    "against": anything("the first value"),
                    "mean": number("how much it changes the metric, all else equal"),
                    **LIMITS,
                }
            ),
            "none where the key is aliased",
        ),
        "p": maybe(number("of no effect (F)"), "where nothing tells the noise"),
        "p_holm": maybe(number("p after Holm's correction over the keys")),
        "claimed": flag("p_holm is under 0.05"),
        "aliased": texts("keys that the design cannot tell it from"),
        "method": text("how it was found; `none: ...` says why there is no p"),
    }
)
SECOND = record(
    {
        **VALUES,
        "mean": number("over seeds"),
        "difference": number("the best less the second"),
        **LIMITS,
        "p": maybe(number("two-sided, of no difference"), "where nothing tells the noise"),
        "told": flag("p is under 0.05: the best is told from every other setting"),
        "method": text("the test that was used; `none: ...` says why there is none"),
        "noise": maybe(number("standard deviation of a difference of two settings on one seed")),
        "seeds_needed": maybe(count("of each setting, for this difference at 80% power")),
        "more_seeds": maybe(count("those that are lacking; 0 where they are told apart")),
    },
    "the setting that is told from the best the least",
)
BEST = record(
    {
        **VALUES,
        "run_dir": text("its run with the best metric: what `pin FOLDER@best` takes"),
        "mean": number("over seeds"),
        "optimism": maybe(number("how much the mean flatters it for having been chosen"), "with one seed in common"),
        "corrected": maybe(number("the mean less that")),
        **LIMITS,
        "method": text("how the optimism was found"),
        "second": {**SECOND, "type": ["object", "null"]},
    },
    "the setting with the best mean",
)
SWEEP: Fields = {
    "sweep_dir": text("the folder of the sweep, from the project folder"),
    "metric": {**METRIC, "type": ["object", "null"]},
    "keys": texts("the varied keys, the seed not among them"),
    "points": items(POINT, "in the order of the plan"),
    "impossible": items(
        record({"overrides": texts("what was typed"), "reason": text("why it cannot be")}), "points that were left out"
    ),
    "settings": items(SETTING, "seeds folded, the best first"),
    "effects": items(EFFECT, "of each key with two values or more"),
    "best": {**BEST, "type": ["object", "null"]},
    "notes": texts("what a person should know of the statistics"),
    "written": texts("the files of `--csv` and `--parquet`"),
}
