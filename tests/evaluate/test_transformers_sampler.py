"""transformers' generation as a Sampler, on the tiny model."""

import pytest

torch = pytest.importorskip("torch")

from rlexp.evaluate.sampler import Sampling  # noqa: E402
from rlexp.evaluate.transformers_sampler import TransformersSampler, until_end  # noqa: E402
from tests.conftest import ROOT  # noqa: E402

DIALOGUES = [
    [{"role": "user", "content": "What is 3 + 4?"}],
    [
        {"role": "user", "content": "What is 3 + 4?"},
        {"role": "assistant", "content": "7"},
        {"role": "user", "content": "And 10 + 5?"},
    ],
    "plain text, ",
]


@pytest.fixture(scope="module")
def sampler(composed):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(ROOT / "models/tiny", dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(ROOT / "models/tiny")
    return TransformersSampler(composed("hardware=cpu", "hardware.sequences_per_device=2"), model, tokenizer)


def test_every_dialogue_has_n_completions_in_order_and_one_seed_gives_the_same(sampler):
    sampling = Sampling(max_new_tokens=12)
    one, two = (sampler.sample(DIALOGUES, 3, sampling, seed=7) for _ in range(2))
    assert [len(answers) for answers in one] == [3, 3, 3] and one == two
    assert one != sampler.sample(DIALOGUES, 3, sampling, seed=8)


def test_the_random_state_of_the_process_and_the_model_stay_as_they_were(sampler):
    sampler.model.train()
    before, side = torch.get_rng_state(), sampler.tokenizer.padding_side
    sampler.sample(DIALOGUES, 1, Sampling(max_new_tokens=2), seed=0)
    assert torch.equal(before, torch.get_rng_state())
    assert sampler.model.training and sampler.tokenizer.padding_side == side
    sampler.model.eval()


def test_a_completion_is_truncated_where_the_limit_and_not_an_end_token_ended_it(sampler):
    (short,) = sampler.sample(DIALOGUES[:1], 1, Sampling(max_new_tokens=2, temperature=0.0), seed=0)[0]
    (whole,) = sampler.sample(DIALOGUES[:1], 1, Sampling(max_new_tokens=60, temperature=0.0), seed=0)[0]
    assert short.truncated and len(short.token_ids) == 2
    assert not whole.truncated and whole.token_ids[-1] == sampler.tokenizer.eos_token_id
    assert whole.token_ids[:2] == short.token_ids and sampler.tokenizer.eos_token not in whole.text


def test_log_probabilities_are_those_of_the_models_own_pass(sampler):
    (answer,) = sampler.sample(DIALOGUES[1:2], 1, Sampling(max_new_tokens=20), seed=3, logprobs=True)[0]
    text = sampler.tokenizer.apply_chat_template(DIALOGUES[1], add_generation_prompt=True, tokenize=False)
    prompt = sampler.tokenizer(text, add_special_tokens=False)["input_ids"]
    ids = torch.tensor([prompt + answer.token_ids])
    with torch.no_grad():
        logits = sampler.model(ids).logits[0, len(prompt) - 1 : -1].log_softmax(-1)
    own = logits.gather(-1, ids[0, len(prompt) :, None])[:, 0]
    assert answer.logprobs is not None and len(answer.logprobs) == len(answer.token_ids)
    assert torch.allclose(torch.tensor(answer.logprobs), own, atol=1e-4)
    assert sampler.sample(DIALOGUES[:1], 1, Sampling(max_new_tokens=3), seed=3)[0][0].logprobs is None


def test_padding_to_one_batch_changes_no_greedy_completion(sampler):
    greedy = Sampling(max_new_tokens=16, temperature=0.0)
    together = sampler.sample(DIALOGUES[:2], 1, greedy, seed=0)
    alone = [sampler.sample([dialogue], 1, greedy, seed=0)[0] for dialogue in DIALOGUES[:2]]
    assert [a[0].token_ids for a in together] == [a[0].token_ids for a in alone]


@pytest.mark.parametrize(("ids", "kept"), [([5, 2, 9], [5, 2]), ([5, 6], [5, 6]), ([2], [2]), ([], [])])
def test_what_follows_the_first_end_token_is_left_out(ids, kept):
    assert until_end(ids, {2}) == kept
