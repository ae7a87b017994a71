"""A run travels as one file; what comes out of a file is all that a run is, or nothing."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rlexp.errors import RunError
from rlexp.inputs.digest import folder_md5
from rlexp.record import finished, notes
from rlexp.record.pack import pack
from rlexp.record.packed import INDEX
from rlexp.record.run_folder import LOCK, read_manifest
from rlexp.record.unpack import unpack
from tests import hostile
from tests.conftest import files


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A project with a run, and its pack."""
    return hostile.make_place(tmp_path_factory.mktemp("packing"))


@pytest.fixture
def other(tmp_path):
    """Another project."""
    (tmp_path / "other").mkdir()
    return tmp_path / "other"


def packed(place: Path, file: Path, weights: str = "none") -> dict[str, Any]:
    return pack(finished.open("outputs/run", place, place), file, weights).index


def rewritten(source: Path, made: Path, change: Callable[[dict[str, bytes]], None]) -> Path:
    """A pack with other entries; its index says what it holds, unless that was changed too."""
    with zipfile.ZipFile(source) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    change(entries)
    with zipfile.ZipFile(made, "w") as archive:
        for name, data in entries.items():
            archive.writestr(name, data)
    return made


def indexed(entries: dict[str, bytes], **changes: Any) -> None:
    """Has the index say what the entries are, as one does who knows how packs are made."""
    from hashlib import sha256

    index = json.loads(entries[INDEX])
    held = {name: data for name, data in entries.items() if name != INDEX}
    index["files"] = {name: {"sha256": sha256(data).hexdigest(), "size": len(data)} for name, data in held.items()}
    entries[INDEX] = json.dumps(index | changes).encode()


def test_what_was_packed_is_what_is_unpacked(place, other, tmp_path):
    index = packed(place, tmp_path / "run.zip")
    done = unpack(tmp_path / "run.zip", other)
    assert done.run_dir == other / "outputs/run"
    for name in ("run.lock.yaml", "manifest.json", "metrics.jsonl", "held_out.json", "notes.json"):
        assert (done.run_dir / name).read_bytes() == (place / "outputs/run" / name).read_bytes()
    assert notes.read(done.run_dir).tags == ("baseline",)
    assert files(done.run_dir / "sources") == files(place / "outputs/run/sources")
    assert files(done.run_dir / "completions") == files(place / "outputs/run/completions")
    assert folder_md5(other / "data/arithmetic") == folder_md5(place / "data/arithmetic")
    assert index["weights"] == "none" and not any("adapter" in name or "checkpoint" in name for name in index["files"])
    assert {path.name for path in other.iterdir()} == {"outputs", "data"}
    run = finished.open("outputs/run", other, other)
    assert run.lock["checksum"] == index["checksum"] and read_manifest(done.run_dir)["status"] == "finished"


def test_the_same_run_is_packed_into_the_same_bytes(place, tmp_path):
    packed(place, tmp_path / "one.zip")
    packed(place, tmp_path / "two.zip")
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()


def test_weights_are_packed_by_choice(place, tmp_path):
    run = finished.open("outputs/run", place, place)
    outputs = {name: md5 for name, md5 in run.manifest["outputs"].items() if "/" not in name}
    run = dataclasses.replace(run, manifest={**run.manifest, "outputs": outputs})  # its adapter was not kept
    held = {weights: pack(run, tmp_path / f"{weights}.zip", weights).index["files"] for weights in ("adapter", "all")}
    assert any(name.startswith("run/checkpoints/checkpoint-2/") for name in held["all"])
    assert not any("checkpoint" in name for name in held["adapter"])


def test_data_goes_beside_what_lies_there(place, other, tmp_path):
    (other / "data/arithmetic").mkdir(parents=True)
    (other / "data/arithmetic/mine.txt").write_text("mine")
    packed(place, tmp_path / "run.zip")
    done = unpack(tmp_path / "run.zip", other)
    md5 = folder_md5(place / "data/arithmetic")
    assert done.inputs["data"] == other / "data/.locked" / md5.removesuffix(".dir")
    assert folder_md5(done.inputs["data"]) == md5 and files(other / "data/arithmetic") == {"mine.txt"}
    assert unpack(tmp_path / "run.zip", other, "outputs/again").inputs == done.inputs  # it is there already


@pytest.mark.parametrize("to", [None, "outputs/kept", "src/x", "outputs", "../x", "outputs/../conf"])
def test_nothing_is_written_over_or_elsewhere(place, other, tmp_path, to):
    for name in ("run", "kept"):
        (other / "outputs" / name).mkdir(parents=True)
        (other / "outputs" / name / "manifest.json").write_text("{}")
    before = files(tmp_path)
    packed(place, tmp_path / "run.zip")
    with pytest.raises(RunError) as caught:
        unpack(tmp_path / "run.zip", other, to)
    assert "--to outputs/" in caught.value.hint
    assert files(tmp_path) - before == {"run.zip"}


def test_a_point_of_a_sweep_becomes_a_run_alone(place, other, tmp_path):
    shutil.copytree(place / "outputs/run", place / "multirun/day/time/aa_seed0", dirs_exist_ok=True)
    pack(finished.open("multirun/day/time/aa_seed0", place, place), tmp_path / "run.zip", "none")
    shutil.rmtree(place / "multirun/day")
    assert unpack(tmp_path / "run.zip", other).run_dir == other / "outputs/day_time_aa_seed0"


def lose(name: str) -> Callable[[dict[str, bytes]], Any]:
    return lambda entries: (entries.pop(name), indexed(entries))


def put(name: str, data: bytes) -> Callable[[dict[str, bytes]], Any]:
    return lambda entries: (entries.update({name: data}), indexed(entries))


