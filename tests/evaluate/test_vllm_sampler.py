"""The sampler over vLLM: what it asks of the engine, and what it makes of the answers."""

from types import SimpleNamespace

from rlexp.backend.engine.offline import Answer
from rlexp.evaluate.sampler import Sampling
from rlexp.evaluate.vllm_sampler import VllmSampler


class Tokenizer:
    bos_token_id = None

    def __call__(self, texts, add_special_tokens):
        return {"input_ids": [[ord(letter) for letter in text] for text in texts]}

    def batch_decode(self, ids, skip_special_tokens):
        return ["".join(map(chr, one)) for one in ids]


class Engine:
    def __init__(self):
        self.asked = []

    def generate(self, prompts, how, seeds, adapter, logprobs):
        self.asked.append((prompts, how, seeds, adapter, logprobs))
        return [Answer([65 + place % 26], place == 0, None) for place in range(len(prompts))]


def test_every_completion_has_a_seed_of_its_own_and_the_same_one_again():
    engine, run = Engine(), SimpleNamespace(chat_template_kwargs={})
    sampler = VllmSampler(run, engine, Tokenizer(), {7, 3}, "adapter")
    found = sampler.sample(["x", "yy"], 2, Sampling(5, temperature=0.7, more={"min_p": 0.1}), seed=4)
    assert [[one.text for one in group] for group in found] == [["A", "B"], ["C", "D"]]
    assert found[0][0].truncated and not found[0][1].truncated
    prompts, how, seeds, adapter, _ = engine.asked[0]
    assert prompts == [[120], [120], [121, 121], [121, 121]] and adapter == "adapter"
    assert how == {
        **{"temperature": 0.7, "top_p": 1.0, "top_k": -1, "max_tokens": 5, "stop_token_ids": [3, 7], "min_p": 0.1}
    }
    assert len(set(seeds)) == 4 and all(0 <= seed < 2**31 for seed in seeds)
    sampler.sample(["x", "yy"], 2, Sampling(5), seed=4)
    sampler.sample(["x", "yy"], 2, Sampling(5), seed=5)
    assert engine.asked[1][2] == seeds and not {*engine.asked[2][2]} & {*seeds}
