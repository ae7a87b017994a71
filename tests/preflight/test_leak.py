"""Held-out prompts that are trained on."""

import dataclasses

from rlexp.inputs import snapshot
from rlexp.inputs.find import Inputs
from rlexp.preflight import leak
from rlexp.verdict import Level


def seen(composed, tmp_path, test, *overrides):
    rows = [{"prompt": [{"role": "user", "content": text}]} for text in ("one", "two", "three")]
    held_out = [{"prompt": [{"role": "user", "content": text}]} for text in test]
    folder = snapshot.write({"train": rows, "test": held_out}, tmp_path / "data", "", {})
    found = {field.name: None for field in dataclasses.fields(Inputs) if field.init} | {"data": folder, "parts": {}}
    return leak.verdict(composed(*overrides), Inputs(**found))


def test_held_out_prompts_that_are_trained_on_are_counted(composed, tmp_path):
    found = seen(composed, tmp_path, ["two", "four", "two"])
    assert found.level is Level.warning and "2 of 3 held-out rows" in found.message and "rlexp data" in found.hint


def test_others_pass_and_nothing_held_out_is_nothing_to_look_at(composed, tmp_path):
    assert seen(composed, tmp_path, ["four"]).level is Level.passed
    assert seen(composed, tmp_path / "again", ["two"], "held_out.rows=0").level is Level.skipped
