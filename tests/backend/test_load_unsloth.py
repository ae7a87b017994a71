"""What is handed to Unsloth."""

from pathlib import Path

import huggingface_hub
import pytest

from rlexp.backend.load_unsloth import decoded_at_once, source

COMMIT = "a" * 40


@pytest.mark.parametrize(("completions", "asked"), [(8, 8), (64, 64), (256, 257), (512, 512)])
def test_all_completions_of_a_step_are_decoded_together(completions, asked):
    assert decoded_at_once(completions) == asked


@pytest.mark.parametrize(
    ("overrides", "folder", "expected"),
    [
        (
            [],
            None,
            f"/cache/Qwen/Qwen3-4B/{COMMIT}",
        ),  # the commit's own files, which no mirror and no newer commit replace
        ([], Path("models/m"), "models/m"),
    ],
)
def test_a_named_commit_of_the_hub_is_loaded_from_its_folder(composed, monkeypatch, overrides, folder, expected):
    monkeypatch.setattr(
        huggingface_hub, "snapshot_download", lambda name, revision, ignore_patterns: f"/cache/{name}/{revision}"
    )
    run = composed("hardware=h100", "model=qwen3_4b", f"model.revision={COMMIT}", *overrides)
    assert source(run, folder) == expected
