"""The shape of the answer of ``plan``."""

from __future__ import annotations

from rlexp.cli.schema import Fields, Schema, anything, count, flag, items, mapping, maybe, number, record, text, texts
from rlexp.cli.schema_plan_data import PLANNED_DATA
from rlexp.cli.schema_runs import BEGUN, FIELD_FORMAT

EXPECTED = maybe(
    record(
        {
            "seconds": number("the whole run"),
            "step_s": number("a step"),
            "steps": count("steps, those of a smoke among them"),
            "runs": count("runs of this project that it is from"),
            "similar": flag("they differ in batch, length or reference: a step is scaled by its tokens"),
            "warm": flag("it will find its model loaded"),
        },
        "the time it will take",
    ),
    "where no run of the kind is there yet",
)
PLANNED = record(
    {
        "identity": text("sixteen hex digits that name the optimisation problem"),
        "overrides": texts("what was typed"),
        "seed": count("of everything that is drawn"),
        "model": record(
            {
                "name": text("its option"),
                "path": maybe(text("its folder"), "for a model of the hub"),
                "hub_id": maybe(text("its name on the hub")),
                "revision": maybe(text("its revision there")),
                "full_finetuning": flag("every weight is trained, not an adapter"),
                "lora_r": maybe(count("the adapter's rank")),
                "max_seq_length": count("tokens"),
                "made_by": maybe(text("the script that makes it first"), "where it is there"),
                "start": BEGUN,
            },
            "the base model",
        ),
        "method": record(
            {
                "name": text("its option"),
                "steps": maybe(count("optimizer steps"), "while there are no rows to count"),
                "changed_arguments": mapping(anything(""), "arguments that differ from TRL's defaults", "ARGUMENT"),
            },
            "the method",
        ),
        "dataset": PLANNED_DATA,
        "rewards": mapping(
            record(
                {
                    "file": text("its file"),
                    "version": count("its version"),
                    "weight": number("its weight"),
                    "reads": texts("the columns that it sees"),
                }
            ),
            "the reward's terms",
            "TERM",
        ),
        "hardware": record(
            {
                "name": text("its option"),
                "device": text("cpu or cuda"),
                "dtype": text("the type of the weights"),
                "memory_gib": maybe(number("of a device")),
                "rollout_devices": count("devices for a vLLM server"),
            },
            "where it runs",
        ),
        "rollout": record(
            {"name": text("what samples"), "why": text("auto's reason; empty where it was typed")}, "the sampler"
        ),
        "step": record(
            {
                "prompts": count("prompts of an optimizer step"),
                "num_generations": count("completions of each"),
                "sequences": count("sequences of a step"),
                "devices": count("devices that train"),
                "per_device_train_batch_size": count("the micro-batch"),
                "gradient_accumulation_steps": count("passes"),
            },
            "the batch geometry",
        ),
        "memory_gib": {
            **maybe(mapping(number("GiB"), "the estimate of a device's memory", "PART"), "on a CPU, or not known"),
        },
        "largest": maybe(
            record(
                {
                    "micro_batch": count(
                        "sequences of a pass without recomputation, of the step said below; 0: none fits"
                    ),
                    "micro_batch_recomputed": count("the same with recomputation"),
                    "prompts": count("a step: the run's, or fewer where no micro-batch of its step fits"),
                    "tokens": count("of a sequence: the run's, or fewer where not one prompt fits"),
                    "overrides": texts("what to type for it; none where nothing fits"),
                },
                "the largest geometry that fits the device",
            ),
            "on a CPU, or not known",
        ),
        "by_id": mapping(text(""), "what an id, a folder or a file settled: `model defaults`, `rows of`"),
        "smoke": text("whether smoke steps go first, and what they say of the time"),
        "warnings": items(
            record(
                {
                    "name": text("the check"),
                    "said": text("what was seen, with its numbers"),
                    "hint": maybe(text("what to type, or to change")),
                }
            ),
            "what the checks warn of",
        ),
        "config": anything("the whole composed tree"),
        "time": EXPECTED,
    }
)
PLANNED_POINT = {
    "folder": text("its folder, from that of the sweep"),
    "varied": texts("the overrides that not every point has"),
    "trained": flag("it was trained already (`sweep.into`)"),
}
PLANNED_SWEEP = record(
    {
        "folder": text("of the sweep"),
        "launcher": text("what starts its points"),
        "workers": maybe(count("points at once"), "where the launcher decides"),
        "todo": count("points that will be trained"),
        "unknown": count("of them without an estimate of their time"),
        "seconds": number("of work, of those whose time is known"),
        "wall_s": maybe(number("seconds by the clock, with so many workers"), "where the launcher decides"),
        "impossible": items(
            record({"overrides": texts("of the point"), "reason": text("why it cannot be")}),
            "points that are left out (`sweep.skip_impossible`)",
        ),
    },
    "the points together",
)
ARGUMENT = record(
    {
        "name": text("of the trainer's config class"),
        "asked": anything("the value asked for"),
        "held": anything("the value in effect"),
        "status": text("how it came about", "default", "asked", "derived", "adjusted", "changed"),
        "why": text("the reason, where there is one"),
    }
)
SAVED: Fields = {"saved": texts("the options that `--save-as` wrote")}
GOING_ON: Fields = {"going_on": texts("of `resume=` and `fork=`: from where, and what differs")}
PLAN: Schema = {
    "oneOf": [
        {
            **PLANNED,
            "properties": {**FIELD_FORMAT, **PLANNED["properties"], **GOING_ON, **SAVED},
            "required": ["format", *PLANNED["required"], *SAVED],
        },
        record(
            {
                **FIELD_FORMAT,
                "points": items(
                    {
                        **PLANNED,
                        "properties": {**PLANNED["properties"], **PLANNED_POINT},
                        "required": [*PLANNED["required"], *PLANNED_POINT],
                    },
                    "of a sweep (`-m`), each as a plan",
                ),
                "sweep": PLANNED_SWEEP,
                **SAVED,
            },
            "",
            GOING_ON,
        ),
        record({**FIELD_FORMAT, "arguments": items(ARGUMENT, "of `plan --effective`")}),
    ]
}
