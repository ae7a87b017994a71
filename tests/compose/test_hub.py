"""A hub model's branch is resolved to its commit; without the hub its cache answers, or one message does, at once."""

import dataclasses
import json
import os
import time

import httpx
import pytest
from huggingface_hub import HfApi, constants, errors

from rlexp.compose import hub, hub_files
from rlexp.compose.schema import Invocation
from rlexp.errors import RunError
from rlexp.inputs import prepare
from rlexp.inputs.find import Inputs
from tests.conftest import rlexp

COMMIT, NEXT = "a" * 40, "b" * 40


@pytest.fixture
def run(composed):
    plain = composed("hardware=cpu")
    model = dataclasses.replace(plain.model, path=None, hub_id="someone/tiny", revision=None)
    return dataclasses.replace(plain, model=model)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """A cache of the hub that knows the model's branch; the hub cannot be reached."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    model = tmp_path / "models--someone--tiny"
    (model / "refs").mkdir(parents=True)
    (model / "refs/main").write_text(COMMIT)
    answer(monkeypatch, httpx.ConnectError("no network"))
    return model


def answer(monkeypatch, given):
    def info(self, hub_id, revision, timeout):
        if isinstance(given, Exception):
            raise given
        return given

    monkeypatch.setattr(HfApi, "model_info", info)


def refusal(kind):
    return kind("as the hub says", response=httpx.Response(404, request=httpx.Request("GET", "https://example.org")))


def at(run, revision):
    return dataclasses.replace(run, model=dataclasses.replace(run.model, revision=revision))


def test_a_branch_becomes_its_commit_by_the_hub_or_else_by_its_cache(run, cache, monkeypatch):
    assert hub.at_commit(run).model.revision == COMMIT
    (cache / "refs/main").write_text(NEXT)
    assert hub.at_commit(run).model.revision == NEXT
    answer(monkeypatch, type("Info", (), {"sha": "c" * 40}))
    assert hub.at_commit(run).model.revision == "c" * 40


def test_a_commit_and_a_folder_are_asked_about_nowhere(run, composed):
    assert hub.at_commit(at(run, NEXT)).model.revision == NEXT
    assert hub.at_commit(composed()) is composed()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (httpx.ConnectError("no network"), "cannot be reached"),
        (httpx.ReadTimeout("slow"), "cannot be reached"),
        (refusal(errors.RepositoryNotFoundError), "the hub knows no model someone/tiny"),
        (refusal(errors.RevisionNotFoundError), "has no revision other"),
        (refusal(errors.GatedRepoError), "shown to some users only"),
        (errors.HFValidationError("two slashes"), "is no id of the hub"),
    ],
)
def test_each_refusal_is_one_message(run, monkeypatch, given, message):
    answer(monkeypatch, given)
    with pytest.raises(RunError) as caught:
        hub.at_commit(at(run, "other"))
    assert message in caught.value.what and "model.hub_id=someone/tiny" in caught.value.where and caught.value.hint


def test_a_hub_that_says_nothing_is_waited_for_no_longer_than_its_time(run, monkeypatch):
    monkeypatch.setattr(hub, "PATIENCE_S", 0.2)
    monkeypatch.setattr(HfApi, "model_info", lambda *_, **__: time.sleep(30))
    began = time.monotonic()
    with pytest.raises(RunError, match="no answer within"):
        hub.at_commit(at(run, "other"))
    assert time.monotonic() - began < 5


def test_offline_is_typed_and_asks_nothing(run, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "")  # so that it is put back
    monkeypatch.delenv("HF_HUB_OFFLINE")
    monkeypatch.setattr(HfApi, "model_info", None)
    hub.begin(Invocation())
    assert "HF_HUB_OFFLINE" not in os.environ
    hub.begin(Invocation(offline=True))
    assert os.environ["HF_HUB_OFFLINE"] == "1"
    assert hub.at_commit(run).model.revision == COMMIT
    with pytest.raises(RunError, match=r"is not asked \(offline\)"):
        hub.at_commit(at(run, "other"))


def test_a_commit_counts_as_cached_when_it_is_whole(run, cache):
    run, folder = at(run, COMMIT), cache / "snapshots" / COMMIT
    folder.mkdir(parents=True)
    for name in ("config.json", "tokenizer.json"):
        assert hub.cached(run) is None
        (folder / name).write_text("{}")
    assert hub.cached(run) is None
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"x": "one", "y": "two"}}))
    (folder / "one").touch()
    assert hub.cached(run) is None
    (folder / "two").touch()
    assert hub.cached(run) == folder
    hub.require(run)


def test_no_input_is_made_for_a_model_that_cannot_be_had(run, monkeypatch, tmp_path):
    monkeypatch.setattr(
        prepare, "find_inputs", lambda run, root, *_, **__: Inputs(tmp_path, None, None, None, None, {})
    )
    with pytest.raises(RunError, match="cannot be reached"):
        prepare.prepare(at(run, COMMIT), tmp_path)


@pytest.mark.parametrize(
    "words", [("plan", "model.hub_id=foo/bar", "model.path=null"), ("model=qwen3_4b", "method.max_steps=1")]
)
def test_without_the_hub_the_command_line_answers_within_ten_seconds(project, tmp_path, words):
    began = time.monotonic()
    # No network, as this test sees to: a name that resolves nowhere.
    done = rlexp(project, *words, HF_ENDPOINT="http://hub.invalid", HF_HUB_CACHE=str(tmp_path), HF_HUB_OFFLINE="0")
    assert done.returncode == 2 and "the hub cannot be reached" in done.stderr and "Traceback" not in done.stderr
    assert time.monotonic() - began < 10 + 10  # and as much for a busy machine
    assert not (project / "outputs").exists() and not (project / "data").exists()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (httpx.ConnectError("no network"), "cannot be reached"),
        (refusal(errors.RepositoryNotFoundError), "the hub knows no data set someone/sums"),
        (refusal(errors.RevisionNotFoundError), "has no revision other"),
        (refusal(errors.GatedRepoError), "shown to some users only"),
    ],
)
def test_a_data_set_is_resolved_and_refused_in_the_same_words(monkeypatch, given, message):
    info = type("Info", (), {"sha": "d" * 40})
    monkeypatch.setattr(HfApi, "dataset_info", lambda *_, **__: info)
    assert hub_files.commit_of("someone/sums", None, "dataset") == "d" * 40

    def refused(*_, **__):
        raise given

    monkeypatch.setattr(HfApi, "dataset_info", refused)
    assert hub_files.commit_of("someone/sums", None, "dataset") == "d" * 40  # asked for once
    with pytest.raises(RunError, match=message) as caught:
        hub_files.commit_of("someone/sums", "other", "dataset")
    assert "dataset=someone/sums" in caught.value.where and "model" not in caught.value.hint


def test_a_file_that_the_commit_has_not_is_none_and_one_that_cannot_be_asked_for_is_said(monkeypatch):
    given = refusal(errors.RemoteEntryNotFoundError)

    def load(*_, **__):
        raise given

    monkeypatch.setattr("huggingface_hub.hf_hub_download", load)
    assert hub_files.file_of("someone/tiny", COMMIT, "config.json", "model") is None
    given = httpx.ConnectError("no network")
    with pytest.raises(hub.Unreachable, match="cannot be reached"):
        hub_files.file_of("someone/tiny", COMMIT, "config.json", "model")
