"""What a run leaves, by hash."""

from rlexp.record import left


def test_what_a_run_is_used_and_judged_by_is_hashed_and_nothing_else(tmp_path):
    for name in ("adapter/a.safetensors", "completions/step-000001.parquet", "checkpoints/checkpoint-1/x", "smoke/y"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text(name)
    for name in ("metrics.jsonl", "held_out.json", "health.jsonl", "libraries.log", "manifest.json", "notes.json"):
        (tmp_path / name).write_text(name)
    assert sorted(left.outputs(tmp_path)) == ["adapter/a.safetensors", "metrics.jsonl"]
    assert sorted(left.evidence(tmp_path)) == ["completions/step-000001.parquet", "health.jsonl", "held_out.json"]
    before = left.evidence(tmp_path)["held_out.json"]
    (tmp_path / "held_out.json").write_text("[]")
    assert left.evidence(tmp_path)["held_out.json"] != before


def test_an_empty_folder_leaves_nothing(tmp_path):
    assert left.outputs(tmp_path) == left.evidence(tmp_path) == {}