def hide(name: str, data: bytes) -> Callable[[dict[str, bytes]], None]:
    return lambda entries: entries.update({name: data})


def named(**changes: Any) -> Callable[[dict[str, bytes]], None]:
    return lambda entries: indexed(entries, **changes)


def data_at(path: str) -> Callable[[dict[str, bytes]], None]:
    def change(entries: dict[str, bytes]) -> None:
        held = json.loads(entries[INDEX])["inputs"]["data"]
        indexed(entries, inputs={"data": {**held, "path": path}})

    return change


def other_data(entries: dict[str, bytes]) -> None:
    (name,) = [name for name in entries if name.endswith("train.parquet")]
    entries[name] += b"x"
    indexed(entries)


CHANGES = {
    "another byte": lambda entries: entries.update({"run/metrics.jsonl": entries["run/metrics.jsonl"] + b" "}),
    "other metrics, and an index of them": put("run/metrics.jsonl", b"{}\n"),
    "another lock": put(f"run/{LOCK}", b"identity: x\n"),
    "no lock": lose(f"run/{LOCK}"),
    "no manifest": lose("run/manifest.json"),
    "a manifest of another shape": put("run/manifest.json", b"[]"),
    "no code of a reward": lose("run/sources/rewards/correct.py"),
    "other code of a reward": put("run/sources/rewards/correct.py", b"import os\n"),
    "other rows": other_data,
    "notes of another shape": put("run/notes.json", b'{"format": 1, "tags": ["a b"]}'),
    "a file that no run has": put("run/evil.py", b"x"),
    "a hidden file": put("run/.hydra/config.yaml", b"x"),
    "weights that were not chosen": put("run/adapter/adapter_model.safetensors", b"x"),
    "code among the rows": put("inputs/x/evil.py", b"x"),
    "a file outside": put("../evil.py", b"x"),
    "an absolute file": put("/tmp/evil.py", b"x"),
    "a file that the index does not name": hide("run/health.jsonl", b""),
    "data elsewhere": data_at("rewards"),
    "data of another name": data_at("data/other"),
    "data in its folder's place": data_at("data"),
    "data above": data_at("data/../../x"),
    "a place elsewhere": named(place="../../x"),
    "another run's checksum": named(checksum="0" * 64),
    "no index": lambda entries: entries.pop(INDEX),
    "an index of another shape": hide(INDEX, b"[]"),
    "an index that is no JSON": hide(INDEX, b"{"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_pack_that_was_changed_is_refused_and_leaves_nothing(place, other, tmp_path, change):
    made = rewritten(place / hostile.PACKED, tmp_path / "changed.zip", CHANGES[change])
    with pytest.raises(RunError) as caught:
        unpack(made, other)
    assert caught.value.hint
    assert caught.value.where == str(made)
    assert files(tmp_path) == {"changed.zip"}


def test_a_bomb_is_read_no_further_than_its_index_says(place, other, tmp_path):
    def bomb(entries: dict[str, bytes]) -> None:
        index = json.loads(entries[INDEX])
        entries["run/health.jsonl"] = b"0" * 2**26
        index["files"]["run/health.jsonl"] = {"sha256": "0" * 64, "size": 10}
        entries[INDEX] = json.dumps(index).encode()

    with pytest.raises(RunError, match="is not what was packed"):
        unpack(rewritten(place / hostile.PACKED, tmp_path / "bomb.zip", bomb), other)
    huge = named(files={"run/metrics.jsonl": {"sha256": "0" * 64, "size": 2**52}})

    def claims(entries: dict[str, bytes]) -> None:
        kept = {name: entries[name] for name in (INDEX, "run/metrics.jsonl")}
        entries.clear()
        entries.update(kept)
        huge(entries)

    with pytest.raises(RunError, match="are free"):
        unpack(rewritten(place / hostile.PACKED, tmp_path / "huge.zip", claims), other)
    assert files(other) == set()


@pytest.mark.parametrize("cut", [0, 1, 100, -30])
def test_a_file_that_is_not_whole_is_refused(place, other, tmp_path, cut):
    (tmp_path / "cut.zip").write_bytes((place / hostile.PACKED).read_bytes()[:cut])
    with pytest.raises(RunError) as caught:
        unpack(tmp_path / "cut.zip", other)
    assert "have it packed and sent again" in caught.value.hint
    assert not list(other.iterdir())


def test_what_cannot_be_packed_is_said(place, tmp_path):
    run = finished.open("outputs/run", place, place)
    (tmp_path / "there.zip").touch()
    with pytest.raises(RunError, match="is there already"):
        pack(run, tmp_path / "there.zip", "none")
    with pytest.raises(RunError, match="there is no folder"):
        pack(run, tmp_path / "none/run.zip", "none")
    going = {**run.manifest, "status": "running", "host": "elsewhere"}
    with pytest.raises(RunError, match="the run is running"):
        pack(finished.FinishedRun(run.run_dir, run.lock, going, place), tmp_path / "run.zip", "none")
    copied = Path(shutil.copytree(place, tmp_path / "copied", symlinks=True))
    (copied / "data/arithmetic/more.txt").write_text("x")
    with pytest.raises(RunError, match="is not what the run was trained on"):
        packed(copied, tmp_path / "run.zip")
    (copied / "data/arithmetic/more.txt").unlink()
    (copied / "outputs/run/completions").rename(copied / "elsewhere")
    os.symlink(copied / "elsewhere", copied / "outputs/run/completions")
    with pytest.raises(RunError, match="is a link"):
        packed(copied, tmp_path / "run.zip")
    assert not (tmp_path / "run.zip").exists()
