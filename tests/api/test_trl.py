"""A project's reward in a TRL script: TRL's own trainer, without rlexp's."""

from __future__ import annotations

import json

import pytest

from tests.api.test_train import python

pytestmark = pytest.mark.end_to_end
# On a machine without Triton TRL's loss needs Unsloth, imported first. One reward combined, one a function a term.
SCRIPT = """
import json
import unsloth
from datasets import Dataset
from trl import GRPOConfig, GRPOTrainer
from rlexp import api

asked = [[{"role": "user", "content": f"What is {n} + 2?"}] for n in range(16)]
rows = Dataset.from_list([{"prompt": prompt, "answer": str(n + 2)} for n, prompt in enumerate(asked)])
seen = []

def kept(function):
    def scored(prompts, completions, **columns):
        answer = function(prompts=prompts, completions=completions, **columns)
        texts = [completion[-1]["content"] for completion in completions]
        seen.append([function.__name__, texts, columns["answer"], answer])
        return answer
    scored.__name__ = function.__name__
    return scored

def trained(functions, **more):
    arguments = GRPOConfig(
        output_dir="trl", max_steps=2, num_generations=4, per_device_train_batch_size=8, max_completion_length=16,
        use_cpu=True, report_to="none", save_strategy="no", logging_steps=1, **more,
    )
    trainer = GRPOTrainer(model="models/tiny", reward_funcs=functions, train_dataset=rows, args=arguments)
    trainer.train()
    return trainer.state.log_history

whole = api.reward("format+correct", "reward.terms.format.weight=0.5")
log = trained(kept(whole))
plain = trained(whole)
apart = api.reward("format+correct", "reward.terms.format.weight=0.5", apart=True)
split = trained(apart, reward_weights=[one.weight for one in apart])
json.dump({"seen": seen, "log": log, "plain": plain, "split": split}, open("trl.json", "w"))
"""


def test_trls_trainer_trains_on_it_and_gets_the_values_of_the_rubric(shared_project):
    from rlexp import api

    python(SCRIPT, shared_project)
    found = json.loads((shared_project / "trl.json").read_text())
    assert len(found["seen"]) == 2
    for name, texts, answers, rewards in found["seen"]:
        assert name == "format+correct" and len(texts) == 8
        weighted = "reward.terms.format.weight=0.5"
        table = api.score("format+correct", weighted, completions=texts, answer=answers, root=shared_project)
        assert rewards == table["reward"].tolist() == (0.5 * table["format"] + table["correct"]).tolist()
    steps = [entry for entry in found["split"] if "reward" in entry]
    whole = [entry for entry in found["plain"] if "reward" in entry]
    assert len(steps) == len(whole) == 2
    for one, other in zip(steps, whole, strict=True):
        combined = 0.5 * one["rewards/format/mean"] + one["rewards/correct/mean"]
        assert float(one["reward"]) == pytest.approx(combined) == pytest.approx(other["rewards/format+correct/mean"])
