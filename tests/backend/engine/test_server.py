"""The server of a run: its command line, what is checked first, and that it ends with the run."""

import http.server
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from rlexp import nvidia
from rlexp.backend.engine import server, server_command
from rlexp.errors import RunError

COMMIT = "a" * 40
SERVED = ("hardware=h100", "model=qwen3_0_6b", "rollout=server")
CHILD = """
import os, sys, time
from pathlib import Path
from rlexp.backend.engine.server import Server
port, folder = sys.argv[1:]
command = [sys.executable, "-m", "http.server", port, "--bind", "127.0.0.1", "--directory", folder]
server = Server(command, dict(os.environ), f"http://127.0.0.1:{port}", Path(folder) / "log", 30)
server.wait()
print("answers", flush=True)
time.sleep(60)
"""


@pytest.fixture
def port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


@pytest.fixture
def start(tmp_path, port):
    """Starts a command as a server; a file ``health`` is what Python's own server answers with."""
    (tmp_path / "health").touch()
    made = []

    def start(*command: str, seconds: float = 30) -> server.Server:
        listens = ["-m", "http.server", str(port), "--bind", "127.0.0.1", "--directory", str(tmp_path)]
        arguments = [sys.executable, *(command or listens)]
        address = f"http://127.0.0.1:{port}"
        made.append(server.Server(arguments, dict(os.environ), address, tmp_path / server.LOG, seconds))
        return made[-1]

    yield start
    for item in made:
        item.end()


@pytest.fixture
def two_gpus(monkeypatch):
    """A machine with vLLM and two GPUs, as far as is looked at."""
    monkeypatch.setattr(server_command.importlib.util, "find_spec", lambda name: name)
    monkeypatch.setattr(nvidia, "visible", lambda: ("4", "5"))


@pytest.mark.parametrize(
    ("overrides", "folder", "there", "absent"),
    [
        # by hub id at the commit that is meant, for all completions of a step
        (
            (f"model.revision={COMMIT}",),
            None,
            ["serve", "Qwen/Qwen3-0.6B", f"--revision {COMMIT}", "--max-num-seqs 64"],
            "eager",
        ),
        # a folder, whose commit nobody asks for
        ((f"model.revision={COMMIT}",), Path("/models/m"), ["serve /models/m", "--dtype bfloat16"], "--revision"),
        (("method.prompts_per_step=1024",), None, ["--max-num-seqs 1024"], "--trust-remote-code"),
        (("model.max_seq_length=2048", "seed=3"), None, ["--max-model-len 2048", "--seed 3"], "--trust-remote-code"),
        (("rollout.server_port=8001",), None, ["--host 127.0.0.1 --port 8001"], "--trust-remote-code"),
        (("rollout.gpu_memory_utilization=0.4",), None, ["--gpu-memory-utilization 0.4"], "--trust-remote-code"),
        (("rollout.enforce_eager=true",), None, ["--enforce-eager"], "--trust-remote-code"),
        (
            ("rollout.engine={async_scheduling:false,max_num_seqs:8,cudagraph_capture_sizes:[1,8],block_size:null}",),
            None,
            ["--no-async-scheduling", "--max-num-seqs 64", "--max-num-seqs 8 --cudagraph-capture-sizes 1 8"],
            "block-size",
        ),
        (
            ("rollout.engine.compilation_config={cudagraph_mode:FULL_DECODE_ONLY}",),
            None,
            ['"deterministic": true', '"cudagraph_mode": "FULL_DECODE_ONLY"}'],
            "--trust-remote-code",
        ),
        # what TRL needs, and what the model's own generation config must not change
        ((), None, ['--weight-transfer-config {"backend": "nccl"}', "--generation-config vllm"], "--trust-remote-code"),
        (("model.trust_remote_code=true",), None, ["--trust-remote-code"], "--revision abc"),
        ((), None, ["--logprobs-mode processed_logprobs --max-logprobs -1"], "--trust-remote-code"),
    ],
)
def test_the_command_line_says_what_the_run_says(composed, overrides, folder, there, absent):
    run = composed(*SERVED, "method.prompts_per_step=8", "method.num_generations=8", *overrides)
    said = " ".join(server_command.command(run, folder))
    assert all(part in said for part in there) and absent not in said


