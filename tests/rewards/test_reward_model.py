"""The reward model, with a tiny one of random weights in the shape of models/tiny."""

from pathlib import Path

import pytest

from rlexp.inputs.script import load_script

ROOT = Path(__file__).parents[2]
PROMPTS = ["What is 2 + 2?", "What is 31 + 27? Think first.", "Hm?"]
COMPLETIONS = ["4", "<think>31 + 27 = 58</think><answer>58</answer>", ""]


@pytest.fixture(scope="module")
def save(tmp_path_factory):
    """Saves a classification model with so many numbers as output; (folder, model)."""
    import torch
    from transformers import AutoConfig, AutoTokenizer, LlamaForSequenceClassification

    def saved(labels=1):
        folder = tmp_path_factory.mktemp("reward_model")
        torch.manual_seed(0)
        config = AutoConfig.from_pretrained(ROOT / "models/tiny", num_labels=labels)
        model = LlamaForSequenceClassification(config).float().eval()
        model.save_pretrained(folder)
        AutoTokenizer.from_pretrained(ROOT / "models/tiny").save_pretrained(folder)
        return str(folder), model

    return saved


@pytest.fixture(scope="module")
def reward():
    return load_script(ROOT / "rewards/reward_model.py")


@pytest.fixture(scope="module")
def tiny(save):
    return save()


def test_the_numbers_are_the_models_own_in_its_chat_template(reward, tiny):
    import torch
    from transformers import AutoTokenizer

    folder, model = tiny
    tokenizer = AutoTokenizer.from_pretrained(folder)
    expected = []
    for prompt, completion in zip(PROMPTS, COMPLETIONS, strict=True):
        text = f"<|im_start|>user\n{prompt}<|im_end|>\n<|im_start|>assistant\n{completion}<|im_end|>\n"
        with torch.no_grad():
            expected.append(model(**tokenizer(text, return_tensors="pt")).logits.item())
    assert len({round(number, 3) for number in expected}) == 3
    asked = {"path": folder, "device": "cpu"}
    assert reward.score(COMPLETIONS, PROMPTS, scores="raw", **asked) == pytest.approx(expected, abs=1e-5)
    chances = torch.tensor(expected).sigmoid().tolist()
    assert reward.score(COMPLETIONS, PROMPTS, **asked) == pytest.approx(chances, abs=1e-5)


def test_the_batch_size_changes_no_score(reward, tiny):
    asked = {"path": tiny[0], "device": "cpu", "scores": "raw"}
    alone = reward.score(COMPLETIONS, PROMPTS, batch_size=1, **asked)
    assert reward.score(COMPLETIONS, PROMPTS, batch_size=2, **asked) == pytest.approx(alone, abs=1e-5)


def test_a_conversation_that_is_too_long_loses_its_beginning(reward, tiny):
    asked = {"path": tiny[0], "device": "cpu", "max_length": 8}
    same = reward.score(["one and the same end"] * 2, ["a", "b"], **asked)
    assert same[0] == same[1]
    other = reward.score(["one end", "another one"], ["a", "a"], **asked)
    assert other[0] != other[1]


def test_the_model_is_loaded_once(reward, tiny):
    before = reward._loaded.cache_info().misses
    for _ in range(2):
        reward.score(COMPLETIONS, PROMPTS, path=tiny[0], device="cpu", batch_size=3)
    assert reward._loaded.cache_info().misses <= before + 1


def test_torch_is_not_imported_with_the_file():
    import subprocess
    import sys

    code = (
        f"import runpy, sys; runpy.run_path({str(ROOT / 'rewards/reward_model.py')!r}); print('torch' in sys.modules)"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "False"


def test_a_language_model_is_no_reward_model(reward):
    with pytest.raises(ValueError, match=r"no reward model: it holds no weights for score\.weight"):
        reward.score(["4"], ["?"], path=str(ROOT / "models/tiny"), device="cpu")


def test_a_classifier_of_three_is_no_reward_model(reward, save):
    with pytest.raises(ValueError, match="it gives 3 numbers, not one"):
        reward.score(["4"], ["?"], path=save(3)[0], device="cpu")


@pytest.mark.parametrize(
    ("params", "what"),
    [({"path": "some/model"}, "a hub id needs params.revision"), ({"path": ".", "scores": "logits"}, "neither")],
)
def test_a_wrong_parameter_is_named(reward, params, what):
    with pytest.raises(ValueError, match=what):
        reward.score(["4"], ["?"], **params)
