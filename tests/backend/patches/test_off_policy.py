"""Sampling one step ahead: what is asked for when, beside training, with a stand-in for the sampler alone."""

import gc
import json
import math
import threading
import time
from concurrent.futures import Future
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from rlexp.backend import logprobs, prompt_order
from rlexp.backend.engine import request
from rlexp.backend.patches import Patches, off_policy, prepare_sampling

NAN = float("nan")
STEPS = 4


class Served:
    """A sampler that takes its time, and notes what it is asked."""

    mode, logprobs = "server", None

    def __init__(self, seconds=0.0):
        self.seconds, self.ended = seconds, threading.Event()
        self.said, self.weights, self.working = [], 0, False
        self.vllm_client = SimpleNamespace(base_url="http://127.0.0.1:9")

    def sync_weights(self):
        assert not self.working
        self.weights = self.trainer.state.global_step
        self.said.append(f"weights of {self.weights}")

    def generate(self, prompts, images, num_generations):
        assert num_generations == 2
        self.working = True
        self.said.append(f"asked {prompts[0][0]}")
        self.ended.wait(self.seconds)
        self.working = False
        return None, [[self.weights, 7] for _ in prompts], [[[-0.5], [None]] for _ in prompts], None


class Trainer(SimpleNamespace):
    """As much of TRL's as is wrapped: two prompts a step, two completions each, in two micro-batches."""

    def compute_loss(self):
        """TRL's own: it stands in a module without Unsloth's loss."""


def made(generation=None, grpo=True, train=None):
    rows = [{"prompt": number} for number in range(10)]
    order = [2, 2, 0, 0] * 2 + [1, 1, 3, 3] * 2 + [5, 5, 4, 4] * 2 + [7, 7, 6, 6] * 2
    found = Trainer(
        args=SimpleNamespace(steps_per_generation=2, gradient_accumulation_steps=4, per_device_train_batch_size=2),
        state=SimpleNamespace(global_step=0, max_steps=STEPS),
        model=SimpleNamespace(training=True),
        train_dataset=rows,
        num_iterations=1,
        num_generations=2,
        _last_loaded_step=-1,
        _get_train_sampler=lambda: order,
        _tokenize_prompts=lambda prompts: ([[prompt] for prompt in prompts], None, {}),
        _generate_single_turn=lambda *_: pytest.fail("sampled past the server"),
        _generate_and_score_completions=lambda inputs: inputs,
        _get_per_token_logps_and_entropies=lambda *_, **__: (torch.full((4, 2), -9.0), None, None),
        _save_rng_state=lambda folder: None,
        _load_rng_state=lambda folder: None,
        train=train or (lambda: None),
        **({"vllm_importance_sampling_correction": True} if grpo else {}),
        **({"vllm_generation": generation} if generation else {}),
    )
    if generation:
        generation.trainer = found
    return found


def prompts_of(step):
    return [[prompt] for prompt in ([2, 2, 0, 0], [1, 1, 3, 3], [5, 5, 4, 4], [7, 7, 6, 6])[step]]


def test_the_request_is_under_way_while_the_step_trains_and_weights_wait_for_it():
    served = Served(seconds=0.2)
    trainer = made(served)
    off_policy.OffPolicy(trainer).install()
    threads, seen = threading.active_count(), []
    for step in range(STEPS):
        ids, found = trainer._generate_single_turn(prompts_of(step), None, {}, 2)
        seen.append(ids[0][0])
        if step + 1 < STEPS:
            time.sleep(0.1)  # the step trains
            assert served.working and served.said[-1] == f"asked {prompts_of(step + 1)[0][0]}"
        trainer.state.global_step += 1
    assert seen == [0, 0, 1, 2]  # the weights that sampled: one update back from the second step on
    assert found[0][0] == -0.5 and math.isnan(found[0][1])
    weights, asked = [f"weights of {n}" for n in range(3)], [f"asked {prompts_of(n)[0][0]}" for n in range(4)]
    assert served.said == [weights[0], *asked[:2], weights[1], asked[2], weights[2], asked[3]]
    assert threading.active_count() == threads  # the last step asked for nothing


