"""One engine a run: the first trainer makes it, the later ones are given the same."""

import gc
import os
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import requests
import torch

from rlexp.backend.engine.arguments import defaults, graphs, over
from rlexp.backend.engine.engine import Engine, options
from rlexp.backend.patches import Patches
from rlexp.backend.ranks import free_port
from rlexp.errors import RunError

COMMIT = "a" * 40
GPU = ("hardware=h100", "model=qwen3_0_6b")


def engine_of(run, folder=None, allowed=True):
    """The engine of a run, before a trainer is built."""
    return Engine(run, folder, Patches(allowed))


@pytest.fixture
def trl(monkeypatch):
    """TRL's module, with vLLM's class where none is installed: it notes its arguments, and draws a number."""
    from trl.generation import vllm_generation

    def start(**asked):
        torch.rand(1)
        return SimpleNamespace(asked=asked)

    monkeypatch.setattr(vllm_generation, "LLM", start, raising=False)
    monkeypatch.setenv("MASTER_PORT", "")  # as not set; and put back when an engine stays open
    return vllm_generation


def test_a_second_trainer_is_given_the_engine_of_the_first(composed, trl):
    engine, before, state = engine_of(composed(*GPU, "rollout=colocate")), trl.LLM, torch.get_rng_state()
    made = []
    for _ in range(2):
        with engine.given():
            made.append(trl.LLM(model="org/name", max_num_seqs=8))
        assert trl.LLM is before
    assert made[0] is made[1] and made[0].asked["model"] == "org/name"
    assert torch.equal(torch.get_rng_state(), state)


def test_runs_that_start_together_do_not_meet_on_one_port(composed, trl, monkeypatch):
    ports = []
    for _ in range(2):
        engine = engine_of(composed(*GPU, "rollout=colocate"))
        with engine.given():
            ports.append(os.environ["MASTER_PORT"])
        engine.close()
        assert os.environ["MASTER_PORT"] == ""
    assert ports[0] != ports[1]
    monkeypatch.setenv("MASTER_PORT", "1")  # of a launcher
    with engine_of(composed(*GPU, "rollout=colocate")).given():
        assert os.environ["MASTER_PORT"] == "1"


def test_after_an_error_trl_finds_its_own_class_again(composed, trl):
    before = trl.LLM
    with pytest.raises(ZeroDivisionError), engine_of(composed(*GPU, "rollout=colocate")).given():
        raise ZeroDivisionError
    assert trl.LLM is before


@pytest.mark.parametrize("error", [ValueError, AssertionError])  # the latter where another process frees memory
def test_an_engine_that_cannot_start_is_the_users_to_change(composed, trl, monkeypatch, error):
    def refuse(**asked):
        raise error("max_model_len (1024) is greater than 512\n" + "and so on " * 100)

    monkeypatch.setattr(trl, "LLM", refuse)
    with (
        pytest.raises(RunError, match=r"did not start: max_model_len \(1024\) is greater than 512 and so on"),
        engine_of(composed(*GPU, "rollout=colocate")).given(),
    ):
        trl.LLM(model="org/name")


def test_a_run_without_an_engine_of_trl_changes_nothing(composed, trl):
    before = trl.LLM
    with engine_of(composed("hardware=cpu")).given():
        assert trl.LLM is before


@pytest.mark.parametrize(
    ("overrides", "folder", "expected"),
    [
        # the type of the trained model, whatever that of the files
        ((), Path("models/m"), {"dtype": "bfloat16", "enforce_eager": False}),
        (
            ("hardware.dtype=float16", "rollout.enforce_eager=true"),
            Path("m"),
            {"dtype": "float16", "enforce_eager": True},
        ),
        # the commit that is meant; a folder has none
        ((f"model.revision={COMMIT}",), None, {"dtype": "bfloat16", "enforce_eager": False, "revision": COMMIT}),
        ((f"model.revision={COMMIT}",), Path("m"), {"dtype": "bfloat16", "enforce_eager": False}),
    ],
)
def test_the_engine_holds_the_model_that_is_trained(composed, overrides, folder, expected):
    assert options(composed(*GPU, "rollout=colocate", *overrides), folder) == expected


