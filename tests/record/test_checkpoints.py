"""A checkpoint is whole or absent, and what is not whole is passed over with the reason."""

from __future__ import annotations

import json
import os

import numpy
import pytest
from safetensors.numpy import save_file

from rlexp.errors import RunError
from rlexp.record import checkpoints
from rlexp.record.checkpoints import Checkpoint
from rlexp.record.rewind import RECORD, digests, lengths, require_as_written, require_own, rewind
from rlexp.whole import fault


def write(run_dir, step):
    """A checkpoint as a trainer would write one, with a part in a folder of its own."""
    with checkpoints.written(run_dir, step) as partial:
        folder = partial / f"checkpoint-{step}"
        (folder / "ref").mkdir(parents=True)
        for place in (folder, folder / "ref"):
            save_file({"a": numpy.full(300, step, numpy.float32)}, place / "adapter_model.safetensors")
        (folder / "adapter_config.json").write_text("{}")
        (folder / "optimizer.pt").write_bytes(bytes(500))
        (folder / "trainer_state.json").write_text(json.dumps({"global_step": step}))
        os.chmod(folder / "optimizer.pt", 0o600)
    return run_dir / f"checkpoints/checkpoint-{step}"


@pytest.fixture
def run_dir(tmp_path):
    """A run folder with three whole checkpoints."""
    for step in (9, 20, 100):
        write(tmp_path, step)
    return tmp_path


def cut(folder):
    path = folder / "optimizer.pt"
    path.write_bytes(path.read_bytes()[:-1])


def flip(folder):
    path = folder / "optimizer.pt"
    content = bytearray(path.read_bytes())
    content[250] ^= 1
    path.write_bytes(content)


def flip_weights(folder):
    path = folder / "adapter_model.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def link(folder):
    (folder / "optimizer.pt").rename(folder.parent.parent / "optimizer.pt")
    (folder / "optimizer.pt").symlink_to(folder.parent.parent / "optimizer.pt")


def without_digest(folder):
    (folder / "digest.json").unlink()


def digest(**changed):
    def write_digest(folder):
        path = folder / "digest.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | changed))

    return write_digest


DAMAGES = {
    "cut": (cut, "optimizer.pt is not whole"),
    "a bit flipped": (flip, "optimizer.pt is not what was written"),
    "a bit of the weights flipped": (flip_weights, "adapter_model.safetensors is not what was written"),
    "a file missing": (lambda folder: (folder / "trainer_state.json").unlink(), "trainer_state.json is missing"),
    "a file more": (
        lambda folder: (folder / "pytorch_model.bin").touch(),
        "pytorch_model.bin is not in its digest.json",
    ),
    "a file more below": (lambda folder: (folder / "ref/x.bin").touch(), "ref/x.bin is not in its digest.json"),
    "a link": (link, "optimizer.pt is no file"),
    "a link to a folder": (lambda folder: (folder / "sub").symlink_to("/"), "sub is not in its digest.json"),
    "no digest": (without_digest, "it has no digest.json: it is not whole, or an earlier version of rlexp wrote it"),
    "half a digest": (lambda folder: os.truncate(folder / "digest.json", 30), "its digest.json is not whole"),
    "a digest of no shape": (digest(files=["x"]), "its digest.json is not whole"),
    "a path that leads out": (digest(files={"../x": {"sha256": "0" * 64, "size": 1}}), "its digest.json is not whole"),
    "the digest of another": (digest(step=7), "its digest.json is that of step 7"),
}


@pytest.mark.parametrize(("damage", "why"), DAMAGES.values(), ids=DAMAGES)
def test_the_last_whole_one_is_taken_and_what_was_passed_over_is_said(run_dir, damage, why):
    assert checkpoints.last_whole(run_dir)[0].step == 100
    damage(run_dir / "checkpoints/checkpoint-100")
    found, skipped = checkpoints.last_whole(run_dir)
    assert (found.step, found.folder) == (20, run_dir / "checkpoints/checkpoint-20")
    assert skipped == {"checkpoint-100": why}
    with pytest.raises(RunError, match="cannot go on from the checkpoint of step 100") as caught:
        checkpoints.require(checkpoints.Checkpoint(100, run_dir / "checkpoints/checkpoint-100"))
    assert caught.value.hint
    checkpoints.require(found)


def test_weights_are_looked_at_without_reading_what_only_a_training_needs(run_dir):
    folder = run_dir / "checkpoints/checkpoint-100"
    flip(folder)
    assert fault(folder) is None
    flip_weights(folder)
    assert fault(folder) == "adapter_model.safetensors is not what was written"


def test_one_of_an_earlier_version_is_looked_at_but_nothing_goes_on_from_it(run_dir):
    folder = run_dir / "checkpoints/checkpoint-100"
    without_digest(folder)
    assert fault(folder) is None and fault(folder, goes_on=True)


def test_one_without_an_optimizer_is_looked_at_but_nothing_goes_on_from_it(run_dir):
    with checkpoints.written(run_dir, 101) as partial:
        (partial / "checkpoint-101").mkdir()
        save_file({"a": numpy.zeros(3)}, partial / "checkpoint-101/adapter_model.safetensors")
        (partial / "checkpoint-101/trainer_state.json").write_text("{}")
    assert fault(run_dir / "checkpoints/checkpoint-101") is None
    assert checkpoints.last_whole(run_dir)[1] == {"checkpoint-101": "it was written without optimizer.pt"}


def test_what_is_not_written_to_its_end_is_not_there(run_dir):
    with pytest.raises(KeyboardInterrupt), checkpoints.written(run_dir, 101) as partial:
        (partial / "checkpoint-101").mkdir()
        raise KeyboardInterrupt
    assert list(checkpoints.of(run_dir)) == [9, 20, 100]
    assert sorted(path.name for path in (run_dir / "checkpoints").iterdir())[0] == "checkpoint-100"


