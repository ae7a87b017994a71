"""What is handed to Unsloth."""

import os
from pathlib import Path

import huggingface_hub
import pytest

from rlexp.backend.load_unsloth import BLOCKS, decoded_at_once, source, uncompiled


@pytest.mark.parametrize(("completions", "asked"), [(8, 8), (64, 64), (256, 257), (512, 512)])
def test_all_completions_of_a_step_are_decoded_together(completions, asked):
    assert decoded_at_once(completions) == asked


@pytest.mark.parametrize(
    ("overrides", "folder", "expected"),
    [
        ([], None, "/cache/Qwen/Qwen3-4B/abc"),  # the commit's own files, which no mirror and no newer commit replace
        (["model.revision=null"], None, "Qwen/Qwen3-4B"),
        ([], Path("models/m"), "models/m"),
    ],
)
def test_a_named_commit_of_the_hub_is_loaded_from_its_folder(composed, monkeypatch, overrides, folder, expected):
    monkeypatch.setattr(
        huggingface_hub, "snapshot_download", lambda name, revision, ignore_patterns: f"/cache/{name}/{revision}"
    )
    run = composed("hardware=h100", "model=qwen3_4b", "model.revision=abc", *overrides)
    assert source(run, folder) == expected


@pytest.mark.parametrize(
    ("typed", "set_by_user", "inside"),
    [
        ((), None, "0"),
        ((), "1", "1"),
        (("method=dpo", "dataset=arithmetic_preferences"), None, None),
    ],
)
def test_blocks_that_packed_passes_go_around_are_not_compiled_unless_it_is_asked_for(
    composed, monkeypatch, typed, set_by_user, inside
):
    monkeypatch.delenv(BLOCKS, raising=False)
    if set_by_user:
        monkeypatch.setenv(BLOCKS, set_by_user)
    with uncompiled(composed(*typed)):
        assert os.environ.get(BLOCKS) == inside
    assert os.environ.get(BLOCKS) == set_by_user