def test_trls_engine_takes_the_arguments_of_the_run(composed, trl):
    engine = engine_of(composed(*GPU, "rollout=colocate", "rollout.engine.async_scheduling=false"), Path("m"))
    with engine.given():
        asked = trl.LLM(model="m", max_num_seqs=8).asked
    assert asked == {
        **{"dtype": "bfloat16", "enforce_eager": False, "model": "m", "max_num_seqs": 8},
        "async_scheduling": False,
        **over(defaults(engine.run), graphs(engine.run)),
    }


def test_trainer_and_server_meet_once_however_many_trainers_there_are(composed, monkeypatch):
    from trl.generation import vllm_generation

    met = []

    class Client:
        def __init__(self, **asked):
            self.communicator, self.session = None, requests.Session()

        def init_communicator(self, device=0):
            met.append(device)
            self.communicator = "open"

        def close_communicator(self):
            self.communicator = None

    monkeypatch.setattr(vllm_generation, "VLLMClient", Client)
    engine = engine_of(composed(*GPU, "rollout=server"))
    for _ in range(2):
        with engine.given():
            client = vllm_generation.VLLMClient(base_url="http://127.0.0.1:8000")
        client.init_communicator(device="cuda:0")
    assert met == ["cuda:0"]
    engine.close()
    assert client.communicator is None and engine.made is None


@pytest.mark.parametrize(("named", "again"), [((), 2), (("rollout.server_url=http://other:9",), 5)])
def test_a_server_of_ones_own_that_has_ended_is_not_called_for_a_minute(composed, monkeypatch, named, again):
    from requests.adapters import HTTPAdapter
    from trl.generation import vllm_generation
    from urllib3.util.retry import Retry

    class Client:
        def __init__(self, **asked):
            self.session = requests.Session()
            self.session.mount("http://", HTTPAdapter(max_retries=Retry(5, backoff_factor=2, status_forcelist=[500])))

    monkeypatch.setattr(vllm_generation, "VLLMClient", Client, raising=False)
    with engine_of(composed(*GPU, "rollout=server", *named)).given():
        session = vllm_generation.VLLMClient(base_url="http://127.0.0.1:8000").session
    assert session.get_adapter("http://a").max_retries.total == again
    if not named:
        began = time.monotonic()
        with pytest.raises(requests.ConnectionError):
            session.post(f"http://127.0.0.1:{free_port()}/v1/completions", json={})
        assert time.monotonic() - began < 2


def test_after_a_run_the_environment_is_as_it_was_and_its_trainers_can_go(composed, trl, monkeypatch):
    monkeypatch.delenv("LOCAL_RANK", raising=False)
    monkeypatch.setenv("MASTER_PORT", "1")
    engine = engine_of(composed(*GPU, "rollout=unsloth"))
    os.environ |= {"LOCAL_RANK": "0", "MASTER_PORT": "2"}  # as TRL does
    gc.freeze()
    engine.close()
    assert "LOCAL_RANK" not in os.environ and os.environ["MASTER_PORT"] == "1"
    assert gc.get_freeze_count() == 0


def test_without_patches_trl_starts_its_own_engine_which_ends_with_the_run_all_the_same(composed, trl):
    run = composed(*GPU, "rollout=colocate", "rollout.patches=off", "preflight.smoke=never")
    engine, before = engine_of(run, allowed=False), trl.LLM
    with engine.given():
        assert trl.LLM is before
        llm = trl.LLM(model="m")
    assert llm.asked == {"model": "m"}
    engine.adopt(SimpleNamespace(llm=llm))
    assert engine.made is llm
    assert {name: found["status"] for name, found in engine.patches.to_json().items()}["shared_engine"] == "skipped"


def test_unsloths_engine_is_none_of_trls(composed):
    engine = engine_of(composed(*GPU, "rollout=unsloth"))
    engine.adopt(SimpleNamespace(llm=object()))
    assert engine.made is None
