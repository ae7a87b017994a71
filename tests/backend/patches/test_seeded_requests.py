"""Seeds of what vLLM samples: of each row its own, the same in every process, another at every step and call."""

from types import SimpleNamespace

import pytest

from rlexp.backend.patches import seeded_requests
from rlexp.backend.patches.patch import APPLIED, Status
from rlexp.backend.patches.seeded_requests import Seeds


class Parameters:
    """Stands for vllm.SamplingParams."""

    seed = None

    def clone(self):
        return Parameters()


class Sampler:
    """Stands for vllm.LLM or TRL's client: notes what it is asked."""

    def __init__(self):
        self.asked = []

    def generate(self, prompts, sampling_params=None, **named):
        self.asked.append((prompts, sampling_params, named))
        n = named.get("n", 1)
        rows = [[prompt, number] for prompt in prompts for number in range(n)]
        return {"prompt_ids": prompts, "completion_ids": rows, "logprobs": rows, "logprob_token_ids": None}


class Generation:
    """Stands for TRL's VLLMGeneration."""

    def __init__(self, mode, **kwargs):
        self.mode, self.generation_kwargs = mode, kwargs
        self.llm = self.vllm_client = Sampler()

    def generate(self, prompts, images, num_generations):
        if self.mode == "colocate":
            return self.llm.generate(prompts, sampling_params=Parameters(), use_tqdm=False)
        return self.vllm_client.generate(
            prompts=prompts[::num_generations], features=None, n=num_generations, temperature=0.7, generation_kwargs={}
        )


def trainer(step=0):
    return SimpleNamespace(state=SimpleNamespace(global_step=step))


def seeds_of(generation):
    return [one.seed for one in generation.llm.asked[-1][1]]


def test_every_row_step_and_call_has_a_seed_of_its_own_and_the_same_in_another_process():
    live, generation = trainer(), Generation("colocate")
    assert seeded_requests.apply(live, generation, 7) is APPLIED
    found = []
    for step in (0, 0, 1, 2):
        live.state.global_step = step
        generation.generate(list("aabb"), None, 2)
        found.append(seeds_of(generation))
    every = [seed for row in found for seed in row]
    assert len(set(every)) == len(every) == 16 and all(0 <= seed < 2**31 for seed in every)
    resumed = Generation("colocate")
    seeded_requests.apply(trainer(2), resumed, 7)
    resumed.generate(list("aabb"), None, 2)
    assert seeds_of(resumed) == found[-1]
    other = Generation("colocate")
    seeded_requests.apply(trainer(2), other, 8)
    other.generate(list("aabb"), None, 2)
    assert not set(seeds_of(other)) & set(every)


def test_what_the_engine_had_is_seen_again_after_the_call_and_after_an_error():
    live, generation = trainer(), Generation("colocate")
    seeded_requests.apply(live, generation, 0)
    generation.generate(["a"], None, 1)
    assert "generate" not in vars(generation.llm)

    def fails(*_, **__):
        raise MemoryError

    generation.llm.generate = fails  # as Unsloth sets one
    with pytest.raises(MemoryError):
        generation.generate(["a"], None, 1)
    assert generation.llm.generate is fails


def test_a_server_is_asked_prompt_by_prompt_and_answers_as_to_one_request():
    plain, generation = Generation("server"), Generation("server")
    seeded_requests.apply(trainer(3), generation, 1)
    prompts = [name for name in "abcde" for _ in range(3)]
    assert generation.generate(prompts, None, 3) == plain.generate(prompts, None, 3)
    asked = {one[2]["generation_kwargs"]["seed"]: one for one in generation.vllm_client.asked}
    assert len(asked) == 5
    seed = Seeds(1, lambda: 3).call()
    assert set(asked) == {seed(number * 3) for number in range(5)}
    assert sorted(prompts for (prompts,), _, _ in asked.values()) == list("abcde")
    assert {named["temperature"] for _, _, named in asked.values()} == {0.7}


def test_a_seed_that_was_typed_stays():
    generation = Generation("colocate", seed=5)
    outcome = seeded_requests.apply(trainer(), generation, 0)
    assert outcome.status is Status.not_needed and "method.generation_kwargs" in outcome.why
    assert "generate" not in vars(generation)
