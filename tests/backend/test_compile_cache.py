"""Where compiled kernels are kept: the key, the variables, what the record says; without a GPU or a library."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from rlexp import nvidia
from rlexp.backend import compile_cache
from rlexp.backend.compile_cache import FOLDERS, GENERATED, Cache

HERE = {
    "torch": "2.11.0+cu130",
    "vllm": "0.26.0",
    "python": "3.12.3",
    "gpus": ["NVIDIA H100"],
    "instructions": "x86_64 ab",
}


@pytest.fixture
def process(tmp_path, monkeypatch):
    """A process of its own: none of the variables set, nothing chosen yet, its home empty."""
    monkeypatch.setattr(os, "environ", {"XDG_CACHE_HOME": str(tmp_path), "PATH": ""})
    nvidia.gpus.cache_clear()
    compile_cache._chosen.cache_clear()
    yield tmp_path / "rlexp" / "compiled"
    nvidia.gpus.cache_clear()
    compile_cache._chosen.cache_clear()


@pytest.mark.parametrize(
    "changed",
    [
        *({"torch": "2.11.0+cu128"}, {"vllm": "0.27.0"}, {"python": "3.11.9"}, {"gpus": ["NVIDIA H200"]}),
        {"instructions": "x86_64 cd"},
    ],
    ids=str,
)
def test_another_version_gpu_or_processor_is_another_cache(changed):
    assert Cache(HERE, Path("/c")).key != Cache(HERE | changed, Path("/c")).key
    assert Cache(HERE, Path("/c")).key == Cache(dict(reversed(HERE.items())), Path("/elsewhere")).key


def test_what_the_user_set_is_left_alone():
    variables = Cache(HERE, Path("/c")).variables({"TRITON_CACHE_DIR": "/mine", "VLLM_CACHE_ROOT": ""})
    assert variables["TRITON_CACHE_DIR"] == "/mine" and set(variables) == set(FOLDERS)
    assert variables["VLLM_CACHE_ROOT"].startswith("/c/") and variables["VLLM_CACHE_ROOT"].endswith("/vllm")


def test_libraries_are_pointed_at_it_again_when_they_went_elsewhere(process):
    compile_cache.keep()
    chosen = {name: os.environ[name] for name in FOLDERS}
    os.environ["TORCHINDUCTOR_CACHE_DIR"] = "/vllm/of/one/engine"
    compile_cache.keep()
    assert {name: os.environ[name] for name in FOLDERS} == chosen
    assert all(Path(folder).parent == compile_cache.cache().folder for folder in chosen.values())


def test_generated_modules_lie_in_a_folder_of_the_process(process):
    compile_cache.keep()
    own = Path(os.environ[GENERATED])
    assert own.is_dir() and own.is_absolute() and process not in own.parents


def test_the_record_tells_cold_from_warm_and_what_was_added(process):
    compile_cache.keep()
    first = compile_cache.used()
    (compile_cache.cache().folder / "triton").mkdir()
    (compile_cache.cache().folder / "triton" / "kernel").write_bytes(bytes(1000))
    compile_cache._chosen.cache_clear()
    compile_cache.keep()
    second = compile_cache.used()
    assert (first["warm"], first["bytes_before"], second["warm"]) == (False, 0, True)
    assert second["key"] == first["key"] and second["bytes_before"] == second["bytes_after"] > 1000
    assert json.loads((compile_cache.cache().folder / compile_cache.KEY).read_text())["python"]


def test_a_place_that_cannot_be_written_stops_no_run(process):
    process.parent.parent.mkdir(parents=True, exist_ok=True)
    process.parent.write_text("a file where the folder would be")
    compile_cache.keep()
    assert "not_kept" in compile_cache.used() and not set(FOLDERS) & set(os.environ)


def test_a_folder_that_is_named_goes_before_the_users_own(process, tmp_path):
    os.environ["RLEXP_CACHE_DIR"] = str(tmp_path / "carried")
    found = compile_cache.cache()
    assert found.home == tmp_path / "carried" and found.folder.parent == found.home
    own = Cache({**HERE, "gpus": ["NVIDIA H200"]}, Path("/c"))
    assert own.folder == Path(f"/c/NVIDIA-H200_torch-2.11.0+cu130_vllm-0.26.0_{own.key}")


def test_what_is_over_the_bound_is_dropped_at_the_end_of_a_run(process):
    compile_cache.keep()
    found = compile_cache.cache()
    (found.folder / "triton/old").mkdir(parents=True)
    (found.folder / "triton/old/kernel").write_bytes(bytes(5000))
    other = process / "aaaa"
    other.mkdir()
    (other / compile_cache.KEY).write_text("{}")
    (process / "not_ours").mkdir()
    (process / "not_ours/file").write_bytes(bytes(10**6))
    assert "bytes_dropped" not in compile_cache.used()
    os.environ["RLEXP_CACHE_MAX_GIB"] = str(1 / 2**30)
    facts = compile_cache.used()
    os.environ["RLEXP_CACHE_MAX_GIB"] = "much"
    assert compile_cache.most_bytes() == 20 * 2**30
    assert facts["bytes_dropped"] == 5002 and not (found.folder / "triton/old").exists() and not other.exists()
    assert (process / "not_ours/file").exists() and (found.folder / compile_cache.KEY).exists()


def test_caches_of_other_versions_are_listed(process):
    for key in ("aaaa", "bbbb"):
        (process / key).mkdir(parents=True)
        (process / key / compile_cache.KEY).write_text("{}")
    compile_cache.keep()
    assert [folder.name for folder in compile_cache.cache().others()] == ["aaaa", "bbbb"]


@pytest.mark.parametrize(
    ("answer", "seen"),
    [
        ("NVIDIA H100 80GB HBM3, 81559, 80000, 580.1\n", [("NVIDIA H100 80GB HBM3", 81559 * 2**20, "580.1")]),
        ("GH200, [N/A], [N/A], 580.1\n", [("GH200", 0, "580.1")]),  # one memory for both processors
        ("", []),
        ("No devices were found\n", []),
    ],
)
def test_gpus_are_read_from_what_nvidia_smi_says(answer, seen):
    assert [(gpu.name, gpu.total, gpu.driver) for gpu in nvidia.read(answer)] == seen


def test_kernels_are_those_of_the_next_process_unless_the_user_says_otherwise(process):
    compile_cache.keep()
    assert os.environ[compile_cache.REPEATABLE] == "1"
    key = compile_cache.cache().key
    os.environ[compile_cache.REPEATABLE] = "0"
    compile_cache._chosen.cache_clear()
    compile_cache.keep()
    assert os.environ[compile_cache.REPEATABLE] == "0" and compile_cache.cache().key != key
