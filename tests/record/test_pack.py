"""A run travels as one file; what comes out of a file is all that a run is, or nothing."""

from __future__ import annotations

import dataclasses
import json
import os
import platform
import shutil
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rlexp.errors import RunError
from rlexp.inputs.digest import file_md5, folder_md5
from rlexp.record import finished, listed, notes
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


def copied(place: Path, to: Path, **facts: Any) -> Path:
    """The project again, the manifest of its run with other facts."""
    project = Path(shutil.copytree(place, to, symlinks=True))
    file = project / "outputs/run/manifest.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **facts}))
    return project


def gone() -> dict[str, Any]:
    """What a manifest says of a process that was killed on this machine."""
    with subprocess.Popen(["true"]) as process:
        pass
    return {"status": "running", "host": platform.node(), "pid": process.pid, "process_began": 1}


def test_a_killed_run_travels_as_one(place, other, tmp_path):
    project = copied(place, tmp_path / "project", **gone())
    (project / "outputs/run/completions/.half.partial").write_text("x")  # what its process was writing
    assert listed.read(project / "outputs/run", project).status == "killed"
    packed(project, tmp_path / "run.zip")
    run_dir = unpack(tmp_path / "run.zip", other).run_dir
    told = read_manifest(run_dir)
    assert (told["status"], told["attempts"][-1]["status"]) == ("killed", "killed") and "kill -9" in told["reason"]
    (run_dir / "manifest.json").write_text(json.dumps({**told, "host": "elsewhere"}))  # no process to look for
    assert listed.read(run_dir, other).status == "killed"
    packed(project, tmp_path / "again.zip")
    assert (tmp_path / "again.zip").read_bytes() == (tmp_path / "run.zip").read_bytes()


def tampered(file: str, text: str = "x") -> Callable[[Path], Any]:
    return lambda run: (run / file).write_text(text)


def all_named(run: Path) -> dict[str, str]:
    """Outputs of a manifest that names the whole record, one folder of it by one hash."""
    return {
        "metrics.jsonl": file_md5(run / "metrics.jsonl"),
        "held_out.json": file_md5(run / "held_out.json"),
        "completions": folder_md5(run / "completions"),
        "completions/step-000001.parquet": file_md5(run / "completions/step-000001.parquet"),
        "logs/none.txt": "0" * 32,  # what no pack holds
    }


BROKEN = {
    "completions that are gone": (lambda run: shutil.rmtree(run / "completions"), "completions", "whole record"),
    "another held-out": (tampered("held_out.json", "[]"), "held_out.json is not what the run left", "whole record"),
    "other completions": (tampered("completions/step-000001.parquet"), "completions", "whole record"),
    "damaged metrics": (tampered("metrics.jsonl", "{"), "a line of metrics.jsonl is no entry", "damaged"),
    "other metrics": (tampered("metrics.jsonl", "{}"), "metrics.jsonl is not what the run left", "whole record"),
    "no code of a reward": (lambda run: (run / "sources/rewards/correct.py").unlink(), "correct.py is not", "backup"),
    "notes of another shape": (tampered("notes.json", "{bad"), "the notes cannot be read", "rm "),
    "a lock that is gone": (lambda run: (run / LOCK).unlink(), "has no run.lock.yaml", "backup"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_what_could_not_be_unpacked_is_not_packed(place, tmp_path, case):
    project = copied(place, tmp_path / "project", outputs=all_named(place / "outputs/run"))
    run = finished.open("outputs/run", project, project)
    assert pack(run, tmp_path / "whole.zip", "none").index["files"]
    change, what, hint = BROKEN[case]
    change(project / "outputs/run")
    with pytest.raises(RunError) as caught:
        pack(run, tmp_path / "run.zip", "none")
    assert what in caught.value.what and hint in caught.value.hint and "--weights" not in caught.value.hint
    assert not (tmp_path / "run.zip").exists()


def test_a_run_without_its_weights_is_packed_without_them(place, tmp_path):
    run = finished.open("outputs/run", place, place)  # its adapter was not kept, as in pinned/
    with pytest.raises(RunError, match=r"the weights of the run \(adapter/\) are not in its folder") as caught:
        pack(run, tmp_path / "run.zip")
    assert "--weights none" in caught.value.hint


@pytest.mark.parametrize(
    ("typed", "what", "hint"),
    [
        ("conf", "conf is a folder", "such as conf/run.zip"),
        ("there.zip", "is there already", "such as there_2.zip"),
        ("a ü.tar.gz", "is not named like one", "name it 'a ü.zip'"),
        ("outputs/run/x.zip", "run is a record", "such as x.zip"),
        ("outputs/run/completions/x.zip", "run is a record", "such as x.zip"),
    ],
)
def test_where_no_pack_goes_nothing_is_written_or_to_be_removed(place, tmp_path, typed, what, hint):
    project = copied(place, tmp_path / "project")
    (project / "there.zip").touch()
    before = files(project)
    with pytest.raises(RunError) as caught:
        packed(project, project / typed)
    assert what in caught.value.what and caught.value.hint.endswith(hint) and "rm " not in caught.value.hint
    assert files(project) == before


def test_a_pack_is_no_run_and_a_folder_no_pack(place, other):
    with pytest.raises(RunError, match="is a packed run") as caught:
        finished.open(hostile.PACKED, place, place)
    assert f"unpack {hostile.PACKED}" in caught.value.hint
    with pytest.raises(RunError, match="outputs is a folder"):
        unpack(place / "outputs", other)


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
    project = copied(place, tmp_path / "copied")
    (project / "data/arithmetic/more.txt").write_text("x")
    with pytest.raises(RunError, match="is not what the run was trained on"):
        packed(project, tmp_path / "run.zip")
    (project / "data/arithmetic/more.txt").unlink()
    (project / "outputs/run/completions").rename(project / "elsewhere")
    os.symlink(project / "elsewhere", project / "outputs/run/completions")
    with pytest.raises(RunError, match="is a link"):
        packed(project, tmp_path / "run.zip")
    assert not (tmp_path / "run.zip").exists()
