"""The shapes of the answers about runs: one that is planned, one that ran, a sweep, a replay, a ladder."""

from __future__ import annotations

from rlexp.cli.answer import FORMAT
from rlexp.cli.schema import Fields, Schema, anything, count, flag, items, mapping, maybe, number, record, text, texts
from rlexp.cli.schema_best import BEST

FIELD_FORMAT = {"format": {"const": FORMAT, "type": "integer", "description": "the format of the answer"}}
WARNING = record({"name": text("the check or rule"), "said": text("what was seen, with its numbers")})
WARNINGS = {"warnings": items(WARNING, "what the checks, the health rules and the end of the run warned of")}
SCORE = record(
    {"before": maybe(number("before training")), "after": maybe(number("after it"))},
    optional={"standard_error": items(maybe(number("")), "of both, where it is known"), **BEST},
)
BEGUN = anything(
    "the run whose weights it begins with: `run`, `step`, `identity`, `sha256`, `full`, `merged`, `before`"
)
STATUS = text("how it stands", "finished", "running", "stopped", "failed", "interrupted", "killed", "no record")
RUN: Schema = record(
    {"run_dir": text("the run folder, from the project folder"), "status": STATUS},
    optional={
        "reason": text("why it did not finish"),
        "identity": text("sixteen hex digits that name the optimisation problem"),
        "method": text("its name"),
        "model": text("its name"),
        "dataset": text("its name"),
        "reward": text("its terms, joined with +"),
        "overrides": texts("what was typed"),
        "steps": count("the last step that was logged"),
        "steps_asked": count("the steps of the whole run"),
        "fork": anything("of a fork: the `run`, `step` and `identity` that it began from"),
        "metric": {
            **maybe(record({"name": text("its name"), **SCORE["properties"]}, "the main held-out metric")),
            "required": ["name", "before", "after"],
        },
        "held_out": mapping(SCORE, "every held-out metric: the reward and each term, or loss and margins"),
        "selection": anything(
            "the choice of a checkpoint, as in the manifest: `step`, `best`, `candidates`, `measured`, `optimism`, ..."
        ),
        "start": BEGUN,
        "weights": maybe(text("the folder of what was trained, from the project folder"), "where there is none"),
        "health": mapping(
            record({"level": text("warn or stop"), "first_step": count("the step it was first seen at")}),
            "rules that found something",
            "RULE",
        ),
        **WARNINGS,
        "step_time_s": mapping(maybe(number("")), "the median seconds of a step and of its parts", "PART"),
        "memory_gib": anything("on a GPU: `estimated` by part, `measured` (`reserved`, `allocated`)"),
        "smoke": anything("the figures of its smoke pass, as in the manifest"),
        "timings_s": mapping(number(""), "seconds since the beginning at which each stage ended; `total`", "STAGE"),
        "warm": flag("of a point: its worker had loaded the model for an earlier one"),
    },
)


def _with(fields: Fields, optional: Fields | None = None) -> Schema:
    """A run with more fields."""
    more = {**RUN, "properties": {**RUN["properties"], **fields, **(optional or {})}}
    return {**more, "required": [*RUN["required"], *fields]}


VARIED = {"varied": texts("the overrides that not every point has")}
SWEEP = record(
    {
        **FIELD_FORMAT,
        "sweep_dir": text("the folder of the sweep (`-m`)"),
        "points": items(_with(VARIED), "its points, each with the fields of a run"),
        "impossible": items(
            record({"overrides": texts("as typed"), "reason": text("why it cannot be")}),
            "points that were left out (`sweep.skip_impossible=true`)",
        ),
    },
    optional={"ended": text("what ended it before all points were tried, and how it goes on")},
)
EVALUATED = {"evaluation": anything("of `eval=`: the answer of `evaluate`")}
CONFIG = record({**FIELD_FORMAT, "config": anything("the composed tree (`--cfg job`)")})
JOBS: Schema = {"oneOf": [_with(FIELD_FORMAT, EVALUATED), SWEEP, CONFIG]}

SOURCE = record(
    {
        "run": text("the run that is replayed"),
        "identity": text("its identity"),
        "checksum": text("of its lock"),
    },
    "what was replayed",
)
AGREEMENT = record(
    {
        "level": text("how far they agree", "inputs", "step", "trajectory"),
        "steps": count("logged steps that were compared and agree"),
        "difference": {
            **maybe(
                record(
                    {
                        "step": count("its step"),
                        "key": text("what differs"),
                        "expected": anything("the value then"),
                        "actual": anything("the value now"),
                    },
                    "the first difference",
                )
            )
        },
        "asked": text("the level asked for"),
        "reached": flag("whether it is reached: else exit code 3"),
    },
    "how far the two runs agree",
)
NOTES = {"notes": texts("what a person should read")}
CHECKED = record(
    {**FIELD_FORMAT, "status": text("of `--check`: the inputs are the locked ones", "checked")}
    | {"replay_of": SOURCE, **NOTES}
)
REPLAY: Schema = {"oneOf": [_with({**FIELD_FORMAT, **NOTES}, {"replay_of": SOURCE, "agreement": AGREEMENT}), CHECKED]}
TRAINED = record(
    {
        "start": number("the mean over the first fifth of the steps"),
        "end": number("the mean over the last fifth"),
        "errors": items(number(""), "the standard errors of both"),
    }
)
LADDER = record(
    {
        **FIELD_FORMAT,
        "folder": text("the folder of the rungs"),
        "rungs": items(
            record(
                {
                    "terms": texts("the reward's terms"),
                    "trained": mapping(
                        TRAINED, "what the trainer logged: the terms, `reward`, `tokens`, `equal groups`"
                    ),
                    "run": {**RUN, "description": "the run of the rung"},
                }
            ),
            "one term more each",
        ),
        "verdict": text("the first addition that did harm, in one sentence"),
    }
)
