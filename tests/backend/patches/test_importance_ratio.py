"""The importance ratio from the training pass."""

import sys
from collections import defaultdict
from types import FunctionType, ModuleType, SimpleNamespace

import pytest
import torch

from rlexp.backend.patches import importance_ratio
from rlexp.errors import RunError

NAN = float("nan")


class Trainer(SimpleNamespace):
    """As much of TRL's as is looked at."""

    def compute_loss(self):
        """TRL's own: it stands in a module without Unsloth's loss."""


def trainer(**changes):
    held = {
        "use_vllm": True,
        "vllm_importance_sampling_correction": True,
        "vllm_importance_sampling_mode": "token_truncate",
        "vllm_importance_sampling_clip_min": None,
        "vllm_importance_sampling_clip_max": 2.0,
        "num_iterations": 1,
        "args": SimpleNamespace(gradient_accumulation_steps=4, steps_per_generation=4),
        "model": SimpleNamespace(training=True, peft_config={"default": SimpleNamespace(lora_dropout=0.0)}),
        "_step": 0,
        "_metrics": {"train": defaultdict(list), "eval": defaultdict(list)},
    }
    return SimpleNamespace(**held | changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"use_vllm": False},
        {"vllm_importance_sampling_correction": False},
        {"num_iterations": 2},
        {"args": SimpleNamespace(gradient_accumulation_steps=4, steps_per_generation=8)},
        {"model": SimpleNamespace(peft_config={"default": SimpleNamespace(lora_dropout=0.1)})},
    ],
)
def test_only_where_the_extra_pass_computes_the_same(changes):
    assert importance_ratio.applies(trainer())
    assert not importance_ratio.applies(trainer(**changes))


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("token_truncate", [[2.0, 0.5, 1.0], [1.0, 1.0, 1.0]]),
        ("token_mask", [[0.0, 0.5, 1.0], [1.0, 1.0, 1.0]]),
        ("sequence_truncate", [[1.5], [1.0]]),
        ("sequence_mask", [[1.5], [1.0]]),
    ],
)
def test_ratio_of_a_micro_batch(mode, expected):
    made = trainer(vllm_importance_sampling_mode=mode)
    inputs = {
        "completion_mask": torch.tensor([[1, 1, 0], [1, 1, 1]]),
        "sampling_per_token_logps": torch.tensor([[-3.0, -1.0, 0.0], [-1.0, NAN, -2.0]]),
    }
    own = inputs["sampling_per_token_logps"] + torch.tensor([[3.0, 0.5, 9.0], [1.0, 1.0, 1.0]]).log()
    importance_ratio._correct(made, inputs, own)
    torch.testing.assert_close(inputs["importance_sampling_ratio"], torch.tensor(expected))
    logged = made._metrics["train"]
    assert logged["sampling/sampling_logp_difference/max"] == [pytest.approx(1.0986, abs=1e-4)]
    assert logged["sampling/importance_sampling_ratio/max"] == [max(max(row) for row in expected)]


def test_the_least_and_the_largest_are_those_of_the_step():
    made = trainer()
    for made._step, apart in enumerate((0.1, -0.3, 0.2, 0.1, 0.5)):
        inputs = {"completion_mask": torch.ones(1, 2), "sampling_per_token_logps": torch.zeros(1, 2)}
        importance_ratio._correct(made, inputs, torch.tensor([[apart, 0.0]]))
    logged = {name: [round(value, 3) for value in values] for name, values in made._metrics["train"].items()}
    assert logged["sampling/sampling_logp_difference/max"] == [0.3, 0.5]
    assert logged["sampling/importance_sampling_ratio/min"] == [0.741, 1.0]
    assert len(logged["sampling/importance_sampling_ratio/mean"]) == 5


def test_trl_reads_the_ratio_after_its_log_probabilities():
    made = Trainer(**vars(trainer()))
    seen = []

    def score(inputs):
        seen.append(made.vllm_importance_sampling_correction)
        return inputs

    def logprobs(model, *_, **__):
        return torch.zeros(1, 2), None, None

    def loss(model, inputs):
        made._get_per_token_logps_and_entropies(model)
        return inputs["importance_sampling_ratio"]

    made._generate_and_score_completions = score
    made._get_per_token_logps_and_entropies = logprobs
    made._compute_loss = loss
    importance_ratio.use_training_pass(made)
    made._generate_and_score_completions({})
    inputs = {"completion_mask": torch.ones(1, 2), "sampling_per_token_logps": torch.tensor([[0.0, -0.5]])}
    torch.testing.assert_close(made._compute_loss(None, inputs), torch.tensor([[1.0, 1.6487]]), atol=1e-4, rtol=0)
    assert seen == [False]
    assert made.vllm_importance_sampling_correction