def test_weights_that_are_sent_while_a_request_runs_wait_for_its_end():
    served = Served(seconds=0.3)
    trainer = made(served)
    ahead = off_policy.OffPolicy(trainer)
    ahead.install()
    trainer._generate_single_turn(prompts_of(0), None, {}, 2)
    assert not ahead.waiting.done()
    served.sync_weights()  # asserts that nothing runs
    assert ahead.waiting.done()


def test_an_error_of_the_request_is_raised_where_its_completions_are_taken():
    served = Served()
    trainer = made(served)
    off_policy.OffPolicy(trainer).install()
    answer = served.generate

    def generate(*asked):
        if asked[0] == prompts_of(1):
            raise Exception("Request failed: 400, prompt too long")
        return answer(*asked)

    served.generate = generate
    trainer._generate_single_turn(prompts_of(0), None, {}, 2)
    trainer.state.global_step = 1
    with pytest.raises(Exception, match="400, prompt too long"):
        trainer._generate_single_turn(prompts_of(1), None, {}, 2)


def test_other_prompts_than_those_asked_for_are_refused():
    served = Served()
    trainer = made(served)
    off_policy.OffPolicy(trainer).install()
    trainer._generate_single_turn(prompts_of(0), None, {}, 2)
    trainer.state.global_step = 1
    with pytest.raises(RuntimeError, match="other prompts"):
        trainer._generate_single_turn(prompts_of(2), None, {}, 2)


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_an_interrupted_training_has_the_server_end_its_request(error):
    served, asked = Served(), []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            asked.append(self.path)
            self.rfile.read(int(self.headers["Content-Length"]))
            served.ended.set()
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            pass

    def train():
        trainer._generate_single_turn(prompts_of(0), None, {}, 2)
        ahead.waiting.result()
        served.seconds = 60
        trainer.state.global_step = 1
        trainer._generate_single_turn(prompts_of(1), None, {}, 2)
        raise error

    trainer = made(served, train=train)
    ahead = off_policy.OffPolicy(trainer)
    ahead.install()
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        served.vllm_client.base_url = f"http://127.0.0.1:{server.server_port}"
        with pytest.raises(error):
            trainer.train()
        server.shutdown()
    assert asked[0] == "/abort_requests" and not served.working and ahead.waiting is None


def test_a_request_that_never_ends_is_left_after_a_while():
    began = time.monotonic()
    request.abort(Future(), SimpleNamespace(base_url="http://127.0.0.1:9"), seconds=0.1)
    assert time.monotonic() - began < 10


def test_waiting_completions_are_written_and_read_again(tmp_path):
    served = Served()
    trainer = made(served)
    rows = next(prompt_order.batches(trainer))
    digest = prompt_order.prompts_digest(trainer._tokenize_prompts([row["prompt"] for row in rows])[0])
    one = off_policy.OffPolicy(trainer)
    one.waiting = request.in_thread(lambda: off_policy.Sampled(digest, [[1, 2]], [[-0.25, NAN]]))
    one.save(str(tmp_path))
    two = off_policy.OffPolicy(trainer)
    two.restore(str(tmp_path))
    again = two.waiting.result()
    assert (again.prompts, again.ids, again.logprobs[0][0]) == (digest, [[1, 2]], -0.25)
    assert math.isnan(again.logprobs[0][1])
    json.loads((tmp_path / off_policy.FILE).read_text())
    three = off_policy.OffPolicy(trainer)
    three.restore(None)
    three.restore(str(tmp_path / "without"))
    trainer.state.global_step = 1  # a fork may come to other prompts
    three.restore(str(tmp_path))
    assert three.waiting is None


def test_the_samplers_log_probabilities_are_the_old_ones_and_the_policys_own_where_it_has_none():
    trainer = made()
    off_policy.OffPolicy(trainer).install()
    batch = {
        **dict.fromkeys(("prompt_ids", "completion_ids", "prompt_mask", "completion_mask"), torch.ones(4, 2).int()),
        "sampling_per_token_logps": torch.tensor([[-1.0, NAN]] * 4),
    }
    found = trainer._generate_and_score_completions(batch)
    assert torch.equal(found["old_per_token_logps"], torch.tensor([[-1.0, -9.0]] * 4))
    assert "sampling_per_token_logps" not in found and trainer.vllm_importance_sampling_correction is False