def test_the_trainer_is_told_where_the_server_is(composed, tmp_path):
    from rlexp.backend.trainers.arguments import requested

    asked = requested(composed(*SERVED, "rollout.server_port=8001", "rollout.group_port=8002"), tmp_path)
    assert asked["vllm_mode"] == "server" and asked["use_vllm"]
    assert asked["vllm_server_base_url"] == "http://127.0.0.1:8001" and asked["vllm_group_port"] == 8002
    asked = requested(composed(*SERVED, "rollout.server_url=http://other:9/"), tmp_path)
    assert asked["vllm_server_base_url"] == "http://other:9"


def test_a_server_that_answers_is_waited_for_and_ends_with_all_that_it_started(start, port):
    running = start()
    running.wait()
    running.end()
    assert server_command.is_free(port)
    with pytest.raises(RunError, match="exit code"):
        running.require()


def test_a_server_that_dies_at_its_start_is_told_with_the_end_of_its_log(start):
    running = start("-c", "print('out of memory'); raise SystemExit(3)")
    with pytest.raises(RunError, match=r"(?s)exit code 3.*\| out of memory") as error:
        running.wait()
    assert str(running.log) == error.value.where


def test_a_server_that_takes_too_long_is_given_up(start):
    running = start("-c", "import time; print('compiling', flush=True); time.sleep(60)", seconds=1.5)
    with pytest.raises(RunError, match=r"(?s)within 1.5 s.*compiling") as error:
        running.wait()
    assert "rollout.server_timeout=3" in error.value.hint


def test_the_signal_that_ended_a_server_is_named(start):
    running = start("-c", "import os; os.kill(os.getpid(), 9)")
    with pytest.raises(RunError, match=r"exit code 137 \(SIGKILL\)"):
        running.wait()


def test_of_its_log_is_told_what_was_raised_and_not_where(start):
    said = """
(EngineCore pid=15707) ERROR 11-25 04:24:55 [core.py:1163] Traceback (most recent call last):
(EngineCore pid=15707) ERROR 11-25 04:24:55 [core.py:1163]   File "core.py", line 9, in start
(EngineCore pid=15707) ERROR 11-25 04:24:55 [core.py:1163]     raise ValueError("no room")
(EngineCore pid=15707) ERROR 11-25 04:24:55 [core.py:1163]           ^^^^^^^^^^^^^^^^^^^^^
(EngineCore pid=15707) ERROR 11-25 04:24:55 [core.py:1163] ValueError: no room
INFO 11-25 04:24:55 [launcher.py:1] plain
  two spaces"""
    running = start("-c", f"print({said!r})")
    running.process.wait(30)
    assert running.tail() == "  | ValueError: no room\n  | plain\n  |   two spaces"


@pytest.mark.skipif(sys.platform != "linux", reason="needs PR_SET_PDEATHSIG")
def test_a_server_ends_when_its_run_is_killed(tmp_path, port):
    (tmp_path / "health").touch()
    parent = subprocess.Popen([sys.executable, "-c", CHILD, str(port), str(tmp_path)], stdout=subprocess.PIPE)
    assert parent.stdout.readline() == b"answers\n"
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    patience = time.monotonic() + 10
    while not server_command.is_free(port):
        assert time.monotonic() < patience
        time.sleep(0.05)


def test_an_error_is_put_down_to_the_server_where_that_had_ended(composed, tmp_path, port, two_gpus, monkeypatch):
    monkeypatch.setattr(server_command, "command", lambda run, folder: ["-c", "no such command"])
    monkeypatch.setattr(os, "environ", dict(os.environ))
    run = composed(*SERVED, f"rollout.server_port={port}")
    with pytest.raises(RunError, match="the vLLM server ended"), server.started(run, None, tmp_path) as running:
        assert os.environ["CUDA_VISIBLE_DEVICES"] == "4"
        running.process.wait(30)
        raise ConnectionError("refused")


DYING = """
import http.server, sys, threading, time
class Once(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
server = http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Once)
server.handle_request()
server.server_close()
time.sleep(1)
print("engine died", flush=True)
raise SystemExit(3)
"""


