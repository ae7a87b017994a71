"""The shape of every verb's answer with ``--json``: JSON Schema, draft 2020-12. docs/json.md lists the fields."""

from __future__ import annotations

from rlexp.cli.schema import Schema, count, flag, items, mapping, maybe, number, record, text, texts
from rlexp.cli.schema_benchmark import BENCHMARK
from rlexp.cli.schema_difficulty import DIFFICULTY
from rlexp.cli.schema_evaluate import EVALUATION
from rlexp.cli.schema_export import CARD, EXPORT, SHIP, SHIPPED
from rlexp.cli.schema_pack import PACK, UNPACK
from rlexp.cli.schema_plan import PLAN, SAVED
from rlexp.cli.schema_reading import DIFF, DOCTOR, INSPECT, RUNS
from rlexp.cli.schema_report import REPORT
from rlexp.cli.schema_runs import FIELD_FORMAT, JOBS, LADDER, NOTES, REPLAY
from rlexp.cli.schema_sweep import SWEEP
from rlexp.cli.schema_usage import HELP, VERSION
from rlexp.verdict import Level

DIALECT = "https://json-schema.org/draft/2020-12/schema"
EXIT_CODES = {
    "0": "done",
    "1": "any other failure: a run that failed of what nobody foresaw, a point or a rung that did not finish, a reward "
    "or a check that failed; a reader that went away before the end (`| head`); a bug of rlexp, with a traceback",
    "2": "a mistake, or what preflight or health stopped; a disk that refused",
    "3": "a replay that did not reach its level",
    "130": "ended by Ctrl-C (SIGINT)",
    "143": "ended by SIGTERM",
}
"""Exit code -> what it says."""


ERROR = record(
    {
        **FIELD_FORMAT,
        "error": record(
            {
                "what": text("what is wrong, in one sentence"),
                "where": maybe(text("the file and key, or the words, that hold it")),
                "hint": maybe(text("the nearest valid choice, and what to type")),
            },
            "the message, as stderr has it",
        ),
        "exit_code": count("as the process ends"),
    },
    optional={"run_dir": text("the folder of the run that it ended"), "go_on": text("what to type to go on with it")},
)
"""The answer of every verb that did not do what was asked."""

