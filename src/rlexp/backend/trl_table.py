"""Writes the table of TRL's trainer arguments that ``compose`` checks ``method.*`` against.

``python -m rlexp.backend.trl_table`` rewrites ``compose/trl_arguments.json`` from the installed TRL; a test does the
same in memory and compares, so the table cannot fall behind the pinned version. TRL is imported without Unsloth,
which rewrites the defaults of the classes.

Source: the config dataclasses of ``trl`` (and ``trl.experimental.orpo``) and of ``transformers.TrainingArguments``.
"""

from __future__ import annotations

import dataclasses
import enum
import inspect
import json
import os
import types
import typing
from pathlib import Path
from typing import Any

from rlexp.compose.methods import METHODS

TABLE = Path(__file__).parents[1] / "compose" / "trl_arguments.json"

# TRL types these as plain strings and checks them only once the model is loaded; the values stand in its help texts.
CHOICES = {
    ("grpo", "loss_type"): ["bnpo", "cispo", "dapo", "dr_grpo", "grpo", "luspo", "sapo", "vespo"],
    ("grpo", "importance_sampling_level"): ["sequence", "token"],
    ("grpo", "multi_objective_aggregation"): ["normalize_then_sum", "sum_then_normalize"],
    ("grpo", "scale_rewards"): ["batch", "group", "none"],
    ("dpo", "loss_type"): [
        *("aot", "aot_unpaired", "apo_down", "apo_zero", "bco_pair", "discopop", "exo_pair", "hinge", "ipo"),
        *("nca_pair", "robust", "sft", "sigmoid", "sigmoid_norm", "sppo_hard"),
    ],
    ("dpo", "f_divergence_type"): ["alpha_divergence", "forward_kl", "js_divergence", "reverse_kl"],
    ("kto", "loss_type"): ["apo_zero_unpaired", "kto"],
    ("sft", "loss_type"): ["chunked_nll", "dft", "nll"],
    **{
        (method, "train_sampling_strategy"): ["batch_rebalance", "group_by_length", "random", "sequential"]
        for method in METHODS
    },
    **{(method, "include_num_input_tokens_seen"): ["False", "True", "all", "no", "non_padding"] for method in METHODS},
    ("grpo", "vllm_importance_sampling_mode"): ["sequence_mask", "sequence_truncate", "token_mask", "token_truncate"],
    **{(method, "dataloader_multiprocessing_context"): ["fork", "forkserver", "spawn"] for method in METHODS},
}


def table() -> dict[str, Any]:
    """Method name -> config class, and for every argument its type, default and (where few) its choices; the names of
    transformers' ``GenerationConfig``; schedule -> the names that ``lr_scheduler_kwargs`` may hold for it."""
    os.environ["TRL_EXPERIMENTAL_SILENCE"] = "1"
    import trl
    from transformers import GenerationConfig
    from transformers.optimization import TYPE_TO_SCHEDULER_FUNCTION

    generation = sorted(name for name in vars(GenerationConfig()) if not name.startswith("_"))
    schedules = {str(kind.value): _own_parameters(make) for kind, make in TYPE_TO_SCHEDULER_FUNCTION.items()}
    methods = {name: _entry(name, method.config_class) for name, method in METHODS.items()}
    return {"trl": trl.__version__, "generation": generation, "schedules": schedules, "methods": methods}


def _own_parameters(schedule: Any) -> list[str]:
    """The keyword arguments of a schedule that ``lr_scheduler_kwargs`` may give."""
    own = inspect.signature(schedule).parameters.keys()
    return sorted(own - {"optimizer", "num_warmup_steps", "num_training_steps", "last_epoch"})


def _entry(method: str, path: str) -> dict[str, Any]:
    module, _, name = path.rpartition(".")
    config = getattr(__import__(module, fromlist=[name]), name)
    hints = typing.get_type_hints(config)
    arguments = {}
    for field in dataclasses.fields(config):
        if not field.init:
            continue
        kind, optional, choices = _describe(hints[field.name])
        entry: dict[str, Any] = {"type": kind, "default": _plain(_default(field))}
        if optional or entry["default"] is None:
            entry["optional"] = True
        if known := CHOICES.get((method, field.name)) or choices or field.metadata.get("choices"):
            entry["choices"] = sorted(map(str, known))
        arguments[field.name] = entry
    return {"config": path, "arguments": arguments}


def _describe(hint: Any) -> tuple[str, bool, list[str]]:
    """The plain type name of a type hint, whether it may be null, and the values of an enum."""
    union = typing.get_origin(hint) in (typing.Union, types.UnionType)
    members = list(typing.get_args(hint)) if union else [hint]
    optional = type(None) in members
    members = [member for member in members if member is not type(None)]
    enums = [member for member in members if isinstance(member, type) and issubclass(member, enum.Enum)]
    if enums:
        return "str", optional, [str(value.value) for value in enums[0]]
    origins = [typing.get_origin(member) or member for member in members]
    if dict in origins:
        return "dict", optional, []
    if list in origins or tuple in origins:
        if str in members:
            return "any", optional, []
        item = typing.get_args(members[0])[0]
        return f"list[{item.__name__}]", optional, []
    if len(members) == 1 and members[0] in (bool, int, float, str):
        return members[0].__name__, optional, []
    return "any", optional, []


def _default(field: dataclasses.Field) -> Any:
    if field.default is not dataclasses.MISSING:
        return field.default
    return field.default_factory() if field.default_factory is not dataclasses.MISSING else None


def _plain(value: Any) -> Any:
    return value.value if isinstance(value, enum.Enum) else value


def render() -> str:
    """The table as the JSON text that is committed: one argument a line, so that a new TRL reads as a short diff."""
    content = table()
    blocks = []
    for method, entry in sorted(content["methods"].items()):
        lines = [f"  {json.dumps(name)}: {json.dumps(spec)}" for name, spec in sorted(entry["arguments"].items())]
        head = f'{json.dumps(method)}: {{"config": {json.dumps(entry["config"])}, "arguments": {{'
        blocks.append(head + "\n" + ",\n".join(lines) + "\n }}")
    generation = json.dumps(content["generation"])
    schedules = json.dumps(content["schedules"], sort_keys=True)
    names = f'"trl": {json.dumps(content["trl"])},\n"generation": {generation},\n"schedules": {schedules},\n'
    return f'{{{names}"methods": {{\n ' + ",\n ".join(blocks) + "\n}}\n"


if __name__ == "__main__":
    TABLE.write_text(render())
    print(f"wrote {TABLE}")
