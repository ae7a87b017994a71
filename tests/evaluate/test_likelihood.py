"""How likely a model finds given completions, on the tiny model and on one whose answer is known."""

from types import SimpleNamespace

import pytest

torch = pytest.importorskip("torch")

from rlexp.backend.prompts import completion_ids  # noqa: E402
from rlexp.evaluate import likelihood  # noqa: E402
from rlexp.evaluate.likelihood import TransformersLikelihood  # noqa: E402
from tests.conftest import ROOT  # noqa: E402

TURNS = [{"role": "user", "content": "What is 3 + 4?"}]
DIALOGUES = [
    TURNS,
    [*TURNS, {"role": "assistant", "content": "7"}, {"role": "user", "content": "And 10 + 5?"}],
    "plain text, ",
]
ANSWERS = [
    [[{"role": "assistant", "content": "<answer>7</answer>"}], [{"role": "assistant", "content": "It is 8, I think."}]],
    ["15", "<think>10 + 5 = 15</think><answer>15</answer>"],
    ["and more", "and more of it, to its end"],
]


@pytest.fixture(scope="module")
def tokenizer():
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(ROOT / "models/tiny")


@pytest.fixture(scope="module")
def tiny(composed, tokenizer):
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(ROOT / "models/tiny", dtype=torch.float32).eval()
    return TransformersLikelihood(composed("hardware=cpu", "hardware.sequences_per_device=4"), model, tokenizer)


class Bigram:
    """Every token is followed by itself with log-odds of 1 against each of the others."""

    device = torch.device("cpu")

    def __call__(self, input_ids, attention_mask, use_cache):
        return SimpleNamespace(logits=torch.nn.functional.one_hot(input_ids, VOCABULARY).to(torch.bfloat16))


VOCABULARY = 4096


def test_log_probabilities_are_those_of_one_pass_over_one_sequence(tiny):
    found = tiny.logprobs(DIALOGUES, ANSWERS)
    assert [len(own) for own in found] == [2, 2, 2]
    for dialogue, answers, own in zip(DIALOGUES, ANSWERS, found, strict=True):
        sequences, begin = completion_ids(tiny.tokenizer, dialogue, answers, {})
        for ids, logps in zip(sequences, own, strict=True):
            with torch.no_grad():
                logits = tiny.model(torch.tensor([ids])).logits[0, begin - 1 : -1].log_softmax(-1)
            expected = logits.gather(-1, torch.tensor(ids[begin:])[:, None])[:, 0]
            assert len(logps) == len(ids) - begin > 0
            assert torch.allclose(torch.tensor(logps), expected, atol=1e-4)


def test_twice_is_the_same_to_the_last_bit_and_a_row_does_not_depend_on_the_others(tiny, monkeypatch):
    one = tiny.logprobs(DIALOGUES, ANSWERS)
    assert one == tiny.logprobs(DIALOGUES, ANSWERS)
    monkeypatch.setattr(likelihood, "TOKENS", 1)  # one sequence a pass
    alone = tiny.logprobs(DIALOGUES[::-1], ANSWERS[::-1])[::-1]
    for row, own in zip(one, alone, strict=True):
        for a, b in zip(row, own, strict=True):
            assert torch.allclose(torch.tensor(a), torch.tensor(b), atol=1e-4)


def test_they_are_in_float32_whatever_the_model_computes_in(composed, tokenizer):
    own = TransformersLikelihood(composed("hardware=cpu"), Bigram(), tokenizer)
    ((found,),) = own.logprobs(["aaaa"], [["aaaa"]])
    total = torch.e + VOCABULARY - 1
    expected = {round(1 - torch.tensor(total).log().item(), 4), round(-torch.tensor(total).log().item(), 4)}
    assert {round(value, 4) for value in found} <= expected


def test_the_end_token_counts_and_both_answers_are_read_from_the_same_token_on(tokenizer):
    (one, other), begin = completion_ids(tokenizer, "1 +", [" 1", " 2" + tokenizer.eos_token], {})
    assert one[-1] == other[-1] == tokenizer.eos_token_id and other[-2] != tokenizer.eos_token_id
    assert one[:begin] == other[:begin] and one[begin:] != other[begin:]
    (whole,), start = completion_ids(tokenizer, TURNS, ["7"], {})
    prompt = tokenizer.apply_chat_template(TURNS, add_generation_prompt=True, tokenize=False)
    assert tokenizer.decode(whole[:start]) == prompt and tokenizer.eos_token_id in whole[start:]


def test_no_pass_is_larger_than_it_may_be(tiny, monkeypatch):
    monkeypatch.setattr(likelihood, "TOKENS", 20)
    lengths = [3, 10, 4, 9, 30, 2]
    batches = list(tiny._batches(lengths))
    assert sorted(number for batch in batches for number in batch) == list(range(6))
    assert all(len(batch) == 1 or len(batch) * max(lengths[n] for n in batch) <= 20 for batch in batches)
    assert max(map(len, batches)) > 1