def test_the_ratio_is_not_taken_from_the_training_pass_as_well():
    served = Served()
    trainer = made(served)
    trainer.use_vllm = True
    patches = Patches()
    served.generation_kwargs = {}
    prepare_sampling(trainer, SimpleNamespace(patches=patches, run=SimpleNamespace(seed=0)), off_policy_steps=1)
    gc.unfreeze()
    assert patches.to_json()["off_policy"] == {"status": "applied"}
    assert patches.to_json()["importance_ratio"]["status"] == "not needed"
    assert not hasattr(trainer, "_compute_loss") and trainer.vllm_importance_sampling_correction is False
    assert served.logprobs == 0


def test_rloo_is_answered_once_with_what_the_sampler_reported():
    trainer = made(grpo=False)
    ahead = off_policy.OffPolicy(trainer)
    ahead.install()
    ahead.unanswered = [[-1.0], [-1.0, NAN], [], [-2.0, -3.0]]
    ids = torch.ones(4, 5).int()
    found = trainer._get_per_token_logps_and_entropies(None, ids, ids, 2, 2)[0]
    assert torch.equal(found, torch.tensor([[-1.0, 0.0], [-1.0, -9.0], [0.0, 0.0], [-2.0, -3.0]]))
    assert torch.equal(trainer._get_per_token_logps_and_entropies(None, ids, ids, 2, 2)[0], torch.full((4, 2), -9.0))


def test_unsloths_loss_is_given_them_twice():
    class Loss:
        @staticmethod
        def apply(*arguments):
            return arguments

    wrapped = off_policy._Loss(off_policy._Loss(Loss))
    new, sampling = torch.tensor([-3.0, -4.0], requires_grad=True), torch.tensor([-1.0, NAN])
    found = wrapped.apply(new, None, None, sampling, "head")
    assert torch.equal(found[1], torch.tensor([-1.0, -4.0])) and not found[1].requires_grad
    assert found[3] is sampling and wrapped.apply(new, None, None, None)[1] is None


@pytest.mark.parametrize(
    ("rows", "kept", "prompts"),
    [
        ([[1, 2, 0], [3, 0, 0], [4, 5, 6]], 3, [2, 5, 4]),  # TRL: every row from its first token on
        # Unsloth: three more, of which a row skips as many as its prompt is longer than the shortest
        ([[1, 2, 0, 9, 9, 9], [9, 9, 9, 3, 0, 0], [9, 9, 4, 5, 6, 0]], 3, [2, 5, 4]),
    ],
)
def test_log_probabilities_of_the_completions_own_tokens(rows, kept, prompts):
    assert logprobs.unpadded(rows, kept, prompts, [2, 1, 3]) == [[1, 2], [3], [4, 5, 6]]


@pytest.mark.parametrize(("prompts", "passes"), [(2, 3), (4, 1), (3, 2)])
def test_the_prompts_ahead_are_those_that_the_loader_gives(prompts, passes):
    from torch.utils.data import DataLoader
    from trl.trainer.utils import RepeatSampler

    rows, size = [{"prompt": number} for number in range(11)], prompts * 6

    def sampler():
        return RepeatSampler(rows, 6, batch_size=prompts, repeat_count=passes, shuffle=True, seed=3)

    trainer = SimpleNamespace(
        args=SimpleNamespace(steps_per_generation=passes, per_device_train_batch_size=size // passes),
        train_dataset=rows,
        num_iterations=1,
        _get_train_sampler=sampler,
    )
    ahead = prompt_order.batches(trainer)
    loader: DataLoader[Any] = DataLoader(rows, batch_size=size, sampler=sampler(), collate_fn=list)
    for _ in range(3):  # epochs
        given = list(loader)
        assert len(given) == 11 // prompts * passes
        for number in range(0, len(given), passes):
            assert next(ahead) == given[number]
