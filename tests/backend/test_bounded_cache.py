"""What is dropped of a compile cache that holds more than its bound."""

import os
from pathlib import Path

import pytest

from rlexp.backend import bounded_cache


def written(path: Path, size: int, age: float) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(bytes(size))
    os.utime(path, (1e9 - age, 1e9 - age))
    return path


@pytest.fixture
def caches(tmp_path):
    """(the used one, another), of four entries and one; each file holds 100 bytes."""
    used, other = tmp_path / "used", tmp_path / "other"
    written(used / "triton/A/kernel.cubin", 100, 40)
    written(used / "triton/A/kernel.json", 100, 1)  # read since
    written(used / "triton/B/kernel.cubin", 100, 30)
    written(used / "vllm/torch_compile_cache/torch_aot_compile/C/rank_0_0/model", 100, 20)
    written(used / "vllm/torch_compile_cache/D/rank_0_0/backbone/graph", 100, 10)
    written(other / "triton/E/kernel.cubin", 100, 25)
    return used, other


def left(folder: Path) -> set[str]:
    return {path.name for path in folder.rglob("*") if path.is_file()}


def test_what_holds_no_more_than_the_bound_stays(caches, tmp_path):
    before = left(tmp_path)
    assert bounded_cache.trim(caches[0], [caches[1]], 600) == 0 and left(tmp_path) == before


@pytest.mark.parametrize(
    ("most", "stays"),
    [
        (599, ["A", "other", "C", "D"]),  # B is the oldest: A was read since
        (499, ["A", "C", "D"]),
        (300, ["A", "D"]),
        (299, ["A"]),
        (199, []),
    ],
)
def test_the_oldest_entries_go_first_and_whole(caches, most, stays):
    used, other = caches
    bounded_cache.trim(used, [other], most)
    names = {"A": used / "triton/A", "B": used / "triton/B", "other": other}
    names |= {n: used / f"vllm/torch_compile_cache/{p}" for n, p in (("C", "torch_aot_compile/C"), ("D", "D"))}
    assert [name for name, path in names.items() if path.exists()] == stays
    assert not list(used.parent.rglob(".dropped-*"))


def test_a_file_is_counted_once(caches):
    found = list(bounded_cache.entries(caches[0]))
    assert sum(entry.size for entry in found) == 500 and len({entry.path for entry in found}) == len(found) == 4


def test_what_cannot_be_dropped_stops_no_run(caches, monkeypatch):
    def refused(*_, **__):
        raise PermissionError

    monkeypatch.setattr(bounded_cache.os, "rename", refused)
    assert bounded_cache.trim(caches[0], [caches[1]], 0) == 0
