"""Verdicts: faults of the making are broken whatever the figures are; rounding is judged by what it costs the model."""

import copy

import pytest

from rlexp.compose.schema_export import Want
from rlexp.export.gate.verdict import judge
from rlexp.export.recommend import recommend


def said(**values):
    return {name: {"value": value, "error": 0.001} for name, value in values.items()}


BASELINES = {"q8_0": said(mean_kld=0.001, adapter_share=1.0), "q4_0": said(mean_kld=0.05, adapter_share=1.0)}


GOOD = {
    "prompts": {"compared": 9, "refused": {}, "texts_differ": [], "ids_differ": [], "tokenized_differ": []},
    "ends": {"reference": [2], "artifact": [2, 0], "missing": [], "cutting": []},
    "stopped": {"reference": 1.0, "artifact": 1.0},
    "divergence": said(mean_kld=1e-6, same_top_p=1.0, adapter_share=1.0),
}


def found(**changes):
    content = copy.deepcopy(GOOD)
    for key, value in changes.items():
        part, _, name = key.partition("__")
        if name:
            content[part][name] = value
        else:
            content[part] = value
    return content


def test_what_is_equal_is_identical():
    judged = judge(GOOD, BASELINES)
    assert judged.verdict == "identical" and [one["name"] for one in judged.reasons] == ["divergence"]


@pytest.mark.parametrize(
    ("kld", "top", "verdict"),
    [
        (5e-5, 1.0, "identical"),
        (5e-5, 0.98, "equivalent"),
        (0.007, 0.97, "equivalent"),
        (0.02, 0.95, "degraded"),
        (0.39, 0.7, "degraded"),
        (0.5, 0.7, "broken"),
    ],
)
def test_rounding_is_judged_by_what_it_costs_this_model(kld, top, verdict):
    judged = judge(found(divergence=said(mean_kld=kld, same_top_p=top, adapter_share=1.0)), BASELINES)
    assert judged.verdict == verdict


def test_where_four_bits_shorten_the_way_a_rounded_artifact_may_too():
    """SmolLM2 trained far from its base: 4 bits bring 0.78 of the way, and an honest int4 0.74."""
    short = {**BASELINES, "q4_0": said(mean_kld=0.07, adapter_share=0.78)}
    int4 = found(divergence=said(mean_kld=0.06, same_top_p=0.97, adapter_share=0.74))
    assert judge(int4, short).verdict == "degraded" and judge(int4, BASELINES).verdict == "broken"
    for share in (0.0, 0.5, 2.0):
        lost = found(divergence=said(mean_kld=0.06, same_top_p=0.97, adapter_share=share))
        assert [one["name"] for one in judge(lost, short).reasons if one["level"] == "broken"] == ["adapter.share"]


def test_what_the_runtime_costs_the_sixteen_bit_copy_is_not_counted_against_rounding():
    copied = found(divergence=said(mean_kld=0.004, same_top_p=0.99, adapter_share=1.0))
    int8 = found(divergence=said(mean_kld=0.011, same_top_p=0.99, adapter_share=1.0))
    assert judge(int8, BASELINES).verdict == "degraded"
    assert judge(int8, BASELINES, copied=copied).verdict == "equivalent"


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"prompts__texts_differ": ["several turns"]}, "prompt.text"),
        ({"prompts__tokenized_differ": ["prompt 0"]}, "prompt.ids"),
        ({"prompts__ids_differ": ["prompt 0"]}, "prompt.ids"),
        ({"ends__missing": [2]}, "ends.missing"),
        ({"ends__cutting": [7]}, "ends.cutting"),
        ({"divergence": said(mean_kld=1e-6, same_top_p=1.0, adapter_share=0.0)}, "adapter.share"),
        ({"divergence": said(mean_kld=1e-6, same_top_p=1.0, adapter_share=2.0)}, "adapter.share"),
        ({"divergence": said(mean_kld=2.2, same_top_p=0.5, adapter_share=1.21)}, "adapter.share"),  # it saturates
    ],
)
def test_a_fault_of_the_making_is_broken_and_named(changes, name):
    judged = judge(found(**changes), BASELINES)
    assert judged.verdict == "broken" and name in [one["name"] for one in judged.reasons if one["level"] == "broken"]


def test_a_probe_that_is_tokenized_otherwise_degrades_and_is_named():
    judged = judge(found(prompts__tokenized_differ=["odd text"]), BASELINES)
    assert judged.verdict == "degraded" and judged.reasons[0]["name"] == "prompt.ids"
    assert judge(found(prompts__tokenized_differ=["odd text", "prompt 3"]), BASELINES).verdict == "broken"


def test_a_share_that_cannot_be_told_accuses_nobody():
    unsure = {**said(mean_kld=1e-6, same_top_p=1.0), "adapter_share": {"value": 1.6, "error": 0.5}}
    assert judge(found(divergence=unsure), BASELINES).verdict == "identical"


def test_fewer_answers_that_end_are_degraded_and_a_dead_runtime_is_broken():
    assert judge(found(stopped__artifact=0.5), BASELINES).verdict == "degraded"
    judged = judge({"died": "llama.cpp was ended by SIGABRT"}, BASELINES)
    assert judged.verdict == "broken" and judged.reasons[0]["name"] == "runtime"


def test_a_runtime_without_log_probabilities_is_not_called_identical():
    judged = judge(found(divergence=None, no_divergence="it gives none"), BASELINES)
    assert judged.verdict == "equivalent" and judged.reasons[0]["why"] == "it gives none"


@pytest.mark.parametrize(
    ("low", "high", "name", "verdict"),
    [
        (-0.01, 0.01, "task", "identical"),
        (-0.1, 0.05, "task.untold", "identical"),
        (-0.2, -0.05, "task", "degraded"),
    ],
)
def test_the_task_is_a_test_of_non_inferiority(low, high, name, verdict):
    task = {"metric": "accuracy", "mean": (low + high) / 2, "low": low, "high": high, "margin": 0.03}
    judged = judge(GOOD, BASELINES, task)
    assert judged.verdict == verdict and judged.reasons[-1]["name"] == name


def test_the_one_to_ship_loses_little_and_is_small_or_fast():
    def one(size, speed, low, verdict="equivalent"):
        task = {"low": low, "high": 0.01, "mean": 0.0}
        return {"bytes": size, "verdict": verdict, "task": task, "gate": {"tokens_per_s": speed}}

    artifacts = {
        "merged": one(100, 5, -0.01),
        "q8": one(50, 9, -0.02),
        "q4": one(25, 12, -0.2),
        "bad": one(1, 99, 0.0, "broken"),
    }
    assert recommend(artifacts, Want.smallest, 0.03)["name"] == "q8"
    assert recommend(artifacts, Want.fastest, 0.03)["name"] == "q8"
    none = recommend({"q4": artifacts["q4"]}, Want.smallest, 0.03)
    assert none["name"] is None and "export.gate.want=0.03" in none["why"]
