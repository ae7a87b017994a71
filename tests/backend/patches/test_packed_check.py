"""Unsloth's comparison of packed sequences with single ones is not repeated."""

from types import SimpleNamespace

import pytest

from rlexp.backend.patches import packed_check


def config(kind="default"):
    found = SimpleNamespace(rope_parameters={"rope_type": kind})
    found.get_text_config = lambda: found
    return found


@pytest.mark.parametrize(("kind", "once"), [("default", True), ("longrope", False)])
def test_longer_rows_are_not_checked_again_where_positions_rotate_alike_at_every_length(kind, once):
    model = SimpleNamespace(config=config(kind))
    packed_check.apply(model)
    assert getattr(model, "_unsloth_seq_packing_grad_verified_T", 0) == (packed_check.ANY_LENGTH if once else 0)
    assert len(vars(model)) == (5 if once else 1)
