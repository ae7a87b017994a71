"""What a lock holds, and how it is known to be whole."""

from __future__ import annotations

import hashlib
from datetime import datetime
from importlib import metadata
from types import SimpleNamespace

import pytest
import torch
import yaml

from rlexp.errors import RunError
from rlexp.record import lock

DIGEST = {
    "data": {"path": "data/arithmetic", "md5": "d" * 32 + ".dir"},
    "rewards": {},
    "model": {"md5": "e" * 32 + ".dir", "files": {}},
}
"""The hashes of a run's inputs."""


@pytest.fixture
def content(composed):
    tokenizer = SimpleNamespace(chat_template="{{ x }}")
    return lock.lock(
        composed("hardware=cpu"), DIGEST, ["hardware=cpu"], tokenizer, "a" * 64, {"conf/config.yaml": "project"}
    )


def test_a_lock_holds_what_a_run_began_with(content, composed):
    run = composed("hardware=cpu")
    assert list(content) == [
        *("format", "identity", "overrides", "config", "inputs", "origins"),
        *("chat_template_sha256", "fresh_adapter_sha256", "versions", "machine", "checksum"),
    ]
    assert (content["format"], content["overrides"]) == (2, ["hardware=cpu"])
    assert content["identity"] == lock.identity(run) == lock.json_sha256(run.experiment())[:16]
    assert content["config"] == run.config() and content["inputs"] == DIGEST
    assert content["chat_template_sha256"] == hashlib.sha256(b"{{ x }}").hexdigest()
    assert content["fresh_adapter_sha256"] == "a" * 64
    assert content["checksum"] == lock.checksum(content) != lock.checksum({**content, "format": 3})


def test_the_versions_are_those_of_the_packages_that_are_here(monkeypatch):
    monkeypatch.setattr(lock, "PACKAGES", ("torch", "no-such-package", "trl"))
    assert lock.versions() == {name: metadata.version(name) for name in ("torch", "trl")}


def test_a_lock_is_read_back_as_it_was_written(content, tmp_path):
    file = tmp_path / "run.lock.yaml"
    file.write_text(yaml.safe_dump(content, sort_keys=False))
    assert lock.read_lock(file) == content
    file.write_text(file.read_text().replace("format: 2", "format: 1"))
    with pytest.raises(RunError, match="changed after it was written") as caught:
        lock.read_lock(file)
    assert f"stated {content['checksum'][:16]}, actual " in caught.value.where


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"a: [", "the lock cannot be read"),
        (b"\xff\xfe\x00", "the lock cannot be read"),
        (b"a: 1", "this file is no lock of a run"),
        (b"[checksum]", "this file is no lock of a run"),
    ],
)
def test_what_is_no_lock_is_refused(tmp_path, data, what):
    (tmp_path / "x.yaml").write_bytes(data)
    with pytest.raises(RunError, match=what):
        lock.read_lock(tmp_path / "x.yaml")
    with pytest.raises(RunError, match="cannot be read"):
        lock.read_lock(tmp_path / "nowhere.yaml")


def test_the_hash_of_trainable_weights_is_of_their_names_and_bytes_in_the_order_of_names():
    model = torch.nn.ModuleDict({"b": torch.nn.Linear(1, 1, bias=False), "a": torch.nn.Linear(1, 1)})
    for number, weight in enumerate(model.parameters()):
        torch.nn.init.constant_(weight, number)
    model["a"].bias.requires_grad = False
    expected = hashlib.sha256()
    for name, value in (("a.weight", 1.0), ("b.weight", 0.0)):
        expected.update(name.encode() + torch.tensor([[value]]).numpy().tobytes())
    assert lock.trainable_sha256(model) == expected.hexdigest()
    half = torch.nn.Linear(1, 1, bias=False, dtype=torch.bfloat16)
    torch.nn.init.constant_(half.weight, 0.5)
    assert (
        lock.trainable_sha256(half) == hashlib.sha256(b"weight" + torch.tensor([[0.5]]).numpy().tobytes()).hexdigest()
    )


def test_the_time_that_a_template_writes_is_locked(content, composed, tmp_path):
    assert lock.template_time(content) is None
    moment = datetime(2026, 11, 29, 15, 56, 11)
    template = SimpleNamespace(chat_template="{{ x }}")
    dated = lock.lock(composed("hardware=cpu"), DIGEST, [], template, None, {}, moment)
    file = tmp_path / "run.lock.yaml"
    file.write_text(yaml.safe_dump(dated, sort_keys=False))
    assert lock.template_time(lock.read_lock(file)) == moment
    with pytest.raises(RunError, match="which is no time"):
        lock.template_time({"template_time": "2026-13-29T15:56:11"})
