"""The typed groups: each of their fields is read by the code, and the check of that can fail."""

import dataclasses
import re

import pytest

from rlexp.compose import schema
from rlexp.compose.schema import DatasetType, Rollout, VllmMode
from tests.compose.field_reads import unread

GROUPS = {
    name: group
    for name, group in vars(schema).items()
    if isinstance(group, type) and dataclasses.is_dataclass(group) and group.__module__ == schema.__name__
}
READ_OTHERWISE = {
    "RunSchema.invocation": "compose.points.of_tree reads it of the composed tree: a Run has none",
    "RunSchema.cache": "compose.tree.of_tree reads it of the composed tree: a Run has none",
    "Health.name": "runs health=off: record.listed answers for a group with its name in the lock",
}
"""Fields that no attribute access reads, and what does."""


@pytest.fixture(scope="module")
def sources(root):
    return [path.read_text() for path in (root / "src").rglob("*.py") if path.name != "schema.py"]


def test_every_config_field_is_read_somewhere(sources):
    assert sorted(unread(sources, GROUPS)) == sorted(READ_OTHERWISE)


@pytest.mark.parametrize("group", GROUPS.values(), ids=GROUPS)
def test_every_number_has_a_range(group):
    """But for those that any finite number is right for, which say so too."""
    numbers = [
        field for field in dataclasses.fields(group) if "bool" not in field.type and re.search("int|float", field.type)
    ]
    assert [field.name for field in numbers if "range" not in field.metadata] == []


@pytest.mark.parametrize(
    ("group", "field"),
    # names that other classes have too, so that a search for the name alone finds them
    [
        ("Tracking", "rows"),
        ("Limits", "file"),
        ("Health", "engine"),
        ("Term", "path"),
        ("Reward", "rows"),
        ("Preflight", "r"),
    ],
)
def test_a_field_that_nothing_reads_is_found(sources, group, field):
    wider = dataclasses.make_dataclass(group, [(field, int, 0)], bases=(GROUPS[group],))
    found = unread(sources, {**GROUPS, group: wider})
    assert f"{group}.{field}" in found


@pytest.mark.parametrize(
    ("code", "read"),
    [
        ("def f(run): return run.model.lora.r", {"r"}),
        ("def f(lora: Lora): return lora.r + lora.lora_alpha", {"r", "lora_alpha"}),
        ("def f(job):\n    mine, other = job.model.lora, 1\n    return mine.r", {"r"}),
        ("def f(job): return replace(job.model.lora, r=2).lora_dropout", {"lora_dropout"}),
        ("def f(job): return (job.model.lora or None).r", {"r"}),
        ("def f(run): return asdict(run.model.lora)", {f.name for f in dataclasses.fields(schema.Lora)}),
        ("def f(run): run.model.lora.r = 3", set()),  # written, not read
        ("def f(run): return run.data.r", set()),  # r of something else
        ("def f(lora: Lora): pass\ndef g(lora): return lora.r", set()),  # another function's parameter
    ],
)
def test_a_read_is_an_access_on_what_is_certainly_the_group(code, read):
    every = {f"Lora.{f.name}" for f in dataclasses.fields(schema.Lora)}
    groups = {"Model": schema.Model, "Lora": schema.Lora}
    assert every - set(unread([code], groups)) == {f"Lora.{name}" for name in read}


@pytest.mark.parametrize(
    ("group", "code"),
    [
        ("Term", "def f(run): return [term.weight for name, term in run.reward.terms.items()]"),
        ("Term", "def f(run, name): return run.reward.terms[name].weight"),
        ("Limits", "def f(limits: Mapping[str, Limits]):\n    for limit in limits.values(): limit.warn"),
        ("Limits", "def f(health: Health, name):\n    limit = health.rules.get(name)\n    return limit and limit.warn"),
    ],
)
def test_what_lies_in_a_dictionary_of_groups_is_known_too(group, code):
    assert {"Term.weight", "Limits.warn"} - set(unread([code], GROUPS)) == {
        "Term.weight" if group == "Term" else "Limits.warn"
    }


@pytest.mark.parametrize(
    ("rollout", "vllm", "in_process", "address"),
    [
        (Rollout(), False, False, "http://127.0.0.1:8000"),
        (Rollout(fast_inference=True), True, True, "http://127.0.0.1:8000"),
        (Rollout(vllm_mode=VllmMode.colocate), True, True, "http://127.0.0.1:8000"),
        (Rollout(vllm_mode=VllmMode.server, server_port=81), True, False, "http://127.0.0.1:81"),
        (Rollout(vllm_mode=VllmMode.server, server_url="http://a:1/"), True, False, "http://a:1"),
    ],
)
def test_a_rollout_says_whether_vllm_samples_where_and_its_address(rollout, vllm, in_process, address):
    assert (rollout.vllm, rollout.in_process, rollout.address) == (vllm, in_process, address)


def test_a_type_of_data_names_its_columns():
    assert DatasetType.preference.columns == ["prompt", "chosen", "rejected"]


def test_the_defaults_are_those_that_the_docstrings_promise():
    """Defaults are part of every lock: a change of one is a change of what older locks mean."""
    made = {name: {f.name: f.default for f in dataclasses.fields(group)} for name, group in GROUPS.items()}
    assert made["Lora"] | {"target_modules": None} == {
        **{"r": 16, "lora_alpha": 32, "lora_dropout": 0.0, "target_modules": None, "use_rslora": False}
    }
    assert schema.Lora().target_modules == [f"{n}_proj" for n in ("q", "k", "v", "o", "gate", "up", "down")]
    expected = {
        "Model": {
            "max_seq_length": 1024,
            "max_completion_length": 256,
            "load_in_4bit": False,
            "full_finetuning": False,
        },
        "Term": {"weight": 1.0},
        "Reward": {"combine": schema.Combine.sum, "gate": "format", "gate_at": 1.0, "time_limit": 10.0},
        "Hardware": {"devices": 1, "rollout_devices": 0, "dtype": schema.Dtype.float32, "memory_gib": None},
        "Rollout": {"enforce_eager": False, "server_gpu": 1, "group_port": 51216, "server_timeout": 240.0},
        "HeldOut": {"rows": 128, "temperature": 1.0, "samples": 3, "every": 0},
        "Preflight": {"smoke": schema.When.auto, "smoke_steps": 12},
        "Limits": {"steps": 1, "warn": None, "stop": None},
        "RunSchema": {"seed": 0},
    }
    assert {name: {key: made[name][key] for key in keys} for name, keys in expected.items()} == expected
    assert made["Reward"]["max_failed"] == 0.05