def rloo(beta):
    """As much of TRL's RLOO as is wrapped; its log-probabilities are the numbers of the pass."""
    held = vars(trainer())
    made = Trainer(**{name: held[name] for name in ("num_iterations", "args", "model")}, use_vllm=False, beta=beta)
    passes = []

    def logprobs(model, ids, mask, kept, batch_size=None):
        passes.append(ids.shape)
        return torch.full((len(ids), kept), -float(len(passes)), requires_grad=True), None, None

    def loss(model, inputs):
        ids = inputs["completion_ids"]
        found = made._get_per_token_logps_and_entropies(model, ids, None, ids.shape[1])[0]
        return (found * inputs["completion_mask"]).sum(1) - inputs["old_logps"]

    made._get_per_token_logps_and_entropies, made._compute_loss = logprobs, loss
    return made, passes


@pytest.mark.parametrize(("beta", "computed"), [(0.0, 0), (0.1, 1)])
def test_rloos_old_log_probabilities_are_those_of_the_training_pass(beta, computed):
    made, passes = rloo(beta)
    assert importance_ratio.applies(made)
    importance_ratio.use_training_pass(made)
    ids, mask = torch.ones(2, 3, dtype=torch.long), torch.tensor([[1, 1, 0], [1, 1, 1]])
    old = made._get_per_token_logps_and_entropies(None, ids, mask, 3, 1)[0]
    assert old.shape == (2, 3) and len(passes) == computed  # the KL term of the reward needs them
    inputs = {"completion_ids": ids, "completion_mask": mask, "old_logps": (old * mask).sum(1)}
    assert made._compute_loss(None, inputs).tolist() == [0.0, 0.0]
    assert inputs["old_logps"].tolist() == [-2.0 * (computed + 1), -3.0 * (computed + 1)]
    assert not inputs["old_logps"].requires_grad


def test_unsloths_loss_is_given_the_policys_own_log_probabilities():
    class Loss:
        @staticmethod
        def apply(*arguments):
            return arguments

    wrapped = importance_ratio.Loss(importance_ratio.Loss(Loss))
    new, sampling = torch.ones(1, requires_grad=True), torch.zeros(1)
    found = wrapped.apply(new, None, None, sampling, "head")
    assert torch.equal(found[1], new)
    assert not found[1].requires_grad
    assert wrapped.apply(new, sampling, None, sampling)[1] is sampling
    assert wrapped.apply(new, None, None, None)[1] is None


@pytest.fixture
def rewritten(monkeypatch):
    """A trainer whose class Unsloth wrote into a module of its own; without the loss function in it."""
    monkeypatch.setitem(sys.modules, "unsloth", ModuleType("unsloth"))
    names = {"__name__": "UnslothGRPOTrainer"}
    compute_loss = FunctionType((lambda self: None).__code__, names)
    kind = type("UnslothGRPOTrainer", (Trainer,), {"__module__": "UnslothGRPOTrainer", "compute_loss": compute_loss})
    made = kind(**vars(trainer()), _generate_and_score_completions=lambda inputs: inputs)
    return made, names


def test_the_loss_of_the_trainer_that_unsloth_wrote_is_replaced_and_trls_methods_are_left(rewritten):
    made, names = rewritten
    names["UnslothEfficientGRPO"] = original = SimpleNamespace(apply=lambda *arguments: arguments)
    importance_ratio.use_training_pass(made)
    importance_ratio.use_training_pass(made)
    assert names["UnslothEfficientGRPO"].loss is original
    assert not hasattr(made, "_compute_loss")


def test_without_the_function_in_its_place_nothing_is_changed_and_the_patch_is_named(rewritten):
    made, _ = rewritten
    score = made._generate_and_score_completions
    with pytest.raises(RunError, match="the patch importance_ratio does not find UnslothEfficientGRPO") as caught:
        importance_ratio.use_training_pass(made)
    assert "unsloth" in (caught.value.where or "") and "rollout.patches=off" in (caught.value.hint or "")
    assert made._generate_and_score_completions is score


def test_a_trainer_of_trls_own_is_none_that_unsloth_wrote(rewritten, monkeypatch):
    made, _ = rewritten
    assert importance_ratio.is_rewritten(made)
    assert not importance_ratio.is_rewritten(Trainer())  # Unsloth's CPU back end writes none
    monkeypatch.delitem(sys.modules, "unsloth")
    assert not importance_ratio.is_rewritten(made)