def test_what_a_kill_left_of_one_is_no_checkpoint_and_is_removed(run_dir):
    left = run_dir / "checkpoints/.partial-1-abc/checkpoint-101"
    left.mkdir(parents=True)
    assert list(checkpoints.of(run_dir)) == [9, 20, 100]
    assert checkpoints.remove_broken(run_dir) == [] and not left.parent.exists()


def test_a_step_may_be_written_again(run_dir):
    folder = run_dir / "checkpoints/checkpoint-100"
    flip(folder)
    write(run_dir, 100)
    assert fault(folder, goes_on=True) is None
    assert not list((run_dir / "checkpoints").glob(".partial*"))


def test_its_files_have_the_rights_of_new_files(run_dir):
    folder = run_dir / "checkpoints/checkpoint-9"
    (folder / "new").touch()
    rights = {path.stat().st_mode & 0o777 for path in folder.rglob("*") if path.is_file()}
    assert len(rights) == 1


def test_the_ring_keeps_the_newest_and_what_else_is_named(run_dir):
    assert checkpoints.newest([9, 20, 100], 2) == {20, 100}
    assert checkpoints.newest([9, 20, 100], None) == checkpoints.newest([9, 20, 100], 0) == {9, 20, 100}
    assert checkpoints.newest([9], 3) == {9}
    checkpoints.keep(run_dir, checkpoints.newest([9, 20, 100], 1) | {9})
    assert list(checkpoints.of(run_dir)) == [9, 100]
    assert sorted(path.name for path in (run_dir / "checkpoints").iterdir()) == ["checkpoint-100", "checkpoint-9"]


def test_a_run_folder_is_taken_back_to_a_checkpoint(run_dir):
    (run_dir / "metrics.jsonl").write_text("one\n")
    (run_dir / "completions").mkdir()
    kept = lengths(run_dir)
    with (run_dir / "metrics.jsonl").open("a") as stream:
        stream.write("two\n")
    (run_dir / "health.jsonl").write_text("later\n")
    for step in (20, 21, 100):
        (run_dir / f"completions/step-{step:06d}.parquet").touch()
    (run_dir / "completions/.step-000101.parquet.7-abc.partial").touch()
    (run_dir / "adapter").mkdir()
    (run_dir / "held_out.json").touch()
    (run_dir / "libraries.log").touch()
    (run_dir / "checkpoints/.partial-1-abc").mkdir()
    rewind(run_dir, checkpoints.Checkpoint(20, run_dir / "checkpoints/checkpoint-20"), kept)
    assert (run_dir / "metrics.jsonl").read_text() == "one\n"
    left = {path.name for path in run_dir.iterdir()}
    assert left == {"metrics.jsonl", "completions", "libraries.log", "checkpoints"}
    assert [path.name for path in (run_dir / "completions").iterdir()] == ["step-000020.parquet"]
    assert sorted(path.name for path in (run_dir / "checkpoints").iterdir()) == ["checkpoint-20", "checkpoint-9"]
    assert list(checkpoints.of(run_dir)) == [9, 20]


@pytest.mark.parametrize("name", ["metrics.jsonl", "completions", "checkpoints", "adapter"])
def test_a_run_folder_with_links_is_not_gone_on_in(tmp_path, name):
    (tmp_path / name).symlink_to("/tmp")
    with pytest.raises(RunError, match=f"{name} of the run folder is a link") as caught:
        require_own(tmp_path)
    assert caught.value.hint


@pytest.mark.parametrize(
    ("edit", "refused"),
    [
        (lambda text: text + '{"step": 9}\n', False),
        (lambda text: text[10:], True),
        (lambda text: text[:-3], True),
        (lambda text: text.replace("1", "2", 1), True),
        (lambda text: "", True),
    ],
    ids=["more was written since", "a line less", "cut", "a number", "empty"],
)
def test_what_the_run_had_written_by_the_checkpoint_must_be_there(tmp_path, edit, refused):
    text = "".join(f'{{"step": {step}}}\n' for step in range(1, 4))
    (tmp_path / "metrics.jsonl").write_text(text)
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / RECORD).write_text(json.dumps({"lengths": lengths(tmp_path), "sha256": digests(tmp_path)}))
    (tmp_path / "metrics.jsonl").write_text(edit(text))
    if not refused:
        require_as_written(tmp_path, Checkpoint(3, tmp_path / "c"), "outputs/a")
        return
    with pytest.raises(RunError, match=r"metrics\.jsonl does not begin as it was written until step 3") as caught:
        require_as_written(tmp_path, Checkpoint(3, tmp_path / "c"), "outputs/a")
    assert "fork=outputs/a@3" in (caught.value.hint or "")


def test_any_number_of_devices_goes_on_but_in_the_middle_of_a_generation(tmp_path):
    begun = Checkpoint(3, tmp_path)
    assert checkpoints.devices(begun) == 0
    checkpoints.require_devices(begun, 2, 2)  # nothing says how many there were: it is refused as it is read
    for rank in (0, 1):
        (tmp_path / checkpoints.trainer_file(rank)).touch()
        assert checkpoints.devices(begun) == rank + 1
    checkpoints.require_devices(begun, 2, 2)
    checkpoints.require_devices(begun, 1, 1)
    checkpoints.require_devices(begun, 1, 3)
    with pytest.raises(RunError, match=r"2 device\(s\) wrote the checkpoint of step 3, and 1 go on") as caught:
        checkpoints.require_devices(begun, 1, 2)
    assert "type hardware.devices=2 (after a multiple of 2 steps" in (caught.value.hint or "")
