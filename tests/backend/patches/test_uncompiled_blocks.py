"""Blocks that packed passes go around are not compiled."""

import contextlib
import os

import pytest

from rlexp.backend.patches import uncompiled_blocks
from rlexp.backend.patches.patch import Status
from rlexp.backend.patches.uncompiled_blocks import BLOCKS


@pytest.mark.parametrize(
    ("typed", "set_by_user", "inside"),
    [
        (("hardware=h100",), None, "0"),
        (("hardware=h100",), "1", "1"),
        (("hardware=cpu",), None, None),
        (("hardware=h100", "method=dpo", "dataset=arithmetic_preferences"), None, None),
    ],
)
def test_blocks_that_packed_passes_go_around_are_not_compiled_unless_it_is_asked_for(
    composed, monkeypatch, typed, set_by_user, inside
):
    monkeypatch.delenv(BLOCKS, raising=False)
    if set_by_user:
        monkeypatch.setenv(BLOCKS, set_by_user)
    applied = uncompiled_blocks.apply(composed(*typed)).status is Status.applied
    with uncompiled_blocks.uncompiled() if applied else contextlib.nullcontext():
        assert os.environ.get(BLOCKS) == inside
    assert os.environ.get(BLOCKS) == set_by_user
