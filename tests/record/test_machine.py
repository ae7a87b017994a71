"""Facts about the machine, and the state of the code as git knows it."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from rlexp.record import machine


@pytest.fixture
def repository(tmp_path):
    def git(*command):
        who = ["-c", "user.name=a", "-c", "user.email=a@b"]
        done = subprocess.run(["git", "-C", str(tmp_path), *who, *command], check=True, capture_output=True, text=True)
        return done.stdout

    (tmp_path / "src").mkdir()
    (tmp_path / "src/code.py").write_text("one\n")
    (tmp_path / ".gitignore").write_text("ignored\n")
    for command in (["init", "-q"], ["add", "."], ["commit", "-qm", "first"]):
        git(*command)
    return SimpleNamespace(path=tmp_path, git=git)


def test_a_tree_without_changes_has_a_commit_and_no_patch(repository):
    (repository.path / "ignored").write_text("x")
    facts, patch = machine.commit_and_patch(repository.path)
    assert facts == {"sha": repository.git("rev-parse", "HEAD").strip(), "dirty": False, "untracked": []}
    assert patch == ""


def test_changes_and_small_new_files_are_in_the_patch_and_large_ones_only_named(repository, monkeypatch):
    monkeypatch.setattr(machine, "LARGE", 100)
    (repository.path / "src/code.py").write_text("two\n")
    (repository.path / "src/new.py").write_text("three\n")
    (repository.path / "src/just.py").write_text("y" * 99)
    (repository.path / "src/large.py").write_text("x" * 100)
    facts, patch = machine.commit_and_patch(repository.path)
    assert facts["dirty"] is True and facts["untracked"] == ["src/just.py", "src/large.py", "src/new.py"]
    assert facts["left_out"] == {"src/large.py": "100 bytes or more"}
    assert "+two" in patch and "+three" in patch and "yyy" in patch and "xxx" not in patch
    assert repository.git("diff", "--cached", "--name-only") == ""  # the user's own index


def test_a_large_new_file_alone_is_a_difference_without_a_patch(repository, monkeypatch):
    monkeypatch.setattr(machine, "LARGE", 1)
    (repository.path / "src/large.py").write_text("x")
    facts, patch = machine.commit_and_patch(repository.path)
    assert (facts["dirty"], facts["untracked"], patch) == (True, ["src/large.py"], "")


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        *[(f"{folder}/x.py", None) for folder in ("src", "conf", "rewards", "data_prep", "eval", "environments")],
        *[(name, None) for name in ("pyproject.toml", "Makefile", "constraints-gpu.txt", "rewards.lock.yaml")],
        ("src/rlexp/secrets.py", None),
        *[(name, "no code of the project") for name in ("notes.txt", "mydata/a.jsonl", "tests/x.py", "src.py")],
        *[(name, "may hold a key") for name in (".env", ".env.local", "conf/.env", "src/id_rsa", "rewards/x.PEM")],
        *[(name, "may hold a key") for name in ("conf/credentials.json", "src/my_secrets/a.py", ".netrc", "a.key")],
        ("src/large.py", "262144 bytes or more"),
        ("src/binary.py", "binary"),
    ],
)
def test_the_patch_holds_code_only(tmp_path, name, reason):
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes({"src/large.py": b"x" * 256 * 1024, "src/binary.py": b"x\0y"}.get(name, b"text"))
    assert machine.left_out(tmp_path, name) == reason


def test_a_tracked_env_file_that_changed_is_left_out_and_named(repository):
    (repository.path / ".env").write_text("KEY=one\n")
    for command in (["add", "-f", "."], ["commit", "-qm", "second"]):
        repository.git(*command)
    (repository.path / ".env").write_text("KEY=planted\n")
    (repository.path / "src/code.py").unlink()
    facts, patch = machine.commit_and_patch(repository.path)
    assert facts["left_out"] == {".env": "may hold a key"} and facts["dirty"]
    assert "planted" not in patch and "-one" in patch


def test_a_secret_in_the_code_is_masked_in_the_patch(repository, monkeypatch):
    monkeypatch.setenv("PLANTED_TOKEN", "Planted-4711-value")
    (repository.path / "src/code.py").write_text("key = 'Planted-4711-value'\n")
    _, patch = machine.commit_and_patch(repository.path)
    assert "+key = '***'" in patch and "4711" not in patch


def test_no_more_than_fifty_new_files_are_named(repository):
    for number in range(60):
        (repository.path / f"src/new{number:02}").write_text("x")
    assert machine.commit_and_patch(repository.path)[0]["untracked"] == [f"src/new{number:02}" for number in range(50)]


def test_outside_of_a_repository_nothing_is_known(tmp_path, monkeypatch):
    assert machine.commit_and_patch(tmp_path) == ({}, "")
    monkeypatch.setenv("PATH", "")
    assert machine.commit_and_patch(tmp_path) == ({}, "")


def test_the_machine_is_what_the_system_says_and_torch_where_it_is_loaded(monkeypatch):
    cpus = len(os.sched_getaffinity(0))
    plain = {
        "platform": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "processor": machine.processor(),
        "cpus": cpus,
    }
    monkeypatch.setitem(sys.modules, "torch", None)
    assert machine.machine() == plain
    cuda = SimpleNamespace(is_available=lambda: False, device_count=lambda: 2, get_device_name=lambda i: f"GPU {i}")
    torch = SimpleNamespace(
        backends=SimpleNamespace(cpu=SimpleNamespace(get_cpu_capability=lambda: "AVX2")),
        get_num_threads=lambda: 3,
        cuda=cuda,
        version=SimpleNamespace(cuda="13.0"),
    )
    monkeypatch.setitem(sys.modules, "torch", torch)
    assert machine.machine() == plain | {"instructions": "AVX2", "threads": 3}
    cuda.is_available = lambda: True
    assert machine.machine() == plain | {
        **{"instructions": "AVX2", "threads": 3, "gpus": ["GPU 0", "GPU 1"], "cuda": "13.0"}
    }


@pytest.mark.parametrize(
    ("text", "name"),
    [("processor: 0\nmodel name\t: A: B\nmodel name: C\n", "A: B"), ("processor: 0\n", None), (None, None)],
)
def test_the_processor_is_named_by_the_system_or_by_python(monkeypatch, text, name):
    def read_text(path):
        if text is None:
            raise OSError
        return text

    monkeypatch.setattr(Path, "read_text", read_text)
    assert machine.processor() == (name or platform.processor() or platform.machine())
