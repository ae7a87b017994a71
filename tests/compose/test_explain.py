"""Hydra's and OmegaConf's errors in plain words."""

from __future__ import annotations

import pytest
from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf import OmegaConf
from omegaconf.errors import ConfigKeyError, InterpolationResolutionError, MissingMandatoryValue, ValidationError

from rlexp.compose.explain import explain
from rlexp.compose.places import Places
from rlexp.errors import RunError


def caused(cause, text="outer"):
    """An error that was raised from another, as Hydra does it."""
    try:
        raise HydraException(text) from cause
    except HydraException as error:
        return error


@pytest.fixture
def explained(root):
    def say(error):
        found = explain(error, Places(root, (root / "conf",)))
        return found.what, found.where, found.hint

    return say


def missing(file, options):
    return MissingConfigException("In 'config': no\nmore", file, options)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (
            missing("model/tinny", ["tiny", "qwen", ""]),
            ("there is no model named 'tinny'", "model=tinny", "did you mean model=tiny? (one of: tiny, qwen)"),
        ),
        (
            missing("reward/format+corect+lenth", ["correct", "format", "length"]),
            (
                "there is no reward named 'corect' and 'lenth'",
                "reward=format+corect+lenth",
                "did you mean reward=format+correct+length? (one of: correct, format, length)",
            ),
        ),
        (missing("model/xyzq", ["tiny"]), ("there is no model named 'xyzq'", "model=xyzq", "one of: tiny")),
        (
            missing("reward/format+xyzq", ["format"]),
            ("there is no reward named 'xyzq'", "reward=format+xyzq", "one of: format"),
        ),
        (
            missing("reward/format", ["format"]),
            ("there is no reward named 'format'", "reward=format", "one of: format"),
        ),
        (missing("cofnig", ["config"]), ("In 'config': no", None, "one of: config")),
        (missing("cofnig", []), ("In 'config': no", None, "one of: config")),
        (missing(None, None), ("In 'config': no", None, "one of: config")),
    ],
)
def test_an_option_that_there_is_not(explained, error, expected):
    assert explained(caused(error)) == expected


def key_error(tree, path):
    """What OmegaConf says of a key that a tree does not have."""
    cfg = OmegaConf.create(tree)
    OmegaConf.set_struct(cfg, True)
    with pytest.raises(ConfigKeyError) as caught:
        node = cfg
        for name in path.split("."):
            node = node[name]
    return caught.value


MANY = {f"quite_long_{n}": n for n in range(21)}


@pytest.mark.parametrize(
    ("tree", "path", "what", "hint"),
    [
        ({"model": {"lora": 1}}, "model.lorra", "there is no key model.lorra", "did you mean model.lora?"),
        ({"seed": 1}, "sead", "there is no key sead", "did you mean seed?"),
        ({"seed": 1, "b": 1}, "zzzzzz", "there is no key zzzzzz", "one of: seed, b"),
        (MANY, "zzzz", "there is no key zzzz", "python -m rlexp --cfg job lists them"),
        (
            {"a": MANY},
            "a.zzzz",
            "there is no key a.zzzz",
            "python -m rlexp --cfg job --package a lists them",
        ),
        (
            {"method": {"zzzz": 1}},
            "method.num_generations",
            "there is no key method.num_generations",
            "it is an argument of grpo, rloo: type method=grpo",
        ),
        ({"a": {}}, "a.zzzz", "there is no key a.zzzz", "python -m rlexp --cfg job --package a lists them"),
        ({"method": {"zzzz": 1}}, "method.xyzzy", "there is no key method.xyzzy", "one of: zzzz"),
        (
            {"model": {"zzzz": 1}},
            "model.num_generations",
            "there is no key model.num_generations",
            "one of: zzzz",
        ),
    ],
)
def test_a_key_that_there_is_not(explained, tree, path, what, hint):
    assert explained(caused(key_error(tree, path))) == (what, path, hint)


def test_a_key_that_something_else_owns(explained):
    what, where, hint = explained(key_error({"method": {"beta": 1}}, "method.report_to"))
    assert what.startswith("method.report_to is not set by hand: the tracking option owns it")
    assert (where, hint) == ("method.report_to", "leave out method.report_to")
    assert "did you mean" in explained(key_error({"other": {"report_tu": 1}}, "other.report_to"))[2]


def omega(kind, text, key):
    error = kind(text)
    error.full_key = key
    return error


@pytest.mark.parametrize(
    ("cause", "outer", "expected"),
    [
        (
            omega(ValidationError, "'abc' could not be\n full_key: x", "method.beta"),
            "Error merging override method.beta=abc",
            ("'abc' could not be", "method.beta", "type method.beta=VALUE with a value of that type"),
        ),
        (omega(ValidationError, "no", ""), "no override here", ("no", None, "write a value of that type")),
        (omega(MissingMandatoryValue, "x", "a.b"), "", ("a value is missing", "a.b", "type a.b=VALUE")),
        (
            omega(InterpolationResolutionError, "key 'c'\nmore", "a.b"),
            "",
            ("key 'c'", "a.b", "type a.b=VALUE"),
        ),
    ],
)
def test_a_value_that_cannot_be(explained, cause, outer, expected):
    assert explained(caused(cause, outer)) == expected


def test_an_override_that_cannot_be_read(explained):
    error = OverrideParseException(override="a=[", message="no")
    what, where, hint = explained(caused(error))
    assert (what, where) == ("this override cannot be read: a=[", None) and "quote" in hint


@pytest.mark.parametrize(
    ("text", "what", "where", "hint"),
    [
        ("Could not override 'modle'.\nNo match", "there is no group or key modle", "modle", "did you mean model=...?"),
        ("Could not override 'sead'.", "there is no group or key sead", "sead", "did you mean seed=...?"),
        ("Could not override 'held_aut'.", "there is no group or key held_aut", "held_aut", "mean held_out=...?"),
        ("Could not override 'zzzz'.", "there is no group or key zzzz", "zzzz", "one of: dataset, experiment, "),
        ("Something else\nmore", "Something else", None, "python -m rlexp --help"),
    ],
)
def test_anything_else_that_hydra_says(explained, text, what, where, hint):
    found = explained(HydraException(text))
    assert found[:2] == (what, where) and hint in found[2]


def test_a_mistake_of_ours_comes_through_as_it_is(explained):
    mine = RunError("what", "where", "hint")
    assert explained(caused(mine)) == ("what", "where", "hint")
