"""Reading an older lock: what is newer than it has its default."""

from __future__ import annotations

import pytest

from rlexp.errors import RunError
from rlexp.record.finished import run_of


@pytest.mark.parametrize("newer", [(), ("preflight",), ("preflight", "health")])
def test_a_group_that_is_newer_than_a_lock_has_its_default(composed, root, newer):
    config = composed("seed=3", "hardware=cpu").config()
    older = {name: value for name, value in config.items() if name not in newer}
    assert run_of(older, root, "run.lock.yaml").config() == config


def test_a_key_that_is_newer_than_a_lock_has_its_default(composed, root):
    config = composed("hardware=cpu").config()
    older = {**config, "held_out": {name: value for name, value in config["held_out"].items() if name != "every"}}
    assert run_of(older, root, "run.lock.yaml").config() == config


def test_a_value_that_is_no_choice_names_the_file_and_key(composed, root):
    config = composed("hardware=cpu").config()
    config["preflight"]["smoke"] = "sometimes"
    with pytest.raises(RunError, match="sometimes") as caught:
        run_of(config, root, "params.yaml")
    assert (caught.value.where or "").startswith("params.yaml")