INIT = record(
    {
        **FIELD_FORMAT,
        "folder": text("the project, from where the command was typed"),
        "made": texts("the files that were written"),
        "kept": texts("files that were there and are left as they are"),
    }
)
DATA = record(
    {
        **FIELD_FORMAT,
        "dataset": record({"name": text("its option"), "path": text("its snapshot"), "type": text("TRL's type")}, "it"),
        "splits": mapping(
            record({"rows": count("rows"), "prompts": count("prompts that differ")}), "what each holds", "SPLIT"
        ),
        "columns": mapping(text("its type"), "the columns", "COLUMN"),
        "findings": items(
            record(
                {
                    "name": text("of the check"),
                    "level": text("the outcome", *(level.value for level in Level)),
                    "said": text("what was seen"),
                    "hint": maybe(text("what to do"), "where nothing is"),
                    "count": count("rows that it is about"),
                    "rows": items(record({"split": text("train, test"), "row": count("from 0")}), "the first of them"),
                }
            ),
            "the checks of the rows",
        ),
        "strangest": items(
            record(
                {
                    "split": text("train"),
                    "row": count("from 0"),
                    "why": text("what is unusual of it"),
                    "text": text("its prompt"),
                }
            ),
            "the rows least like the rest, at most five",
        ),
    }
)
PREPARE = record(
    {
        **FIELD_FORMAT,
        **SAVED,
        "ready": items(
            record(
                {
                    "dataset": record(
                        {
                            "name": text("its option"),
                            "path": text("its snapshot"),
                            "rows": mapping(count("rows"), "of each split", "SPLIT"),
                        },
                        "the data",
                    ),
                    "model": record(
                        {
                            "name": text("its option"),
                            "path": maybe(text("its folder"), "for a model of the hub"),
                            "hub_id": maybe(text("its name on the hub")),
                        },
                        "the base model",
                    ),
                }
            ),
            "the inputs that are there now, a run each",
        ),
    }
)
REWARD = record(
    {
        "name": text("the term"),
        "file": text("its file"),
        "version": count("the version that the file says"),
        "mark": text("how its code stands to the recorded versions", "recorded", "new", "changed"),
        "cases": count("cases in its file"),
        "cases_passed": count("of them passed"),
        "suite": text("of what every reward must pass", "passed", "fails", "needs cases", "not tried here"),
        "problems": texts("every case and check that failed"),
        "not_here": text("why it was not tried; empty where it was"),
    }
)
ATTEMPT = record(
    {
        "kind": text("gold, or a cheat"),
        "means": mapping(maybe(number("mean score")), "by term, and `reward`", "TERM"),
        "rows": count("rows of the data"),
        "failing": texts("rows that scored what they must not"),
    }
)
COVERAGE = record(
    {
        "name": text("the term"),
        "applied": count("rows that it gives a score to"),
        "tried": count("rows that were tried, all over the training split"),
        "missing": count("rows that lack what it reads"),
    }
)
RESCORED_TERM = record(
    {
        "code": text("as locked, or the versions then and now"),
        "up": count("completions that got more"),
        "down": count("completions that got less"),
        "mean": record({"before": maybe(number("then")), "now": maybe(number("now"))}, "the mean scores"),
        "rank_correlation": maybe(number("Spearman's, inside groups"), "where no group has an order"),
        "changed": items(
            record(
                {
                    "step": count("its step"),
                    "group": count("its group in the step"),
                    "completion": text("its text"),
                    "before": maybe(number("the score then")),
                    "now": maybe(number("the score now")),
                }
            ),
            "every completion whose score is another one",
        ),
    }
)
SCORE: Schema = {
    "oneOf": [
        record(
            {
                **FIELD_FORMAT,
                "passed": flag("nothing failed: else exit code 1"),
                "rewards": items(REWARD, "the rewards that were tried"),
                "faults": texts("code that changed without a higher version"),
                "rows": items(ATTEMPT, "what gold completions and cheats score over rows of the data"),
                "coverage": items(COVERAGE, "how many rows of the data each term applies to"),
                "recorded": items(
                    record({"file": text("the reward's file"), "version": count("its version")}),
                    "what `--record` added to rewards.lock.yaml",
                ),
            }
        ),
        record(
            {
                **FIELD_FORMAT,
                "rescored": record(
                    {
                        "run_dir": text("the run"),
                        "against": maybe(text("what the present code is compared with"), "for the stored scores"),
                        "completions": count("stored completions"),
                        "terms": mapping(RESCORED_TERM, "every term of its reward", "TERM"),
                    },
                    "of `completions=RUN`",
                ),
            }
        ),
    ]
}
PIN = record(
    {
        **FIELD_FORMAT,
        "identity": text("that of the run"),
        "lock": text("its lock, from the project folder"),
        **NOTES,
        "next": texts("commands that come next"),
    },
    optional={"chosen": text("of `pin SWEEP@best`: the run that was taken, and why")},
)
ANSWERS: dict[str, Schema] = {
    "train": JOBS,
    "init": INIT,
    "data": DATA,
    "difficulty": DIFFICULTY,
    "plan": PLAN,
    "prepare": PREPARE,
    "smoke": JOBS,
    "score": SCORE,
    "inspect": INSPECT,
    "ladder": LADDER,
    "evaluate": record({**FIELD_FORMAT, **EVALUATION}),
    "export": record({**FIELD_FORMAT, **EXPORT}, optional={"ship": SHIP}),
    "card": record({**FIELD_FORMAT, **CARD}),
    "ship": record({**FIELD_FORMAT, **SHIPPED}),
    "benchmark": record({**FIELD_FORMAT, **BENCHMARK}),
    "report": record({**FIELD_FORMAT, **REPORT}),
    "sweep": record({**FIELD_FORMAT, **SWEEP}),
    "pin": PIN,
    "replay": REPLAY,
    "pack": PACK,
    "unpack": UNPACK,
    "diff": DIFF,
    "runs": RUNS,
    "doctor": DOCTOR,
    "help": HELP,
    "version": VERSION,
}
"""Verb -> its answer."""

SCHEMAS: dict[str, Schema] = {
    verb: {"$schema": DIALECT, "title": f"python -m rlexp {verb} --json", "anyOf": [answer, ERROR]}
    for verb, answer in ANSWERS.items()
}
"""Verb -> what stdout holds: its answer, or an error."""