def test_a_server_that_no_longer_answers_is_let_say_why(composed, tmp_path, port, two_gpus, monkeypatch):
    monkeypatch.setattr(os, "environ", dict(os.environ))
    begin = server.Server
    monkeypatch.setattr(
        server, "Server", lambda arguments, *rest: begin([sys.executable, "-c", DYING, str(port)], *rest)
    )
    run = composed(*SERVED, f"rollout.server_port={port}")
    with pytest.raises(RunError, match=r"(?s)exit code 3.*engine died"), server.started(run, None, tmp_path) as running:
        running.wait()
        raise ConnectionError("refused")


def test_a_run_that_wants_no_server_starts_none(composed, tmp_path):
    with server.started(composed("hardware=cpu"), None, tmp_path) as running:
        assert running is None
    assert not (tmp_path / server.LOG).exists()


@pytest.mark.parametrize(("named", "expected"), [("2,3", ("2", "3")), ("", ()), ("MIG-a, MIG-b", ("MIG-a", "MIG-b"))])
def test_the_gpus_are_those_that_the_process_was_given(monkeypatch, named, expected):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", named)
    assert nvidia.visible.__wrapped__() == expected


def test_a_machine_with_one_gpu_is_told_what_else_to_type(composed, monkeypatch, two_gpus):
    monkeypatch.setattr(nvidia, "visible", lambda: ("0",))
    with pytest.raises(RunError, match="1 GPU can be seen") as error:
        server_command.validate(composed(*SERVED))
    assert "rollout=colocate" in error.value.hint and "server_url" in error.value.hint


@pytest.mark.parametrize("name", ["server_port", "group_port"])
def test_a_port_that_is_taken_is_named_with_a_free_one(composed, two_gpus, name):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        number = taken.getsockname()[1]
        with pytest.raises(RunError, match=f"port {number} is taken") as error:
            server_command.validate(composed(*SERVED, f"rollout.{name}={number}"))
    assert error.value.where == f"rollout.{name}" and f"rollout.{name}=" in error.value.hint


class Answers(http.server.BaseHTTPRequestHandler):
    """A server with an OpenAI model list, and with what takes weights where it is told so."""

    length, takes_weights = 4096, True

    def do_GET(self):
        found: dict[str, Any] = {"/v1/models": {"data": [{"id": "m", "max_model_len": self.length}]}}
        if self.takes_weights:
            found["/get_world_size"] = {"world_size": 1}
        self.send_response(200 if self.path in found else 404)
        self.end_headers()
        self.wfile.write(json.dumps(found.get(self.path)).encode())

    def log_message(self, *_):
        pass


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({}, None),
        ({"takes_weights": False}, "answers 404: it takes no weights"),
        ({"length": 256}, "holds sequences of 256 tokens"),
    ],
)
def test_a_server_of_ones_own_must_take_weights_and_hold_the_sequences(composed, two_gpus, changed, message):
    kind = type("Changed", (Answers,), changed)
    with http.server.HTTPServer(("127.0.0.1", 0), kind) as serving:
        threading.Thread(target=serving.serve_forever, daemon=True).start()
        run = composed(*SERVED, f"rollout.server_url=http://127.0.0.1:{serving.server_port}")
        try:
            if message is None:
                server_command.validate(run)
            else:
                with pytest.raises(RunError, match=message) as error:
                    server_command.validate(run)
                assert "VLLM_SERVER_DEV_MODE=1 vllm serve" in error.value.hint
        finally:
            serving.shutdown()


@pytest.mark.parametrize("address", ["http://a:b", "http://"])
def test_what_is_no_address_is_told_like_a_server_that_does_not_answer(composed, two_gpus, address):
    with pytest.raises(RunError, match="no vLLM server answers"):
        server_command.validate(composed(*SERVED, f"rollout.server_url='{address}'"))


def test_a_server_that_does_not_answer_is_told_with_how_to_start_it(composed, two_gpus, port):
    with pytest.raises(RunError, match="no vLLM server answers") as error:
        server_command.validate(composed(*SERVED, f"rollout.server_url=http://127.0.0.1:{port}"))
    assert "vllm serve" in error.value.hint
